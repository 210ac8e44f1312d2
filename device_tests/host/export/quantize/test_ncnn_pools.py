"""Mirrored behind maximum pooling. Oracle: zero points as everybody else has them, in float64."""

import tempfile
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import settings as hypothesis
from hypothesis import strategies as st
from torch.nn import functional

from groundspeed.artifact import File, TensorSpec
from groundspeed.export.quantize.ncnn_int8 import NcnnQuantizer
from groundspeed.export.writer import Written
from groundspeed.measurement import Options
from groundspeed.quantization import Calibration, Quantization, Range, quantized, weight_scales
from groundspeed.runtimes.ncnn_bin import Blob, write_bin
from groundspeed.runtimes.ncnn_param import Layer, read_param, write_param
from groundspeed.runtimes.on_ncnn import Ncnn

RELU = "9=1"
MAXIMUM, AVERAGE = ("0=0", "1=3", "2=2", "3=1"), ("0=1", "1=3", "2=2", "3=1")
HIGH = 6.0


class Stem:
    """A convolution, pooling, and two convolutions behind it: a full one and a depthwise one."""

    def __init__(self, channels, size, seed=0, *, activation=RELU, pooling=MAXIMUM, copies=2):
        self.random = np.random.default_rng(seed)
        self.weights, self.biases, self.size = {}, {}, size
        self.layers = [(Layer("Input", "in0", (), ("in0",), ()), ())]
        self.convolve("first", "in0", 3, channels, 3, activation)
        self.layers += [
            (Layer("Pooling", "pooled", ("first",), ("pooled",), pooling), ()),
            (Layer("Split", "split", ("pooled",), ("left", "right", "rest")[:copies], ()), ()),
        ]
        self.convolve("full", "left", channels, 8, size)
        self.convolve("depthwise", "right", channels, channels, size, groups=channels)

    def convolve(self, name, bottom, inputs, outputs, size, *more, groups=1):
        weight = self.random.standard_normal((outputs, inputs // groups, size, size))
        self.weights[name] = weight = weight.astype(np.float32)
        self.biases[name] = bias = self.random.standard_normal(outputs).astype(np.float32)
        numbers = {0: outputs, 1: size, 4: size // 2, 5: 1, 6: weight.size}
        if groups > 1:
            numbers[7] = groups
        parameters = (*(f"{key}={value}" for key, value in numbers.items()), *more)
        type = "ConvolutionDepthWise" if groups > 1 else "Convolution"
        blobs = (Blob(weight.ravel(), tagged=True), Blob(bias))
        self.layers.append((Layer(type, name, (bottom,), (name,), parameters), blobs))

    def quantized(self, folder, sample, **changed):
        """Write the files in integers; return a session."""
        found = dict.fromkeys(("first", "pooled"), Range(low=0.0, high=HIGH)) | changed
        ranges = {"in0": Range(low=-4.0, high=4.0), **found}
        paths = {"param": folder / "model.param", "bin": folder / "model.bin"}
        paths["param"].write_text(write_param(tuple(layer for layer, _ in self.layers)))
        paths["bin"].write_bytes(write_bin(blobs for _, blobs in self.layers))
        spec = TensorSpec(name="in0", shape=sample.shape, dtype="float32", layout="NCHW")
        files = tuple(File.of(role, path) for role, path in paths.items())
        written = Written(files=files, inputs=(spec,), outputs=())
        calibration = Calibration(observer="minmax", data="one", samples=1, ranges=ranges)
        made = NcnnQuantizer().quantize(
            written, folder, {name: name for name in ranges}, Quantization(calibration=calibration)
        )
        self.notes = " ".join(made.steps[-1].notes)
        return Ncnn().open(paths, Options(precision="int8"), written.inputs)


def sample_of(random):
    return random.standard_normal((1, 3, 17, 17)).astype(np.float32)


@given(
    channels=st.sampled_from([4, 8, 13, 16]), size=st.sampled_from([1, 3]), seed=st.integers(0, 999)
)
@hypothesis(deadline=None, max_examples=30)
def test_what_is_pooled_has_254_steps_at_borders_too(channels, size, seed):
    stem = Stem(channels, size, seed)
    sample = sample_of(stem.random)
    with tempfile.TemporaryDirectory() as folder:
        held = dict(stem.quantized(Path(folder), sample).tensors({"in0": sample}))
    pooled, step = held["pooled"].astype(np.float64), HIGH / 254
    expected = functional.max_pool2d(torch.from_numpy(held["first"]), 3, 2, 1).numpy()
    np.testing.assert_array_equal(held["pooled"], expected)
    taken = torch.from_numpy(np.rint(pooled / step).clip(0, 254) * step)
    for name, groups in (("full", 1), ("depthwise", channels)):
        weight = stem.weights[name]
        scales = weight_scales(weight, per_channel=True).reshape(-1, 1, 1, 1)
        integers = quantized(weight, scales) * scales.astype(np.float64)
        answer = functional.conv2d(
            taken,
            torch.from_numpy(integers),
            torch.tensor(stem.biases[name], dtype=torch.float64),
            padding=size // 2,
            groups=groups,
        )
        # A value in the middle of two integers may be rounded either way; and x86's depthwise
        # kernels divide by what is right to 12 bits.
        sums = float(np.abs(integers).sum((1, 2, 3)).max()) * HIGH
        off = np.abs(held[name] - answer.numpy())
        assert off.max() <= 1.01 * step * np.abs(integers).max() + 1e-3 * sums
        assert np.median(off) <= (1e-3 if groups > 1 else 1e-6) * sums


def test_a_blobs_name_means_in_both_files_the_same(tmp_path):
    """Tensors are tied to the network's ops by name, before there are integers."""
    stem = Stem(8, 3)
    sample = sample_of(stem.random)
    held = dict(stem.quantized(tmp_path, sample).tensors({"in0": sample}))
    assert set(held) >= {"first", "pooled", "full", "depthwise"}
    assert not {"left", "right"} & set(held)
    np.testing.assert_allclose(held["left_mirrored"], HIGH / 2 - held["pooled"], atol=1e-5)
    assert "mirrored behind maximum pooling, to be rounded with all 8 bits: pooled" in stem.notes


@pytest.mark.parametrize(
    ("options", "changed"),
    [
        ({"pooling": AVERAGE}, {}),
        ({"activation": "9=0"}, {"pooled": Range(low=-HIGH, high=HIGH)}),
        ({"copies": 3}, {}),  # one is an output of the network
        ({}, {"pooled": Range(low=0.0, high=0.0)}),
    ],
)
def test_what_stays_as_it_is(options, changed, tmp_path):
    stem = Stem(8, 3, **options)
    stem.quantized(tmp_path, sample_of(stem.random), **changed)
    layers = read_param(tmp_path / "model.param")
    assert [layer.type for layer in layers] == [layer.type for layer, _ in stem.layers]
    assert [layer.number(18) for layer in layers] == [0] * len(layers)
    assert "mirrored" not in stem.notes


def test_no_layer_loses_winograds_method_for_it(tmp_path):
    """Sums of 128 channels may fit into 32 bits only because no integer is negative."""
    stem = Stem(128, 3)
    weight = stem.weights["full"].reshape(8, -1)
    weight[:] = weight.clip(-3, 3)
    weight[:, 0] = 3
    stem.quantized(tmp_path, sample_of(stem.random))
    full = next(each for each in read_param(tmp_path / "model.param") if each.name == "full")
    assert (full.number(18), full.integer(31)) == (0, 0)
