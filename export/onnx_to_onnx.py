"""An ONNX graph that could not be imported, written for ONNX Runtime: folded and simplified.

Runs in the converter's child process, as onnxsim and ONNX Runtime may crash on what they are given.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import onnx
import onnxruntime
import torch
from onnx import ModelProto

from groundspeed.artifact import Parity
from groundspeed.errors import ExportError, UnsupportedOp
from groundspeed.export.check import compare, open_written
from groundspeed.export.fold_onnx import fold_onnx
from groundspeed.export.from_onnx import declared_inputs, example_inputs
from groundspeed.export.parity import TOLERANCES, check_inputs
from groundspeed.export.prepare import fold_step
from groundspeed.export.to_onnx import check_layout, finish
from groundspeed.export.writer import Written

# Older files list every weight as an input that a caller may replace: so nothing can be fused.
FIRST_IR_WITH_CONSTANT_WEIGHTS = 4


def write_graph(
    path: Path, folder: Path, *, runtime: str, precision: str, layout: str | None
) -> tuple[Written, Parity]:
    """Write ``model.onnx`` from the model at ``path``, and compare what the two compute.

    Args:
        path: the model as it was given.
        folder: where the file goes; it exists and is empty.
        runtime: the runtime that the written file is checked with.
        precision: "fp32" or "fp16".
        layout: "NCHW" or None.

    Raises:
        UnsupportedOp: ONNX Runtime does not know an op of the model either.
        ExportError: it cannot be written for another reason.
    """
    check_layout(layout)
    model = onnx.load(path)
    inputs, _ = example_inputs(model)
    for value, example in zip(declared_inputs(model.graph), inputs, strict=True):
        _set_shape(value, list(example.shape))
    original = _unoptimized(model)
    for value, output in zip(model.graph.output, original.get_outputs(), strict=True):
        _set_shape(value, output.shape)
    folded_model, folded = fold_onnx(model)
    _make_weights_constant(folded_model)
    written = finish(folded_model, folder, precision=precision, steps=(fold_step(folded),))
    with closing(open_written(written, folder, runtime=runtime, precision=precision)) as session:
        parity = compare(
            session,
            _callable(original),
            check_inputs(inputs),
            written,
            tolerance=TOLERANCES[precision],
        )
    reference = "the original file in ONNX Runtime, without optimization"
    return written, dataclasses.replace(parity, reference=reference)


def _unoptimized(model: ModelProto) -> onnxruntime.InferenceSession:
    """Open a model so that every node is computed as the file says."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 3  # errors only
    try:
        return onnxruntime.InferenceSession(
            model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
    # The engine's exceptions have no common base of their own, only Exception.
    except Exception as error:
        reason = str(error).strip().partition("\n")[0]
        raise UnsupportedOp(
            f"ONNX Runtime cannot run this ONNX file ({reason}); write it without that op"
        ) from error


def _callable(session: onnxruntime.InferenceSession) -> Callable[..., tuple[torch.Tensor, ...]]:
    """Return a session as what torch networks are: a function from tensors to tensors."""
    names = [value.name for value in session.get_inputs()]

    def network(*inputs: torch.Tensor) -> tuple[torch.Tensor, ...]:
        feeds = {name: tensor.numpy() for name, tensor in zip(names, inputs, strict=True)}
        return tuple(torch.from_numpy(array) for array in session.run(None, feeds))

    return network


def _set_shape(value: onnx.ValueInfoProto, shape: list[int | str | None]) -> None:
    """Declare the shape of an input or output.

    Raises:
        ExportError: a size is not known before the network runs.
    """
    if not all(isinstance(size, int) for size in shape):
        raise ExportError(
            f"the size of output '{value.name}' depends on the data, so no one latency belongs to "
            "the network; cut the file before the op that decides on it"
        )
    elements = value.type.tensor_type.elem_type
    value.CopyFrom(onnx.helper.make_tensor_value_info(value.name, elements, shape))


def _make_weights_constant(model: ModelProto) -> None:
    inputs = declared_inputs(model.graph)
    del model.graph.input[:]
    model.graph.input.extend(inputs)
    model.ir_version = max(model.ir_version, FIRST_IR_WITH_CONSTANT_WEIGHTS)
