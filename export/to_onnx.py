"""ONNX: PyTorch's own exporter, then onnxsim, then a proof that the file is well formed."""

from __future__ import annotations

import re
import warnings
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

import onnx
import onnxsim
import torch
from onnx import ModelProto, ValueInfoProto
from torch.fx import GraphModule

from groundspeed.artifact import File, Step, TensorSpec
from groundspeed.errors import ConverterFailed, ExportError, MissingExtra, UnsupportedOp
from groundspeed.export.writer import NCHW, Written, layout_of

OPSET = 18
FILE = "model.onnx"
_OP = re.compile(r"op='([\w.:]+)'")


class OnnxWriter:
    """Writes one ``.onnx`` file with the weights inside; see ``Writer``.

    Tensors keep the names of the nodes of the canonical graph that compute them.
    """

    def write(
        self,
        graph_module: GraphModule,
        inputs: Sequence[torch.Tensor],
        folder: Path,
        *,
        precision: str,
        layout: str | None,
    ) -> Written:
        """Write ``model.onnx``; see ``Writer.write``."""
        check_layout(layout)
        model = _exported(graph_module, inputs)
        step = Step(name="to_onnx", by=f"torch {torch.__version__}", notes=(f"opset {OPSET}",))
        return finish(model, folder, precision=precision, steps=(step,))


def check_layout(layout: str | None) -> None:
    """Make sure that ONNX has a layout for image inputs.

    Raises:
        ExportError: it has not.
    """
    if layout not in (None, NCHW):
        raise ExportError(f"ONNX convolutions read NCHW, not {layout}; leave --layout out")


def finish(
    model: ModelProto, folder: Path, *, precision: str, steps: Sequence[Step] = ()
) -> Written:
    """Simplify a model, write it as ``model.onnx`` and prove that it is well formed.

    Args:
        model: the model, with fixed shapes.
        folder: where the file goes; it exists.
        precision: "fp32" or "fp16".
        steps: what was done to the model before.

    Raises:
        ExportError: a converter failed.
        MissingExtra: float16 is asked for, and ONNX Runtime's converter is not installed.
    """
    model = _simplified(model)
    done = [*steps, Step(name="simplify", by=f"onnxsim {version('onnxsim')}")]
    if precision == "fp16":
        model, step = _half(model)
        done.append(step)
    path = folder / FILE
    onnx.save(model, path)
    onnx.checker.check_model(path, full_check=True)
    return Written(
        files=(File.of("model", path),),
        inputs=tuple(map(_spec, model.graph.input)),
        outputs=tuple(map(_spec, model.graph.output)),
        steps=tuple(done),
    )


def _exported(graph_module: GraphModule, inputs: Sequence[torch.Tensor]) -> ModelProto:
    with warnings.catch_warnings():
        # The exporter warns about its own internals (copyreg, deprecated pytree calls).
        warnings.simplefilter("ignore")
        try:
            program = torch.onnx.export(
                graph_module, tuple(inputs), dynamo=True, opset_version=OPSET, verbose=False
            )
        except torch.onnx.OnnxExporterError as error:
            raise _explained(error) from error
    assert program is not None
    return program.model_proto


def _explained(error: Exception) -> ExportError:
    """Return what the exporter's page of advice says in one sentence."""
    message = str(error)
    lines = message.partition("## Exception summary")[2].strip().splitlines()
    reason = lines[0] if lines else message.splitlines()[0]
    unknown = _OP.search(reason)
    if "No ONNX function found" in reason and unknown:
        return UnsupportedOp(
            f"ONNX has no way to say {unknown[1]}; compute it outside the network, or with other "
            "ops"
        )
    return ExportError(f"PyTorch's ONNX exporter failed: {reason}")


def _simplified(model: ModelProto) -> ModelProto:
    simple, same = onnxsim.simplify(model)
    if not same:
        raise ConverterFailed(
            f"onnxsim {version('onnxsim')} changed what the network computes; install another "
            "version"
        )
    assert isinstance(simple, ModelProto)
    return simple


def _half(model: ModelProto) -> tuple[ModelProto, Step]:
    """Return the model with float16 weights and arithmetic; inputs and outputs stay float32."""
    try:
        from onnxruntime.transformers.float16 import convert_float_to_float16
        from onnxruntime.transformers.onnx_model import OnnxModel
    except ModuleNotFoundError as error:
        raise MissingExtra(
            f"float16 ONNX needs the package '{error.name}': pip install 'groundspeed[to-onnx]'"
        ) from error
    half = convert_float_to_float16(model, keep_io_types=True)
    # It appends the casts of the inputs at the end.
    OnnxModel(half).topological_sort(is_deterministic=True)
    note = "weights and arithmetic in float16, inputs and outputs in float32"
    step = Step(name="float16", by=f"onnxruntime {version('onnxruntime')}", notes=(note,))
    return half, step


def _spec(value: ValueInfoProto) -> TensorSpec:
    tensor = value.type.tensor_type
    shape = tuple(dimension.dim_value for dimension in tensor.shape.dim)
    return TensorSpec(
        name=value.name,
        shape=shape,
        dtype=str(onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type)),
        layout=layout_of(shape),
    )
