"""ncnn files: layers that ncnn has, fused as its own kernels want them. Oracle: torch."""

import ncnn
import numpy as np
import pytest
import torch

from groundspeed.artifact import File
from groundspeed.errors import ConverterFailed, ExportError, UnsupportedOp
from groundspeed.export import to_ncnn
from groundspeed.export.prepare import prepare
from groundspeed.export.to_ncnn import NcnnWriter


def layers(folder):
    return [line.split()[0] for line in (folder / "model.param").read_text().splitlines()[2:]]


def outputs(folder, prepared, names):
    net = ncnn.Net()
    net.opt.use_fp16_storage = net.opt.use_fp16_arithmetic = False
    assert net.load_param(str(folder / "model.param")) == 0
    assert net.load_model(str(folder / "model.bin")) == 0
    with net.create_extractor() as extractor:
        for index, tensor in enumerate(prepared.inputs):
            extractor.input(f"in{index}", ncnn.Mat(tensor[0].numpy()).clone())
        return [np.array(extractor.extract(name)[1])[None] for name in names]


def assert_computes(folder, prepared, made, *, tolerance):
    with torch.no_grad():
        expected = torch.utils._pytree.tree_leaves(prepared.reference(*prepared.inputs))
    answers = outputs(folder, prepared, [spec.name for spec in made.outputs])
    for answer, tensor, spec in zip(answers, expected, made.outputs, strict=True):
        assert spec.shape == tuple(tensor.shape)
        np.testing.assert_allclose(answer, tensor.numpy(), rtol=tolerance, atol=tolerance)


def test_layers_are_those_that_ncnn_has_a_kernel_for(written, small, tmp_path):
    made = written(NcnnWriter(), "ncnn", small)
    assert layers(tmp_path) == [
        *("Input", "Convolution", "Pooling", "Slice", "Convolution", "ConvolutionDepthWise"),
        *("Concat", "ShuffleChannel", "Pooling", "InnerProduct"),
    ]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model.bin", "model.param"]
    assert made.files == (
        File.of("param", tmp_path / "model.param"),
        File.of("bin", tmp_path / "model.bin"),
    )
    assert made.inputs[0].shape == (1, 3, 32, 32)
    assert_computes(tmp_path, small, made, tolerance=1e-5)


def test_fp16_halves_the_weights(written, small, tmp_path):
    full = written(NcnnWriter(), "ncnn", small)
    half = written(NcnnWriter(), "ncnn", small, precision="fp16")
    weights, biases = 16 * 27 + 8 * 8 + 8 * 9 + 10 * 16, 16 + 8 + 8 + 10
    assert full.files[1].size_bytes == pytest.approx(4 * (weights + biases), rel=0.02)
    assert half.files[1].size_bytes == pytest.approx(2 * weights + 4 * biases, rel=0.02)
    assert_computes(tmp_path, small, half, tolerance=1e-2)


def test_several_inputs_and_a_dict_for_an_answer(written, two_heads, tmp_path):
    made = written(NcnnWriter(), "ncnn", two_heads)
    assert [spec.name for spec in made.inputs] == ["in0", "in1"]
    assert [spec.name for spec in made.outputs] == ["out0", "out1"]
    assert_computes(tmp_path, two_heads, made, tolerance=1e-5)


def test_an_op_that_ncnn_lacks_is_named_although_pnnx_is_content(written, unsayable):
    with pytest.raises(UnsupportedOp, match="i0e"):
        written(NcnnWriter(), "ncnn", unsayable)


def test_a_batch_is_refused(written):
    prepared = prepare(torch.nn.ReLU(), [torch.randn(2, 3, 8, 8)])
    with pytest.raises(ExportError, match="one sample at a time, not 2"):
        written(NcnnWriter(), "ncnn", prepared)


def test_channels_last_is_refused(written, small):
    with pytest.raises(ExportError, match="NHWC"):
        written(NcnnWriter(), "ncnn", small, layout="NHWC")


def test_a_pnnx_that_writes_nothing_is_quoted(written, small, tmp_path, monkeypatch):
    broken = tmp_path / "pnnx"
    broken.write_text("#!/bin/sh\necho cannot do this\n")
    broken.chmod(0o755)
    monkeypatch.setattr(to_ncnn.pnnx, "EXEC_PATH", str(broken))
    with pytest.raises(ConverterFailed, match=r"exit code 0\): cannot do this"):
        written(NcnnWriter(), "ncnn", small)


def test_padding_with_infinity_is_written_as_ncnn_can_read_it(tmp_path):
    class LopsidedPool(torch.nn.Module):
        def forward(self, x):
            padded = torch.nn.functional.pad(x, (0, 1, 0, 1), value=float("-inf"))
            return torch.nn.functional.max_pool2d(padded, 3, 2)

    prepared = prepare(LopsidedPool(), (torch.randn(1, 4, 8, 8) - 5,))
    made = NcnnWriter().write(
        prepared.program.module(), prepared.inputs, tmp_path, precision="fp32", layout=None
    )
    assert_computes(tmp_path, prepared, made, tolerance=1e-6)
