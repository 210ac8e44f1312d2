"""ONNX Runtime on the CPU: https://onnxruntime.ai/docs/api/python/api_summary.html."""

from __future__ import annotations

import functools
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import onnxruntime

from groundspeed.artifact import TensorSpec
from groundspeed.errors import ArtifactError, LaunchError
from groundspeed.measurement import OpProfile, Options
from groundspeed.runtimes import onnx_wire
from groundspeed.runtimes.feeds import checked, file_of
from groundspeed.runtimes.interleave import Times, interleaved
from groundspeed.runtimes.onnxruntime_trace import Trace, read_trace, traced_ops
from groundspeed.runtimes.session import Array

_CHEAP_OP, _CHAIN, _CHAIN_RUNS = "Neg", 100, 30
_PROVIDERS = ["CPUExecutionProvider"]
_DTYPES = {
    "tensor(float)": "float32",
    "tensor(float16)": "float16",
    "tensor(double)": "float64",
    "tensor(int8)": "int8",
    "tensor(uint8)": "uint8",
    "tensor(int16)": "int16",
    "tensor(uint16)": "uint16",
    "tensor(int32)": "int32",
    "tensor(int64)": "int64",
    "tensor(bool)": "bool",
}


class OnnxRuntime:
    """The engine, as the package ``onnxruntime``."""

    version: str = onnxruntime.__version__
    build: str = onnxruntime.get_build_info()

    def open(
        self, files: Mapping[str, Path], options: Options, inputs: Sequence[TensorSpec] = ()
    ) -> OnnxSession:
        """Open an ``.onnx`` file; see ``Runtime.open``. The file itself says its inputs."""
        return OnnxSession(file_of(files, "model", "onnxruntime"), options)


class OnnxSession:
    """An open ``.onnx`` file.

    Precision is the file's own matter: ONNX Runtime computes in the types that the graph says.
    """

    def __init__(self, path: Path, options: Options) -> None:
        self._path = path
        self._options = options
        self._session = _open(path, self._session_options())
        self.inputs = tuple(_spec(value, path) for value in self._session.get_inputs())
        self.outputs = tuple(_spec(value, path) for value in self._session.get_outputs())

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Compute the outputs; see ``Session.run``."""
        values = self._session.run(None, checked(self.inputs, inputs))
        return {spec.name: value for spec, value in zip(self.outputs, values, strict=True)}

    def bind(self, inputs: Mapping[str, Array]) -> Callable[[], object]:
        """Return a call that does one inference; see ``Session.bind``."""
        return _bound(self._session, checked(self.inputs, inputs))

    def tensors(self, inputs: Mapping[str, Array]) -> Iterator[tuple[str, Array]]:
        """Yield every tensor of the file as written, by running it without optimization.

        A tensor that is quantized comes as the real values that its integers stand for: those are
        what the file goes on with. They stay where kernels of integers are fused, so that they come
        from these kernels.
        """
        feeds = checked(self.inputs, inputs)
        nodes = onnx_wire.nodes(self._path.read_bytes())
        names = [name for node in nodes for name in node.outputs]
        shown = _dequantized(nodes)
        # One tensor at a time would run the network once for each, so all are held for a moment.
        values = self._values(names, feeds, onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL)
        if shown:
            kept = list(dict.fromkeys(shown.values()))
            values |= self._values(kept, feeds, onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL)
        yield from ((name, values[shown.get(name, name)]) for name in names)

    def _values(
        self,
        names: Sequence[str],
        feeds: Mapping[str, Array],
        level: onnxruntime.GraphOptimizationLevel,
    ) -> dict[str, Array]:
        model = self._path.read_bytes()
        extra = set(names) - set(onnx_wire.graph_outputs(model))
        options = self._session_options()
        options.graph_optimization_level = level
        session = _open(
            onnx_wire.with_outputs(model, [name for name in names if name in extra]), options
        )
        return dict(zip(names, session.run(names, feeds), strict=True))

    def profile(self, inputs: Mapping[str, Array], runs: int) -> OpProfile:
        """Time every op by the engine's own profiler; see ``Session.profile``."""
        feeds = checked(self.inputs, inputs)
        share = self._share_inside_kernels()
        plain = self._session
        if self._options.threads > 1:
            plain = _open(self._path, self._resting_options())
        with tempfile.TemporaryDirectory(prefix="groundspeed-") as folder:
            options = self._resting_options()
            options.optimized_model_filepath = str(Path(folder) / "optimized.onnx")
            trace, times = self._traced(self._path, options, plain, feeds, runs)
            optimized = (Path(folder) / "optimized.onnx").read_bytes()
        cost_ns = round(share * times.profilers_cost_ns / len(trace.kernels))
        return OpProfile(
            ops=traced_ops(
                trace, onnx_wire.nodes(optimized), onnx_wire.nodes(self._path.read_bytes())
            ),
            times_ns=trace.without(cost_ns),
            profiled_ns=times.profiled_ns,
            plain_ns=times.plain_ns,
            timing_cost_ns=cost_ns,
        )

    def close(self) -> None:
        """Give back the engine's memory."""
        del self._session

    def _share_inside_kernels(self) -> float:
        """Return which share of the profiler's cost it charges to the kernels themselves, 0 to 1.

        The engine stops a kernel's clock only after it has written down shapes and memory use: a
        few microseconds, as much as a small kernel takes, and more the colder its caches are. What
        the whole profiler costs a network is measured there (profiled less plain runs); how it
        splits is measured here, on a chain of ops that compute next to nothing: what the profiler
        says of an op beyond what the op takes unobserved is inside, the rest is between.
        """
        options = self._resting_options()
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        model = onnx_wire.chain(_CHEAP_OP, _CHAIN)
        plain = _open(model, options)
        feeds = {"0": np.ones(1, np.float32)}
        trace, times = self._traced(model, options, plain, feeds, _CHAIN_RUNS)
        if times.profilers_cost_ns == 0:
            return 0.0
        seen_ns = np.median(np.sum(trace.times_ns, axis=0))
        inside_ns = float(seen_ns - np.median(times.plain_ns))
        return min(1.0, max(0.0, inside_ns / times.profilers_cost_ns))

    def _traced(
        self,
        model: Path | bytes,
        options: onnxruntime.SessionOptions,
        plain: onnxruntime.InferenceSession,
        feeds: Mapping[str, Array],
        runs: int,
    ) -> tuple[Trace, Times]:
        """Run a second, profiled session in turn with the plain one."""
        with tempfile.TemporaryDirectory(prefix="groundspeed-") as folder:
            options.enable_profiling = True
            options.profile_file_prefix = str(Path(folder) / "trace")
            profiled = _open(model, options)
            times = interleaved(_bound(plain, feeds), _bound(profiled, feeds), runs)
            return read_trace(Path(profiled.end_profiling()), times.counted), times

    def _session_options(self) -> onnxruntime.SessionOptions:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self._options.threads
        options.inter_op_num_threads = 1
        options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
        options.log_severity_level = 3  # errors only: a warning for every optimized model is noise
        return options

    def _resting_options(self) -> onnxruntime.SessionOptions:
        """Return options of sessions that take turns.

        Threads wait for the next run by spinning. So those of one session would take a CPU from the
        other's.
        """
        options = self._session_options()
        options.add_session_config_entry("session.force_spinning_stop", "1")
        return options


def _dequantized(nodes: Sequence[onnx_wire.Node]) -> dict[str, str]:
    """Return the tensor of real values for each that is quantized, and for its integers."""
    real = {node.inputs[0]: node.outputs[0] for node in nodes if node.type == "DequantizeLinear"}
    pairs = [(n.inputs[0], n.outputs[0]) for n in nodes if n.type == "QuantizeLinear"]
    return {
        name: real[integers]
        for source, integers in pairs
        if integers in real
        for name in (source, integers)
    }


def _bound(
    session: onnxruntime.InferenceSession, feeds: Mapping[str, Array]
) -> Callable[[], object]:
    """Return a call whose inputs and outputs stay where they are."""
    binding = session.io_binding()
    for name, array in feeds.items():
        binding.bind_ortvalue_input(name, onnxruntime.OrtValue.ortvalue_from_numpy(array))
    for value in session.get_outputs():
        binding.bind_output(value.name)
    # The binding keeps its values, and the partial keeps the binding.
    return functools.partial(session.run_with_iobinding, binding)


def _open(model: Path | bytes, options: onnxruntime.SessionOptions) -> onnxruntime.InferenceSession:
    try:
        return onnxruntime.InferenceSession(
            model if isinstance(model, bytes) else str(model), options, providers=_PROVIDERS
        )
    # The engine's exceptions have no common base of their own, only Exception.
    except Exception as error:
        if isinstance(model, bytes):
            raise LaunchError(
                f"ONNX Runtime could not show all tensors of the network ({_first(error)})"
            ) from error
        raise ArtifactError(
            f"{model} cannot be opened by ONNX Runtime ({_first(error)}); it may be cut short, "
            "or no ONNX file: export it again"
        ) from error


def _first(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]


def _spec(value: onnxruntime.NodeArg, path: Path) -> TensorSpec:
    if value.type not in _DTYPES:
        raise ArtifactError(f"{path}: '{value.name}' is a {value.type}, which cannot be measured")
    open_ones = [str(size) for size in value.shape if not isinstance(size, int)]
    if open_ones:
        raise ArtifactError(
            f"{path}: '{value.name}' leaves {', '.join(open_ones)} open; "
            "export it with fixed shapes, since a latency belongs to one shape"
        )
    dtype = np.dtype(_DTYPES[value.type]).name
    layout = "NCHW" if len(value.shape) == 4 else ""
    return TensorSpec(name=value.name, shape=tuple(value.shape), dtype=dtype, layout=layout)
