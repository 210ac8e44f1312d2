"""Who answers the samples of an evaluation: files in processes of their own, and the network."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
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

AT_ONCE = 16  # samples that travel to an engine together

Floats = NDArray[np.float32]
Feeds = Mapping[str, NDArray[np.generic]]


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

    @property
    def at_once(self) -> int:
        """How many samples it is best asked at once."""
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


class Ends:
    """What a file takes for samples with channels first, and what its outputs are as such.

    Args:
        name: what to call it.
        artifact: the file.
        session: the same, open.

    Raises:
        InputError: it has several inputs.
    """

    def __init__(self, name: str, artifact: Artifact, session: IsolatedSession) -> None:
        inputs = merged(session.inputs, artifact.manifest.inputs)
        self._outputs = merged(session.outputs, artifact.manifest.outputs)
        if len(inputs) != 1:
            raise InputError(
                f"{name} has {len(inputs)} inputs, and data hold one for each sample; only "
                "networks with one input can be evaluated"
            )
        (self._input,) = inputs

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of its one input, batch included, channels first."""
        return canonical_shape(self._input)

    @property
    def batch_bytes(self) -> int:
        """What one batch takes, inputs and outputs together."""
        specs = (self._input, *self._outputs)
        return sum(math.prod(spec.shape) * np.dtype(spec.dtype).itemsize for spec in specs)

    def feeds(self, samples: Floats) -> list[Feeds]:
        """Return samples as batches that the file takes, the last one filled up."""
        batches = _batches(samples, self.shape[0])
        return [{self._input.name: stored(batch, self._input)} for batch in batches]

    def answers(self, batches: Sequence[Feeds], count: int) -> list[Floats]:
        """Return each output for ``count`` samples, out of what the file gave for its batches.

        Raises:
            InputError: an output does not hold one row for each sample.
            NonFiniteOutput: it holds NaN or infinity.
        """
        return [
            _joined(
                [real(batch[spec.name], spec).astype(np.float32) for batch in batches],
                self.shape[0],
                count,
            )
            for spec in self._outputs
        ]


class OpenArtifact:
    """A file on its own runtime, on this machine.

    Args:
        name: what to call it.
        artifact: the file.
        threads: threads that its runtime may compute with.
        cpus: CPUs to stay on; empty leaves it to the system.

    Raises:
        InputError: it has several inputs.
        GroundspeedError: it cannot be opened.
    """

    def __init__(
        self, name: str, artifact: Artifact, threads: int, cpus: tuple[int, ...] = ()
    ) -> None:
        self.name = name
        self.artifact = artifact
        options = Options(threads=threads, cpus=cpus, precision=artifact.manifest.precision)
        self._session = IsolatedSession(name, artifact, options)
        self._asked = 0
        try:
            self._ends = Ends(name, artifact, self._session)
        except InputError:
            self.close()
            raise

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of its one input, batch included, channels first."""
        return self._ends.shape

    @property
    def at_once(self) -> int:
        """How many samples it is best asked at once."""
        return max(AT_ONCE, self.shape[0])

    def ask(self, samples: Floats) -> None:
        """Begin to answer; see ``Contestant.ask``."""
        self._asked = len(samples)
        self._session.ask_outputs(self._ends.feeds(samples))

    def answers(self) -> list[Floats]:
        """Return the outputs; see ``Contestant.answers``."""
        return self._ends.answers(self._session.receive(), self._asked)

    def ask_tensors(self, sample: Floats) -> None:
        """Begin to compute the tensors that are tied to the network's ops, for [1, C, H, W]."""
        (feeds,) = self._ends.feeds(sample)
        names = frozenset(self.artifact.manifest.tensors or ())
        self._session.ask_tensors(feeds, names)

    def tensors(self) -> dict[str, NDArray[np.generic]]:
        """Return op -> value, in the file's own layout; of several tensors the last."""
        ties = self.artifact.manifest.tensors or {}
        return {ties[name]: value for name, value in self._session.receive().items()}

    def close(self) -> None:
        """End its process."""
        self._session.close()


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
        self.at_once = max(AT_ONCE, self.shape[0])
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
