"""ncnn: a TorchScript trace of the canonical graph, converted by pnnx."""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
import warnings
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

import ncnn
import pnnx
import torch
from torch.fx import GraphModule

from groundspeed.artifact import File, Step, TensorSpec
from groundspeed.errors import ConverterFailed, ExportError, UnsupportedOp
from groundspeed.export.writer import NCHW, Written, layout_of

PARAM, BIN = "model.param", "model.bin"
# pnnx's names of the element types that ncnn can take as an input.
_DTYPES = {torch.float32: "f32", torch.float16: "f16", torch.int32: "i32", torch.int64: "i64"}
_LAST_LINES = 5
_INFINITY = re.compile(r"(?<==)(-?)inf\b")


class NcnnWriter:
    """Writes ``model.param`` and ``model.bin``; see ``Writer``.

    Inputs are called in0, in1, …, outputs out0, out1, …, as pnnx does. ncnn's blobs have no batch
    dimension, the specs of inputs and outputs keep it: it is 1.
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
        """Write both files; see ``Writer.write``."""
        if layout not in (None, NCHW):
            raise ExportError(f"ncnn's blobs are NCHW, not {layout}; leave --layout out")
        for input in inputs:
            if input.dim() > 1 and input.shape[0] != 1:
                raise ExportError(
                    f"ncnn computes one sample at a time, not {input.shape[0]}; export with "
                    "--input-shape 1,..."
                )
        outputs, traced = _traced(graph_module, inputs)
        with tempfile.TemporaryDirectory() as scratch:
            # By way of memory: torch's own writer ends the process when the disk is full.
            (Path(scratch) / "network.pt").write_bytes(traced.save_to_buffer())
            _convert(Path(scratch), inputs, folder, half=precision == "fp16")
        _make_finite(folder / PARAM)
        _check_layers(folder / PARAM)
        notes = ("weights in float16",) if precision == "fp16" else ()
        return Written(
            files=(File.of("param", folder / PARAM), File.of("bin", folder / BIN)),
            inputs=_specs("in", inputs),
            outputs=_specs("out", outputs),
            steps=(Step(name="to_ncnn", by=f"pnnx {version('pnnx')}", notes=notes),),
        )


def _traced(
    graph_module: GraphModule, inputs: Sequence[torch.Tensor]
) -> tuple[tuple[torch.Tensor, ...], torch.jit.ScriptModule]:
    """Return the network's outputs, and its TorchScript."""
    with torch.no_grad(), warnings.catch_warnings():
        # TorchScript is deprecated, and still the only thing that pnnx reads well.
        warnings.simplefilter("ignore")
        outputs = graph_module(*inputs)
        traced = torch.jit.trace(  # type: ignore[no-untyped-call]
            graph_module, tuple(inputs), check_trace=False
        )
    assert isinstance(traced, torch.jit.ScriptModule)
    return (outputs,) if isinstance(outputs, torch.Tensor) else tuple(outputs), traced


def _convert(scratch: Path, inputs: Sequence[torch.Tensor], folder: Path, *, half: bool) -> None:
    """Run pnnx; it writes eight files, of which ncnn needs two."""
    shapes = ",".join(map(_described, inputs))
    command = [
        pnnx.EXEC_PATH,
        "network.pt",
        f"inputshape={shapes}",
        f"fp16={int(half)}",
    ]
    done = subprocess.run(
        command, cwd=scratch, capture_output=True, encoding="utf-8", errors="replace", check=False
    )
    made = {scratch / "network.ncnn.param": PARAM, scratch / "network.ncnn.bin": BIN}
    # The exit code is 0 even when ops were left unconverted, so that it proves nothing.
    if not all(path.is_file() for path in made):
        said = " | ".join((done.stdout + done.stderr).strip().splitlines()[-_LAST_LINES:])
        raise ConverterFailed(
            f"pnnx {version('pnnx')} wrote no ncnn files (exit code {done.returncode}): {said}"
        )
    for path, name in made.items():
        # Copied, because pnnx says nothing when there is no space left where it writes.
        shutil.copyfile(path, folder / name)


def _described(input: torch.Tensor) -> str:
    if input.dtype not in _DTYPES:
        raise ExportError(
            f"ncnn takes no inputs of {input.dtype}; convert them outside the network"
        )
    return f"[{','.join(map(str, input.shape))}]{_DTYPES[input.dtype]}"


def _make_finite(param: Path) -> None:
    """Replace infinite parameters by the largest float, for ncnn cannot read ``inf``.

    Maximum pooling with padding on one side only pads with minus infinity, for example.
    """
    largest = f"{torch.finfo(torch.float32).max:e}"
    param.write_text(_INFINITY.sub(rf"\g<1>{largest}", param.read_text()))


def _check_layers(param: Path) -> None:
    """Make sure that ncnn knows every layer; pnnx writes what it cannot convert under its own name.

    Raises:
        UnsupportedOp: it does not; the message names the layers' types.
    """
    layers = param.read_text().splitlines()[2:]
    types = dict.fromkeys(line.split()[0] for line in layers)
    unknown = [type for type in types if ncnn.layer_to_index(type) < 0]
    if unknown:
        raise UnsupportedOp(
            f"ncnn has no layer for {', '.join(unknown)}; compute it outside the network, or with "
            "other ops"
        )


def _specs(prefix: str, tensors: Sequence[torch.Tensor]) -> tuple[TensorSpec, ...]:
    return tuple(
        TensorSpec(
            name=f"{prefix}{position}",
            shape=tuple(tensor.shape),
            dtype=str(tensor.dtype).removeprefix("torch."),
            layout=layout_of(tensor.shape),
        )
        for position, tensor in enumerate(tensors)
    )
