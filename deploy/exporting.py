"""From a loaded network to artifacts: the zoo's cost model and the writers brought together."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import re
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from groundspeed.artifact import Artifact, Source
from groundspeed.deploy import quantizing
from groundspeed.deploy.quantizing import Quantizing
from groundspeed.deploy.sources import Network
from groundspeed.deploy.targets.target import Target
from groundspeed.errors import ExportError
from groundspeed.ops import Op
from groundspeed.quantization import Quantization

if TYPE_CHECKING:
    import torch
    from torch.export import ExportedProgram

    from groundspeed.export.onnx_graph import OnnxGraph
    from groundspeed.export.prepare import Prepared
    from groundspeed.export.quantize.quantize import QuantizedNetwork

DEFAULT_TIMEOUT_S = 600.0


@dataclass(frozen=True, kw_only=True)
class ExportFailure:
    """A file that could not be made, and why."""

    network: str
    format: str
    precision: str
    reason: str


class Exporter:
    """Writes one network in any format; it is traced, folded and counted once.

    Args:
        network: what to export.
        folder: artifacts go to ``<folder>/<network>-<format>-<precision>``.
        layout: "NCHW" or "NHWC" for the image inputs of formats that leave the choice; None
            leaves it to the format.
        timeout_s: longest time that one converter may take.
        quantizing: what the user asks of precisions of integers.
        samples: inputs to calibrate on, instead of the data that ``quantizing`` names.
        on_progress: called with a short sentence at each step.
    """

    def __init__(
        self,
        network: Network,
        folder: Path,
        *,
        layout: str | None = None,
        timeout_s: float = DEFAULT_TIMEOUT_S,
        quantizing: Quantizing | None = None,
        samples: Sequence[tuple[torch.Tensor, ...]] = (),
        on_progress: Callable[[str], None] | None = None,
    ) -> None:
        self.network = network
        self._folder = folder
        self._layout = layout
        self._timeout_s = timeout_s
        self._quantizing = quantizing or Quantizing()
        self._samples = tuple(samples)
        self._on_progress = on_progress

    def beside(
        self, network: Network, samples: Sequence[tuple[torch.Tensor, ...]] = ()
    ) -> Exporter:
        """Return what writes another network in the same way, into the same folder.

        Args:
            network: the other.
            samples: inputs to calibrate it on, if it does not take the data of this one.
        """
        return Exporter(
            network,
            self._folder,
            layout=self._layout,
            timeout_s=self._timeout_s,
            quantizing=self._quantizing,
            samples=samples,
            on_progress=self._on_progress,
        )

    @functools.cached_property
    def prepared(self) -> Prepared | OnnxGraph:
        """The network folded and rewritten, with the untouched one as the reference.

        A graph that is no torch network stays as it is: it is folded when it is written.
        """
        from groundspeed.export.onnx_graph import OnnxGraph
        from groundspeed.export.prepare import prepare

        module = self.network.module
        return module if isinstance(module, OnnxGraph) else prepare(module, self.network.inputs)

    @functools.cached_property
    def ops(self) -> tuple[Op, ...]:
        """The canonical ops of the network, with their cost on paper; a graph has none."""
        from groundspeed.export.prepare import Prepared
        from groundspeed.models.cost import analyze

        return analyze(self.prepared.program) if isinstance(self.prepared, Prepared) else ()

    @functools.cached_property
    def quantized(self) -> QuantizedNetwork:
        """The network calibrated on the data that the user named, once for all formats.

        Raises:
            DataError: none were named, or they cannot be used.
            ExportError: the network is a graph that is no torch network.
        """
        return quantizing.quantized(
            self._program(),
            self._quantizing,
            samples=self._samples,
            on_progress=self._on_progress,
        )

    def mix_on(self, target: Target, threads: int, cpus: tuple[int, ...]) -> None:
        """Let mixed precision be chosen where the files are going to be measured."""
        mixing = replace(self._quantizing.mixing, target=target, threads=threads, cpus=cpus)
        self._quantizing = replace(self._quantizing, mixing=mixing)

    def check_data(self, precisions: Iterable[str]) -> None:
        """Read the data to calibrate on once, if a precision needs them.

        Raises:
            DataError: none were named, or they cannot be used.
        """
        from groundspeed.export.prepare import Prepared

        # A graph that cannot be quantized is told for each of its files.
        if any(map(quantizing.needs_data, precisions)) and isinstance(self.prepared, Prepared):
            quantizing.calibration_samples(self.prepared, self._quantizing)

    def canonical(self, precision: str) -> ExportedProgram:
        """Return the canonical graph that files of a precision are written from.

        Raises:
            ExportError: the network is a graph that is no torch network.
        """
        ready = self.quantized.prepared if quantizing.needs_data(precision) else self._program()
        return ready.program

    def _program(self) -> Prepared:
        from groundspeed.export.prepare import Prepared

        if not isinstance(self.prepared, Prepared):
            raise ExportError(
                f"{self.network.name} stays an ONNX graph, which cannot be quantized here; export "
                "it in fp32 or fp16"
            )
        return self.prepared

    @functools.cached_property
    def source(self) -> Source:
        """Which network this is, to the last weight."""
        from groundspeed.export.prepare import Prepared

        ready = self.prepared
        return Source(
            name=self.network.name,
            spec=self.network.spec,
            digest=digest(ready.program) if isinstance(ready, Prepared) else ready.digest,
        )

    def export(self, format: str, precision: str) -> Artifact:
        """Write the network in one format and precision, and prove it equal.

        Raises:
            ExportError: it cannot be written, or what was written computes something else.
            DataError: integers were asked for, and there are no data to calibrate on.
        """
        folder = self._folder / f"{file_name(self.network.name)}-{format}-{precision}"
        if precision == quantizing.AUTO:
            return self._mixed(format, folder)
        network: QuantizedNetwork | None = None
        if precision in quantizing.WITHOUT_DATA:
            network = quantizing.only_weights(self._program(), self._quantizing)
        elif quantizing.is_integer(precision):
            network = self.quantized
        return self._write(format, precision, folder, network)

    def _mixed(self, format: str, folder: Path) -> Artifact:
        """Write the network with integers where that was measured to pay."""
        from groundspeed.deploy.mixing.mix import mixed

        network, plain = self.quantized, self._program()
        # Beside the result, so that nothing large has to fit into memory.
        self._folder.mkdir(parents=True, exist_ok=True)
        tries = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=self._folder))

        def make(name: str, quantization: Quantization | None) -> Artifact:
            if quantization is None:
                return self._write(format, "fp32", tries / name, None)
            changed = replace(network, quantization=quantization)
            return self._write(format, "int8", tries / name, changed)

        try:
            artifact = mixed(
                network,
                plain,
                format=format,
                folder=folder,
                asked=self._quantizing,
                make=make,
                on_progress=self._on_progress,
            )
        except ExportError:
            # The converter's log is there, and the error names it.
            raise
        except BaseException:
            shutil.rmtree(tries, ignore_errors=True)
            raise
        shutil.rmtree(tries, ignore_errors=True)
        return artifact

    def _write(
        self, format: str, precision: str, folder: Path, network: QuantizedNetwork | None
    ) -> Artifact:
        from groundspeed.export.write import write
        from groundspeed.models.cost import analyze

        return write(
            network.prepared if network else self.prepared,
            quantized=network,
            format=format,
            precision=precision,
            folder=folder,
            ops=analyze(network.prepared.program) if network else self.ops,
            source=self.source,
            layout=self._layout,
            timeout_s=self._timeout_s,
            on_progress=self._on_progress,
        )


def export_all(
    exporter: Exporter, formats: Iterable[str], precisions: Iterable[str]
) -> Iterator[Artifact | ExportFailure]:
    """Yield one artifact, or the reason why there is none, for each format and precision.

    Raises:
        DataError: the data to calibrate on cannot be used; told before anything is written.
    """
    precisions = tuple(precisions)
    if any(map(quantizing.needs_data, precisions)):
        with contextlib.suppress(ExportError):  # told for each file below, beside those that can be
            _ = exporter.quantized
    for format in formats:
        for precision in precisions:
            try:
                yield exporter.export(format, precision)
            except ExportError as error:
                yield ExportFailure(
                    network=exporter.network.name,
                    format=format,
                    precision=precision,
                    reason=str(error),
                )


def digest(program: torch.export.ExportedProgram) -> str:
    """Return the sha256 over a program's graph and over the bytes of all its weights."""
    import torch

    hasher = hashlib.sha256(str(program.graph).encode())
    for name, tensor in sorted(program.state_dict.items()):
        hasher.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        flat = tensor.detach().cpu().contiguous().reshape(-1)
        hasher.update(flat.view(torch.uint8).numpy().tobytes())
    return hasher.hexdigest()


def file_name(text: str) -> str:
    """Return ``text`` with everything replaced that a shell or a file system may stumble over."""
    return re.sub(r"[^A-Za-z0-9._+-]+", "_", text).strip("._") or "network"
