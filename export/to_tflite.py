"""TFLite: litert-torch, with images channel-last as the format's own kernels read them."""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

# Read by litert-torch when it is imported.
os.environ.setdefault("LITERT_TORCH_SHOW_PROGRESS", "n")

import litert_torch
import torch
from ai_edge_litert.interpreter import Interpreter
from ai_edge_quantizer import qtyping, quantizer
from ai_edge_quantizer.algorithm_manager import AlgorithmName
from torch import nn
from torch.fx import GraphModule

from groundspeed.artifact import File, Step, TensorSpec
from groundspeed.errors import ExportError, UnsupportedOp
from groundspeed.export.writer import NCHW, NHWC, Written, layout_of

FILE = "model.tflite"
_UNKNOWN = re.compile(r"Lowering not found: ([\w.:]+)")


class TfliteWriter:
    """Writes one ``.tflite`` file; see ``Writer``.

    Tensors with four dimensions are taken and given channel-last unless the caller wants NCHW:
    that is how TFLite's kernels read them, and it saves a TRANSPOSE at each end.
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
        """Write ``model.tflite``; see ``Writer.write``."""
        layout = layout or NHWC
        path = folder / FILE
        network, samples = _laid_out(graph_module, inputs, layout)
        _convert(network, samples, path)
        note = f"images and feature maps at the ends are {layout}"
        steps = [
            Step(name="to_tflite", by=f"litert-torch {version('litert-torch')}", notes=(note,))
        ]
        if precision == "fp16":
            steps.append(_halve_weights(path))
        signature = _signature(path)
        return Written(
            files=(File.of("model", path),),
            inputs=_specs(signature.get_input_details(), layout),
            outputs=_specs(signature.get_output_details(), layout),
            steps=tuple(steps),
        )


def _laid_out(
    graph_module: GraphModule, inputs: Sequence[torch.Tensor], layout: str
) -> tuple[nn.Module, tuple[torch.Tensor, ...]]:
    """Return the network and example inputs with four-dimensional tensors in ``layout``."""
    if layout == NCHW:
        return graph_module, tuple(inputs)
    with torch.no_grad():
        outputs = graph_module(*inputs)
    outputs = (outputs,) if isinstance(outputs, torch.Tensor) else tuple(outputs)
    network = litert_torch.to_channel_last_io(
        graph_module, args=_images(inputs), outputs=_images(outputs)
    )
    samples = [
        input.permute(0, 2, 3, 1).contiguous() if layout_of(input.shape) else input
        for input in inputs
    ]
    return network, tuple(samples)


def _images(tensors: Sequence[torch.Tensor]) -> list[int]:
    return [position for position, tensor in enumerate(tensors) if layout_of(tensor.shape)]


def _convert(network: nn.Module, samples: tuple[torch.Tensor, ...], path: Path) -> None:
    with warnings.catch_warnings():
        # It warns that a traced graph has no eval mode, and of PyTorch's internals.
        warnings.simplefilter("ignore")
        try:
            litert_torch.convert(network, samples).export(str(path))
        except RuntimeError as error:
            unknown = _UNKNOWN.search(str(error))
            if unknown:
                raise UnsupportedOp(
                    f"TFLite has no way to say {unknown[1]}; compute it outside the network, or "
                    "with other ops"
                ) from error
            lines = str(error).strip().splitlines() or [type(error).__name__]
            raise ExportError(f"litert-torch failed: {lines[0]}") from error


def _halve_weights(path: Path) -> Step:
    """Store the weights of a float32 file in float16; the runtime casts or computes as it can."""
    config = qtyping.OpQuantizationConfig(
        weight_tensor_config=qtyping.TensorQuantizationConfig(
            num_bits=16, dtype=qtyping.TensorDataType.FLOAT
        ),
        compute_precision=qtyping.ComputePrecision.FLOAT,
    )
    casting = quantizer.Quantizer(path)
    casting.update_quantization_recipe(
        regex=".*",
        operation_name=qtyping.TFLOperationName.ALL_SUPPORTED,
        op_config=config,
        algorithm_key=AlgorithmName.FLOAT_CASTING,
    )
    half = casting.quantize(enable_progress_bar=False, enable_progress_report=False)
    path.write_bytes(half.quantized_model)
    by = f"ai-edge-quantizer {version('ai-edge-quantizer')}"
    return Step(name="float16", by=by, notes=("weights of convolutions and linears in float16",))


def _signature(path: Path) -> Any:
    """Open the file, which proves that the runtime has all its ops, and return its signature."""
    interpreter = Interpreter(model_path=str(path))
    try:
        interpreter.allocate_tensors()
    except RuntimeError as error:
        reason = str(error).strip().splitlines()[0]
        raise UnsupportedOp(
            f"LiteRT cannot run what litert-torch wrote ({reason}); compute these ops outside the "
            "network, or with others"
        ) from error
    (name,) = interpreter.get_signature_list()
    return interpreter.get_signature_runner(name)


def _specs(details: dict[str, dict[str, Any]], layout: str) -> tuple[TensorSpec, ...]:
    """Return the specs of a signature's tensors, which are called ``args_0``, ``args_1``, …."""
    specs = []
    for name in sorted(details, key=lambda name: int(name.rpartition("_")[2])):
        shape = tuple(int(size) for size in details[name]["shape"])
        dtype = details[name]["dtype"].__name__
        specs.append(
            TensorSpec(name=name, shape=shape, dtype=dtype, layout=layout_of(shape, layout))
        )
    return tuple(specs)
