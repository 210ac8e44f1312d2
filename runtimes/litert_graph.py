"""What a TFLite file says of itself, read through the interpreter of either package.

ai-edge-litert's interpreter also runs FlatBuffers' verifier over the file. The compiled model does
not: it ends the process with a segmentation fault on a file that was cut short, so this comes
first. tflite-runtime verifies nothing: there, a damaged file ends the process.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from groundspeed.artifact import TensorSpec
from groundspeed.errors import ArtifactError

try:
    engine: Any = importlib.import_module("ai_edge_litert.interpreter")
except ModuleNotFoundError as missing:
    try:
        engine = importlib.import_module("tflite_runtime.interpreter")
    except ModuleNotFoundError:
        # Advice should name the package that is maintained, not the one that it replaced.
        raise missing from None

PACKAGE: str = engine.__name__.partition(".")[0].replace("_", "-")
_PLAIN_KERNELS = engine.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES


@dataclass(frozen=True, kw_only=True)
class Node:
    """One operator of the file.

    Attributes:
        op: its kind, in the words of the TFLite schema ("CONV_2D").
        inputs: names of the tensors that it reads.
        outputs: names of the tensors that it computes.
    """

    op: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


def plain_interpreter(path: Path, threads: int = 1) -> Any:
    """Return an interpreter that runs the file op by op and keeps every tensor.

    Raises:
        ArtifactError: the file is cut short, or no TFLite file.
    """
    try:
        return engine.Interpreter(
            str(path),
            num_threads=threads,
            experimental_op_resolver_type=_PLAIN_KERNELS,
            experimental_preserve_all_tensors=True,
        )
    except (ValueError, RuntimeError) as error:
        raise ArtifactError(
            f"{path} is damaged or no TFLite file ({first_line(error)}); export it again"
        ) from error


def input_specs(interpreter: Any, known: Sequence[TensorSpec]) -> tuple[TensorSpec, ...]:
    """Return what the file takes; layouts come from ``known`` where the names agree."""
    layouts = {spec.name: spec.layout for spec in known}
    specs = _specs(_details(interpreter, "input"))
    return tuple(replace(spec, layout=layouts.get(spec.name, spec.layout)) for spec in specs)


def output_specs(interpreter: Any) -> tuple[TensorSpec, ...]:
    """Return what the file gives."""
    return _specs(_details(interpreter, "output"))


def input_indices(interpreter: Any) -> dict[str, int]:
    """Return the tensor index of each input."""
    return {name: int(detail["index"]) for name, detail in _details(interpreter, "input").items()}


def output_indices(interpreter: Any) -> dict[str, int]:
    """Return the tensor index of each output."""
    return {name: int(detail["index"]) for name, detail in _details(interpreter, "output").items()}


def tensor_names(interpreter: Any) -> dict[int, str]:
    """Return the name of every tensor by its index."""
    return {detail["index"]: detail["name"] for detail in interpreter.get_tensor_details()}


def computed(interpreter: Any) -> list[int]:
    """Return the indices of the tensors that operators compute, in order of computation."""
    operators = interpreter._get_ops_details()
    return [int(index) for operator in operators for index in operator["outputs"]]


def real_values(interpreter: Any) -> Iterator[tuple[str, NDArray[np.generic]]]:
    """Yield name and value of the tensors that operators computed, in order of computation.

    Integers with a scale come as the real values that they stand for, in float32.
    """
    details = {detail["index"]: detail for detail in interpreter.get_tensor_details()}
    for index in computed(interpreter):
        value = interpreter.get_tensor(index)
        scale, zero_point = details[index]["quantization"]
        if scale:
            value = np.float32(scale) * (value.astype(np.float32) - np.float32(zero_point))
        yield details[index]["name"], value


def nodes(interpreter: Any) -> list[Node]:
    """Return the operators in order of execution."""
    names = tensor_names(interpreter)
    return [
        Node(
            op=operator["op_name"],
            # An optional input that is not given has the index -1; constants may have no name.
            inputs=tuple(names[index] for index in operator["inputs"] if index in names),
            outputs=tuple(names[index] for index in operator["outputs"]),
        )
        for operator in interpreter._get_ops_details()
    ]


def _details(interpreter: Any, side: str) -> dict[str, Mapping[str, Any]]:
    """Return name -> details of the inputs or outputs.

    Names are those of the first signature, which LiteRT runs too; without a signature, those of
    the tensors.
    """
    signatures = list(interpreter.get_signature_list())
    if signatures:
        runner = interpreter.get_signature_runner(signatures[0])
        return dict(getattr(runner, f"get_{side}_details")())
    return {detail["name"]: detail for detail in getattr(interpreter, f"get_{side}_details")()}


def _specs(details: Mapping[str, Mapping[str, Any]]) -> tuple[TensorSpec, ...]:
    return tuple(_spec(name, detail) for name, detail in details.items())


def _spec(name: str, detail: Mapping[str, Any]) -> TensorSpec:
    scale, zero_point = detail["quantization"]
    quantized = scale != 0
    shape = tuple(int(size) for size in detail["shape_signature"])
    if min(shape, default=1) < 1:
        raise ArtifactError(
            f"'{name}' has an open dimension in its shape {list(shape)}; export it with fixed "
            "shapes, since a latency belongs to one shape"
        )
    return TensorSpec(
        name=name,
        shape=shape,
        dtype=np.dtype(detail["dtype"]).name,
        layout="NHWC" if len(shape) == 4 else "",
        scale=float(scale) if quantized else None,
        zero_point=int(zero_point) if quantized else None,
    )


def first_line(error: Exception) -> str:
    """Return what an engine's error says first, the rest being its call stack."""
    return str(error).partition("\n")[0] or type(error).__name__
