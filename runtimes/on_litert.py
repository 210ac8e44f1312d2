"""LiteRT on the CPU, or the tflite-runtime package where that is what a board has."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from groundspeed.artifact import TensorSpec
from groundspeed.errors import ArtifactError, MissingExtra
from groundspeed.measurement import OpProfile, Options
from groundspeed.runtimes import litert_graph
from groundspeed.runtimes.feeds import checked, file_of
from groundspeed.runtimes.interleave import interleaved
from groundspeed.runtimes.litert_alignment import align
from groundspeed.runtimes.litert_graph import PACKAGE, engine
from groundspeed.runtimes.litert_library import Library
from groundspeed.runtimes.litert_profiler import Events, ProfiledModel, executed, times_ns
from groundspeed.runtimes.session import Array

if PACKAGE == "ai-edge-litert":
    from ai_edge_litert import compiled_model as litert


class LiteRt:
    """The ai-edge-litert or tflite-runtime package that is installed."""

    version: str = version(PACKAGE)
    build: str = PACKAGE

    def open(
        self, files: Mapping[str, Path], options: Options, inputs: Sequence[TensorSpec] = ()
    ) -> LiteRtSession:
        """Open a ``.tflite`` file; see ``Runtime.open``. Of ``inputs`` only the layouts count."""
        return LiteRtSession(file_of(files, "model", "litert"), options, inputs)


class LiteRtSession:
    """A TFLite file that is open; see ``Session``.

    Half precision is the file's own matter (its weights are stored so): nothing is forced here.
    """

    def __init__(self, path: Path, options: Options, specs: Sequence[TensorSpec] = ()) -> None:
        self._path = path
        self._options = options
        described = litert_graph.plain_interpreter(path)
        self.inputs = litert_graph.input_specs(described, specs)
        self.outputs = litert_graph.output_specs(described)
        # Not kept: its view of the file would count as memory of the network.
        del described
        network = _Compiled if PACKAGE == "ai-edge-litert" else _Interpreted
        try:
            self._network: _Compiled | _Interpreted = network(path, options.threads)
        except (ValueError, RuntimeError) as error:
            raise ArtifactError(
                f"LiteRT cannot run {path} ({litert_graph.first_line(error)}); it may hold an op "
                "that this version does not know"
            ) from error

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Compute the outputs; see ``Session.run``."""
        once, read = self._network.bind(checked(self.inputs, inputs))
        once()
        return {spec.name: read(spec) for spec in self.outputs}

    def bind(self, inputs: Mapping[str, Array]) -> Callable[[], object]:
        """Return one inference with inputs and outputs in place; see ``Session.bind``."""
        once, _ = self._network.bind(checked(self.inputs, inputs))
        return once

    def tensors(self, inputs: Mapping[str, Array]) -> Iterator[tuple[str, Array]]:
        """Yield what every operator computes, without XNNPACK, which fuses some of them away."""
        feeds = checked(self.inputs, inputs)
        interpreter = litert_graph.plain_interpreter(self._path, self._options.threads)
        interpreter.allocate_tensors()
        for name, index in litert_graph.input_indices(interpreter).items():
            interpreter.set_tensor(index, feeds[name])
        interpreter.invoke()
        yield from litert_graph.real_values(interpreter)

    def profile(self, inputs: Mapping[str, Array], runs: int) -> OpProfile:
        """Time every op with LiteRT's own profiler; see ``Session.profile``."""
        if PACKAGE != "ai-edge-litert":
            raise MissingExtra(
                "tflite-runtime has no profiler: pip install 'groundspeed[litert]' for LiteRT's"
            )
        feeds = checked(self.inputs, inputs)
        nodes = litert_graph.nodes(litert_graph.plain_interpreter(self._path))
        library = Library(Path(engine.__file__).parent / "libLiteRt.so")
        with ProfiledModel(library, self._path, self._options.threads, feeds) as profiled:
            recorded: list[Events] = []
            times = interleaved(self.bind(inputs), lambda: recorded.append(profiled.record()), runs)
            found = executed(recorded[-1])
        return OpProfile(
            ops=align(nodes, [event for _, event in found]),
            times_ns=times_ns(
                [recorded[index] for index in times.counted], [index for index, _ in found]
            ),
            profiled_ns=times.profiled_ns,
            plain_ns=times.plain_ns,
        )

    def close(self) -> None:
        """Give back what the session holds."""
        del self._network


Bound = tuple[Callable[[], object], Callable[[TensorSpec], Array]]


class _Compiled:
    """LiteRT's compiled model, the interface that its own ``litert-benchmark`` times."""

    def __init__(self, path: Path, threads: int) -> None:
        environment = litert.Environment.create(options=litert.EnvironmentOptions())
        self._model = litert.CompiledModel.from_file(
            str(path),
            environment=environment,
            options=litert.Options(
                hardware_accelerators=litert.HardwareAccelerator.CPU,
                cpu_options=litert.CpuOptions(num_threads=threads),
            ),
        )

    def bind(self, feeds: Mapping[str, Array]) -> Bound:
        """Return a call that does one inference, and one that reads an output afterwards."""
        signature = self._model.get_signature_by_index(0)
        ins = self._model.create_input_buffers(0)
        outs = self._model.create_output_buffers(0)
        for name, buffer in zip(signature["inputs"], ins, strict=True):
            buffer.write(feeds[name])
        by_name = dict(zip(signature["outputs"], outs, strict=True))

        def once() -> None:
            self._model.run_by_index(0, ins, outs)

        def read(spec: TensorSpec) -> Array:
            count = int(np.prod(spec.shape))
            flat: Array = by_name[spec.name].read(count, np.dtype(spec.dtype))
            return flat.reshape(spec.shape)

        return once, read


class _Interpreted:
    """The interpreter, all that tflite-runtime has."""

    def __init__(self, path: Path, threads: int) -> None:
        self._interpreter: Any = engine.Interpreter(str(path), num_threads=threads)
        self._interpreter.allocate_tensors()

    def bind(self, feeds: Mapping[str, Array]) -> Bound:
        """Return a call that does one inference, and one that reads an output afterwards."""
        for name, index in litert_graph.input_indices(self._interpreter).items():
            self._interpreter.set_tensor(index, feeds[name])
        outputs = litert_graph.output_indices(self._interpreter)

        def read(spec: TensorSpec) -> Array:
            value: Array = self._interpreter.get_tensor(outputs[spec.name])
            return value

        return self._interpreter.invoke, read
