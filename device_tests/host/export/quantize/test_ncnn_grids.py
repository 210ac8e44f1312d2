"""Integers that are mirrored. Oracle: zero points as everybody else has them, in float64."""

import tempfile
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import assume, example, given
from hypothesis import settings as hypothesis
from hypothesis import strategies as st
from torch.nn import functional

from groundspeed.artifact import File, TensorSpec
from groundspeed.export.quantize.ncnn_grids import mirrored
from groundspeed.export.quantize.ncnn_int8 import NcnnQuantizer
from groundspeed.export.quantize.simulate import Simulation, layers
from groundspeed.export.writer import Written
from groundspeed.measurement import Options
from groundspeed.quantization import Calibration, Quantization, Range, weight_scales
from groundspeed.runtimes.ncnn_bin import Blob, read_bin, write_bin
from groundspeed.runtimes.ncnn_param import Layer, read_param, write_param
from groundspeed.runtimes.on_ncnn import Ncnn

RELU, CLIP, NONE = ("9=1",), ("9=3", "-23310=2,0.0,6.0"), ()
CLIPS = {RELU: (0.0, None), CLIP: (0.0, 6.0), NONE: (None, None)}


@st.composite
def chains(draw):
    """Draw three layers: (kind, outputs, size, stride, pad, activation, bias)."""
    channels, chain = draw(st.sampled_from([8, 13, 16])), []
    for kind in draw(st.lists(st.sampled_from(["full", "depthwise"]), min_size=3, max_size=3)):
        size = draw(st.sampled_from([1, 3]))
        outputs = channels if kind == "depthwise" else draw(st.sampled_from([8, 13, 16]))
        pad = draw(st.integers(0, size // 2))
        activation = draw(st.sampled_from([RELU, CLIP, NONE]))
        stride, has_bias = draw(st.sampled_from([1, 2])), draw(st.booleans())
        chain.append((kind, channels, outputs, size, stride, pad, activation, has_bias))
        channels = outputs
    return chain, draw(st.integers(0, 1000))


def network(chain, random):
    """Return the layers with their blobs, and (weight, bias, arguments, ends) of each."""
    made, plain = [(Layer("Input", "in0", (), ("in0",), ()), ())], []
    for index, (kind, inputs, outputs, size, stride, pad, activation, has_bias) in enumerate(chain):
        groups = inputs if kind == "depthwise" else 1
        weight = random.standard_normal((outputs, inputs // groups, size, size)).astype(np.float32)
        bias = random.standard_normal(outputs).astype(np.float32) * has_bias
        numbers = {0: outputs, 1: size, 3: stride, 4: pad, 5: int(has_bias), 6: weight.size}
        if groups > 1:
            numbers[7] = groups
        parameters = (*(f"{key}={value}" for key, value in numbers.items()), *activation)
        type = "ConvolutionDepthWise" if groups > 1 else "Convolution"
        bottom = made[-1][0].tops[0]
        blobs = (Blob(weight.ravel(), tagged=True), *([Blob(bias)] if has_bias else []))
        made.append(
            (Layer(type, f"layer{index}", (bottom,), (f"layer{index}",), parameters), blobs)
        )
        plain.append(
            (weight, bias, {"stride": stride, "padding": pad, "groups": groups}, CLIPS[activation])
        )
    return made, plain


def computed(taken, weight, bias, arguments, ends):
    values = functional.conv2d(
        torch.tensor(taken, dtype=torch.float64),
        torch.tensor(weight, dtype=torch.float64),
        torch.tensor(bias, dtype=torch.float64),
        **arguments,
    )
    return values if ends == (None, None) else values.clip(*ends)


def span(values):
    return Range(low=min(0.0, float(values.min())), high=max(0.0, float(values.max())))


def quantize(made, ranges, folder, shape):
    paths = {"param": folder / "model.param", "bin": folder / "model.bin"}
    paths["param"].write_text(write_param(tuple(layer for layer, _ in made)))
    paths["bin"].write_bytes(write_bin(blobs for _, blobs in made))
    spec = TensorSpec(name="in0", shape=shape, dtype="float32", layout="NCHW")
    files = tuple(File.of(role, path) for role, path in paths.items())
    written = Written(files=files, inputs=(spec,), outputs=())
    NcnnQuantizer().quantize(written, folder, {name: name for name in ranges}, settings(ranges))
    return Ncnn().open(paths, Options(precision="int8"), written.inputs)


def settings(ranges):
    return Quantization(
        calibration=Calibration(observer="minmax", data="one sample", samples=1, ranges=ranges)
    )


def rounded(values, step):
    """Return the integers of values; which way a tie goes is up to 32 bits, and not looked at."""
    exact = values.astype(np.float64) / step
    assume(np.abs(np.abs(exact - np.rint(exact)) - 0.5).min() > 2e-5)
    return np.rint(exact).clip(-127, 127)


# Larger values than the calibration saw are not clipped where the smallest reach further.
BEYOND = [
    ("depthwise", 16, 16, 3, 1, 0, CLIP, False),
    ("full", 16, 13, 1, 2, 0, NONE, False),
    ("depthwise", 13, 13, 3, 1, 1, RELU, False),
]


@given(chains())
@example((BEYOND, 62))
@hypothesis(deadline=None, max_examples=40)
def test_a_chain_computes_what_zero_points_would_at_borders_too(drawn):
    chain, seed = drawn
    random = np.random.default_rng(seed)
    made, plain = network(chain, random)
    sample = random.standard_normal((1, chain[0][1], 17, 17)).astype(np.float32)
    ranges, value = {"in0": span(sample)}, sample
    for index, each in enumerate(plain):
        value = computed(value, *each).numpy()
        ranges[f"layer{index}"] = span(value)
    with tempfile.TemporaryDirectory() as folder:
        session = quantize(made, ranges, Path(folder), sample.shape)
        held = dict(session.tensors({"in0": sample}))
    step = ranges["in0"].symmetric()
    taken = rounded(sample, step) * step
    for index, (weight, bias, arguments, ends) in enumerate(plain):
        scales = weight_scales(weight, per_channel=True).astype(np.float64).reshape(-1, 1, 1, 1)
        integers = rounded(weight, scales) * scales
        answer = computed(taken, integers, bias, arguments, ends).numpy()
        found, reach = held[f"layer{index}"], ranges[f"layer{index}"]
        # The last gives float32; x86's depthwise kernels divide by what is right to 12 bits.
        sums = np.abs(integers).sum((1, 2, 3)).max() * np.abs(taken).max()
        allowed = (1e-3 if arguments["groups"] > 1 else 1e-5) * float(sums)
        if index < 2:
            step = reach.symmetric() if reach.low else reach.high / 254
            # Integers that are not mirrored reach as far down as up.
            is_mirrored = mirrored(made[index + 1][0], reach, [made[index + 2][0]]).zero
            far = 127 * reach.symmetric()
            answer = answer.clip(*((reach.low, reach.high) if is_mirrored else (-far, far)))
            allowed += 1.01 * step
        np.testing.assert_allclose(found, answer, rtol=0, atol=allowed, err_msg=str(index))
        taken = found.astype(np.float64)


def test_relus_have_254_steps_and_stay_as_they_are_where_floats_are_needed(tmp_path):
    random = np.random.default_rng(0)
    chain = [("full", 8, 16, 1, 1, 0, RELU, False), ("depthwise", 16, 16, 3, 1, 1, CLIP, True)]
    made, _ = network(chain, random)
    ranges = dict.fromkeys(("in0", "layer0", "layer1"), Range(low=0.0, high=6.0))
    quantize(made, ranges, tmp_path, (1, 8, 9, 9))
    layers = read_param(tmp_path / "model.param")
    _, first, last = read_bin(tmp_path / "model.bin", layers)
    assert 6.0 * first[-1].values == pytest.approx(254)
    assert [layer.integer(9) for layer in layers] == [0, 0, 3]
    assert [layer.number(18) for layer in layers] == [0, 0, 127]
    assert 6.0 * last[-1].values == pytest.approx(254)


@pytest.mark.parametrize(
    ("parameters", "range", "pad", "zero"),
    [
        (RELU, (0.0, 3.0), 1, 127),
        (CLIP, (0.0, 6.0), 1, 127),
        (CLIP, (0.0, 9.0), 1, 0),  # saturation would come later than the clip
        (RELU, (-1.0, 3.0), 1, 0),
        (("9=2", "-23310=1,0.1"), (0.0, 3.0), 1, 0),  # LeakyReLU
        (NONE, (-1.0, 3.0), 1, 63),
        (NONE, (-3.0, 1.0), 0, -63),
        (NONE, (-3.0, 1.0), 1, 0),  # ncnn pads wrongly with negative integers
        (RELU, (0.0, 0.0), 1, 0),
    ],
)
def test_what_is_mirrored(parameters, range, pad, zero):
    giver = Layer("Convolution", "giver", ("a",), ("b",), parameters)
    taker = Layer("Convolution", "taker", ("b",), ("c",), (f"4={pad}",))
    assert abs(mirrored(giver, Range(low=range[0], high=range[1]), [taker]).zero - zero) <= 1


@pytest.mark.parametrize(("scale", "zero"), [(1.0, 0), (0.1, 127)])
def test_no_layer_loses_winograds_method_for_it(tmp_path, scale, zero):
    """Sums of 128 channels may fit into 32 bits only because no integer is negative."""
    random = np.random.default_rng(0)
    chain = [
        ("full", 8, 128, 1, 1, 0, RELU, True),
        ("full", 128, 8, 3, 1, 1, NONE, True),
    ]
    made, _ = network(chain, random)
    weight = made[2][1][0].values.reshape(8, -1)
    # All but the largest weight of each channel shrink, and their integers with them.
    weight[:] = scale * weight.clip(-3, 3)
    weight[:, 0] = 3
    ranges = dict.fromkeys(("in0", "layer0", "layer1"), Range(low=0.0, high=6.0))
    quantize(made, ranges, tmp_path, (1, 8, 9, 9))
    last = read_param(tmp_path / "model.param")[-1]
    assert (last.number(18), last.integer(31)) == (zero, 0)


class Two(torch.nn.Module):
    def __init__(self, between):
        super().__init__()
        self.first = torch.nn.Conv2d(3, 8, 1)
        self.between = between
        self.second = torch.nn.Conv2d(8, 8, 3)

    def forward(self, x):
        return self.second(self.between(self.first(x).relu()))


@pytest.mark.parametrize(
    ("between", "has_all_bits"),
    [
        (torch.nn.Identity(), True),
        (torch.nn.MaxPool2d(2), True),
        (torch.nn.Upsample(scale_factor=2), False),
    ],
)
def test_the_simulation_has_the_same_grid(between, has_all_bits):
    program = torch.export.export(Two(between), (torch.rand(1, 3, 8, 8),))
    first, _ = layers(program)
    ranges = {node.name: Range(low=-1.0, high=1.0) for node in program.graph.nodes}
    ranges[first.stored] = Range(low=0.0, high=1.0)
    ranges |= dict.fromkeys(pooled(program), Range(low=0.0, high=1.0))
    seen = {}
    simulation = Simulation(program, settings(ranges), symmetric=True, watch=seen.__setitem__)
    simulation.answers((torch.rand(1, 3, 8, 8) * 2,))
    found = seen[first.stored].double() * 254
    assert (found - found.round()).abs().max() < 1e-4
    assert (found.round() % 2 == 1).any() == has_all_bits


def test_the_simulation_pools_what_has_negative_values_as_the_file_does():
    program = torch.export.export(Two(torch.nn.MaxPool2d(2)), (torch.rand(1, 3, 8, 8),))
    ranges = {node.name: Range(low=-1.0, high=3.0) for node in program.graph.nodes}
    seen = {}
    simulation = Simulation(program, settings(ranges), symmetric=True, watch=seen.__setitem__)
    simulation.answers((torch.rand(1, 3, 8, 8) * 2,))
    found = seen[layers(program)[0].stored].double() * 127 / 3
    assert (found - found.round()).abs().max() < 1e-4


def pooled(program):
    return [node.name for node in program.graph.nodes if "max_pool" in str(node.target)]
