"""ONNX Runtime on the CPU."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import onnxruntime as ort

from groundspeed.artifact import TensorSpec
from groundspeed.errors import ArtifactError, InputError, LaunchError
from groundspeed.measurement import OpProfile, Options, ProfiledOp
from groundspeed.runtimes import onnx_wire
from groundspeed.runtimes.inputs import checked
from groundspeed.runtimes.interleave import counted, interleave
from groundspeed.runtimes.session import Array

_PROVIDERS = ["CPUExecutionProvider"]
_ERRORS_ONLY = 3
_DTYPES = {
    "tensor(float)": "float32",
    "tensor(float16)": "float16",
    "tensor(double)": "float64",
    "tensor(bool)": "bool",
}
# Layout conversions of the NCHWc blocked kernels, see docs/ContribOperators of ONNX Runtime.
_INSERTED = ("ReorderInput", "ReorderOutput")


class OnnxRuntime:
    """The onnxruntime package that is installed."""

    @property
    def version(self) -> str:
        """Version of the onnxruntime package."""
        return str(ort.__version__)

    @property
    def build(self) -> str:
        """The compiler flags that ONNX Runtime says it was built with."""
        return str(ort.get_build_info())

    def open(
        self, files: Mapping[str, Path], options: Options, inputs: Sequence[TensorSpec] = ()
    ) -> OnnxSession:
        """Open the file of the role "model"; see ``Runtime.open``."""
        return OnnxSession(files["model"], options, inputs)


class OnnxSession:
    """An ONNX file that is open; see ``Session``."""

    def __init__(self, path: Path, options: Options, specs: Sequence[TensorSpec] = ()) -> None:
        self._path = path
        self._options = options
        self._session = _open(path, _session_options(options))
        given = {spec.name: spec for spec in specs}
        self._inputs = tuple(
            given.get(value.name, _spec(value)) for value in self._session.get_inputs()
        )
        self._outputs = tuple(map(_spec, self._session.get_outputs()))

    @property
    def inputs(self) -> tuple[TensorSpec, ...]:
        """What it takes, in order; an open dimension counts as 1."""
        return self._inputs

    @property
    def outputs(self) -> tuple[TensorSpec, ...]:
        """What it gives, in order."""
        return self._outputs

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Compute the outputs; see ``Session.run``."""
        names = [spec.name for spec in self._outputs]
        values = self._session.run(names, checked(self._inputs, inputs))
        return dict(zip(names, values, strict=True))

    def bind(self, inputs: Mapping[str, Array]) -> Callable[[], object]:
        """Return one inference with inputs and outputs bound; see ``Session.bind``."""
        return _bound(self._session, checked(self._inputs, inputs))

    def tensors(self, inputs: Mapping[str, Array]) -> Iterator[tuple[str, Array]]:
        """Yield every node's outputs; graph optimizations are off. See ``Session.tensors``."""
        model = self._path.read_bytes()
        outputs = {spec.name for spec in self._outputs}
        names = [name for node in onnx_wire.nodes(model) for name in node.outputs]
        more = [name for name in dict.fromkeys(names) if name not in outputs]
        options = _session_options(self._options)
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
        session = ort.InferenceSession(onnx_wire.with_outputs(model, more), options, _PROVIDERS)
        values = session.run(list(dict.fromkeys(names)), checked(self._inputs, inputs))
        yield from zip(dict.fromkeys(names), values, strict=True)

    def profile(self, inputs: Mapping[str, Array], runs: int) -> OpProfile:
        """Time every node with ONNX Runtime's own profiler; see ``Session.profile``."""
        feeds = checked(self._inputs, inputs)
        with tempfile.TemporaryDirectory() as folder:
            options = _session_options(self._options)
            options.enable_profiling = True
            options.profile_file_prefix = str(Path(folder, "trace"))
            options.optimized_model_filepath = str(Path(folder, "optimized.onnx"))
            session = _open(self._path, options)
            plain_ns, profiled_ns = interleave(self.bind(inputs), _bound(session, feeds), runs)
            trace = json.loads(Path(session.end_profiling()).read_text())
            executed = onnx_wire.nodes(Path(folder, "optimized.onnx").read_bytes())
        return _profile(trace, executed, plain_ns, profiled_ns)

    def close(self) -> None:
        """Give back what the session holds."""
        del self._session


def _session_options(options: Options) -> Any:
    made = ort.SessionOptions()
    made.intra_op_num_threads = options.threads
    made.inter_op_num_threads = 1
    made.log_severity_level = _ERRORS_ONLY
    return made


def _open(path: Path, options: Any) -> Any:
    if not path.is_file():
        raise ArtifactError(f"there is no file {path}")
    try:
        return ort.InferenceSession(str(path), options, _PROVIDERS)
    except Exception as error:
        # The engine's exceptions share no base but Exception.
        words = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ArtifactError(
            f"ONNX Runtime cannot open {path} ({words}); it is damaged, no ONNX file, or holds an "
            "op that this version does not know"
        ) from error


def _spec(value: Any) -> TensorSpec:
    shape = tuple(size if isinstance(size, int) else 1 for size in value.shape)
    dtype = _DTYPES.get(value.type) or value.type.removeprefix("tensor(").removesuffix(")")
    return TensorSpec(
        name=value.name, shape=shape, dtype=dtype, layout="NCHW" if len(shape) == 4 else ""
    )


def _bound(session: Any, feeds: Mapping[str, Array]) -> Callable[[], object]:
    binding = session.io_binding()
    for name, array in feeds.items():
        binding.bind_ortvalue_input(name, ort.OrtValue.ortvalue_from_numpy(array))
    for output in session.get_outputs():
        binding.bind_output(output.name)

    def once() -> None:
        session.run_with_iobinding(binding)

    try:
        once()
    except Exception as error:
        raise InputError(f"ONNX Runtime cannot run this network: {error}") from error
    return once


def _profile(
    trace: Sequence[Mapping[str, Any]],
    executed: Sequence[onnx_wire.Node],
    plain_ns: Sequence[int],
    profiled_ns: Sequence[int],
) -> OpProfile:
    runs = _runs(trace)
    # Binding makes one run more than `interleave` asked for: the first.
    kept = [runs[1:][index] for index in counted(len(runs) - 1)]
    names = [event["name"] for event in kept[0]]
    if any([event["name"] for event in run] != names for run in kept):
        raise LaunchError(
            "ONNX Runtime's profiler lost events, so no run of it can be trusted; "
            "profile fewer runs"
        )
    by_name = {node.name: node for node in executed}
    return OpProfile(
        ops=tuple(_op(event, by_name) for event in kept[0]),
        times_ns=tuple(
            tuple(event["dur"] * 1000 for event in column) for column in zip(*kept, strict=True)
        ),
        profiled_ns=tuple(profiled_ns),
        plain_ns=tuple(plain_ns),
    )


def _runs(trace: Sequence[Mapping[str, Any]]) -> list[list[Mapping[str, Any]]]:
    """Return the node events of each run; a "model_run" event ends one."""
    runs: list[list[Mapping[str, Any]]] = []
    current: list[Mapping[str, Any]] = []
    for event in sorted(trace, key=lambda event: event["ts"] + event["dur"]):
        if event["cat"] == "Node" and event["name"].endswith("_kernel_time"):
            current.append(event)
        elif event["name"] == "model_run":
            runs.append(sorted(current, key=lambda event: event["ts"]))
            current = []
    return runs


def _op(event: Mapping[str, Any], by_name: Mapping[str, onnx_wire.Node]) -> ProfiledOp:
    name = event["name"].removesuffix("_kernel_time")
    node = by_name.get(name)
    # A blocked convolution is named after the tensor that it computes, its output is a token.
    blocked = name.removesuffix("_nchwc")
    outputs = (blocked,) if blocked != name else node.outputs if node else ()
    type = event["args"]["op_name"]
    return ProfiledOp(name=name, type=type, outputs=outputs, inserted=type in _INSERTED)
