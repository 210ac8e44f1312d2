"""Who answers the samples of an evaluation: files in processes of their own, and the network."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from groundspeed.artifact import Artifact
from groundspeed.deploy.isolation import IsolatedSession
from groundspeed.ends import canonical_shape, merged, real, stored
from groundspeed.errors import InputError, NonFiniteOutput
from groundspeed.measurement import Options

if TYPE_CHECKING:
    from groundspeed.deploy.sources import Network

Floats = NDArray[np.float32]


class Contestant(Protocol):
    """Something that answers samples. All are asked before the first is heard, so they overlap."""

    @property
    def name(self) -> str:
        """What people call it."""
        ...

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of its one input, batch included, channels first."""
        ...

    def ask(self, samples: Floats) -> None:
        """Begin to answer any number of samples, [samples, C, H, W]."""
        ...

    def answers(self) -> list[Floats]:
        """Return each output for the samples that were asked, [samples, ...], channels first.

        Raises:
            GroundspeedError: it could not answer, or not with finite numbers.
        """
        ...

    def close(self) -> None:
        """Give back what it holds."""
        ...


class OpenArtifact:
    """A file on its own runtime.

    Args:
        name: what to call it.
        artifact: the file.
        threads: threads that its runtime may compute with.

    Raises:
        InputError: it has several inputs.
        GroundspeedError: it cannot be opened.
    """

    def __init__(self, name: str, artifact: Artifact, threads: int) -> None:
        self.name = name
        self.artifact = artifact
        options = Options(threads=threads, precision=artifact.manifest.precision)
        self._session = IsolatedSession(name, artifact, options)
        inputs = merged(self._session.inputs, artifact.manifest.inputs)
        self._outputs = merged(self._session.outputs, artifact.manifest.outputs)
        self._asked = 0
        if len(inputs) != 1:
            self.close()
            raise InputError(
                f"{name} has {len(inputs)} inputs, and data hold one for each sample; only "
                "networks with one input can be evaluated"
            )
        (self._input,) = inputs

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of its one input, batch included, channels first."""
        return canonical_shape(self._input)

    def ask(self, samples: Floats) -> None:
        """Begin to answer; see ``Contestant.ask``."""
        self._asked = len(samples)
        batches = _batches(samples, self.shape[0])
        self._session.ask_outputs([{self._input.name: self._stored(each)} for each in batches])

    def answers(self) -> list[Floats]:
        """Return the outputs; see ``Contestant.answers``."""
        batches = self._session.receive()
        return [
            _joined(
                [real(batch[spec.name], spec).astype(np.float32) for batch in batches],
                self.shape[0],
                self._asked,
            )
            for spec in self._outputs
        ]

    def ask_tensors(self, sample: Floats) -> None:
        """Begin to compute the tensors that are tied to the network's ops, for [1, C, H, W]."""
        (batch,) = _batches(sample, self.shape[0])
        names = frozenset(self.artifact.manifest.tensors or ())
        self._session.ask_tensors({self._input.name: self._stored(batch)}, names)

    def tensors(self) -> dict[str, NDArray[np.generic]]:
        """Return op -> value, in the file's own layout; of several tensors the last."""
        ties = self.artifact.manifest.tensors or {}
        return {ties[name]: value for name, value in self._session.receive().items()}

    def close(self) -> None:
        """End its process."""
        self._session.close()

    def _stored(self, batch: Floats) -> NDArray[np.generic]:
        return stored(batch, self._input)


class OpenNetwork:
    """The network itself, in PyTorch.

    Args:
        network: what the user named.
    """

    def __init__(self, network: Network) -> None:
        import torch

        self.name = f"{network.name} in PyTorch"
        module = network.module
        if isinstance(module, torch.export.ExportedProgram):
            module = module.module()  # it is in the mode that it was exported in
        elif isinstance(module, torch.nn.Module):
            module = module.eval()
        if len(network.inputs) != 1 or not isinstance(module, torch.nn.Module):
            raise InputError(
                f"{network.name} cannot be evaluated in PyTorch: it has several inputs, or it is "
                "no network of torch; leave out --network"
            )
        self._module = module
        self.shape = tuple(network.inputs[0].shape)
        self._samples: Floats = np.empty((0,), np.float32)

    def ask(self, samples: Floats) -> None:
        """Keep the samples; see ``Contestant.ask``."""
        self._samples = samples

    def answers(self) -> list[Floats]:
        """Return the outputs; see ``Contestant.answers``."""
        import torch

        size, found = self.shape[0], []
        for batch in _batches(self._samples, size):
            with torch.no_grad():
                leaves = torch.utils._pytree.tree_leaves(self._module(torch.from_numpy(batch)))
            found.append([leaf.float().numpy() for leaf in leaves if torch.is_tensor(leaf)])
        return [_joined(list(each), size, len(self._samples)) for each in zip(*found, strict=True)]

    def close(self) -> None:
        """Nothing is held."""


def _batches(samples: Floats, size: int) -> list[Floats]:
    """Return the samples ``size`` at a time; the last batch is filled up with its last sample."""
    missing = -len(samples) % size
    full = np.concatenate([samples, np.repeat(samples[-1:], missing, axis=0)])
    return [full[start : start + size] for start in range(0, len(full), size)]


def _joined(batches: Sequence[Floats], size: int, count: int) -> Floats:
    """Return the output for ``count`` samples out of full batches of ``size``."""
    if batches[0].shape[:1] != (size,):
        if size > 1:
            raise InputError(
                f"its output of shape {list(batches[0].shape)} does not hold one row for each of "
                f"the {size} samples of a batch; export it with a batch of 1"
            )
        batches = [batch[None] for batch in batches]
    whole = np.concatenate(batches)[:count]
    if not np.isfinite(whole).all():
        raise NonFiniteOutput("it answered NaN or infinity; its precision may be too narrow")
    return whole
