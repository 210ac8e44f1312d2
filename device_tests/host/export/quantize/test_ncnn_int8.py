"""ncnn in integers. Oracle: the same integers multiplied in float64, layer by layer."""

import dataclasses

import ncnn
import numpy as np
import pytest
import torch
from torch.nn import functional

from groundspeed.artifact import File, TensorSpec
from groundspeed.errors import ExportError
from groundspeed.export.align import align, canonical_values
from groundspeed.export.quantize.ncnn_int8 import NcnnQuantizer
from groundspeed.export.to_ncnn import NcnnWriter
from groundspeed.export.writer import Written
from groundspeed.measurement import Options
from groundspeed.quantization import Calibration, Quantization, Range
from groundspeed.runtimes.ncnn_bin import Blob, read_bin, write_bin
from groundspeed.runtimes.ncnn_param import Layer, read_param, write_param
from groundspeed.runtimes.on_ncnn import Ncnn

RELU, CLIP = ("9=1",), ("9=3", "-23310=2,0.0,6.0")


class Network:
    """A network that is written down layer by layer; each takes what the one before gives."""

    def __init__(self, folder, shape, seed=0):
        self.folder, self.shape = folder, shape
        self.random = np.random.default_rng(seed)
        self.layers = [Layer("Input", "in0", (), ("in0",), ())]
        self.weights = [()]
        self.last = "in0"

    def add(self, type, *parameters, bottoms=(), outputs=1, weights=()):
        name = f"{type.lower()}_{len(self.layers)}"
        tops = tuple(f"{name}.{index}" if outputs > 1 else name for index in range(outputs))
        self.layers.append(Layer(type, name, bottoms or (self.last,), tops, parameters))
        self.weights.append(weights)
        self.last = tops[0]
        return tops

    def convolve(self, inputs, outputs, size=3, *more, stride=1, groups=1, bottom="", weight=None):
        if weight is None:
            weight = self.random.standard_normal((outputs, inputs // groups, size, size))
        bias = self.random.standard_normal(outputs).astype(np.float32)
        parameters = {0: outputs, 1: size, 3: stride, 4: size // 2, 5: 1, 6: weight.size}
        if groups > 1:
            parameters[7] = groups
        (top,) = self.add(
            "ConvolutionDepthWise" if groups > 1 else "Convolution",
            *(f"{key}={value}" for key, value in parameters.items()),
            *more,
            bottoms=(bottom,) if bottom else (),
            weights=(Blob(weight.astype(np.float32).ravel(), tagged=True), Blob(bias)),
        )
        return top

    def linear(self, inputs, outputs):
        weight = self.random.standard_normal(inputs * outputs).astype(np.float32)
        (top,) = self.add(
            "InnerProduct", f"0={outputs}", "1=1", f"2={inputs * outputs}",
            weights=(Blob(weight, tagged=True), Blob(np.ones(outputs, np.float32))),
        )  # fmt: skip
        return top

    @property
    def input(self):
        return self.random.standard_normal(self.shape).astype(np.float32)

    def written(self):
        paths = {"param": self.folder / "model.param", "bin": self.folder / "model.bin"}
        paths["param"].write_text(write_param(tuple(self.layers)))
        paths["bin"].write_bytes(write_bin(self.weights))
        return Written(
            files=tuple(File.of(role, path) for role, path in paths.items()),
            inputs=(TensorSpec(name="in0", shape=self.shape, dtype="float32", layout="NCHW"),),
            outputs=(),
        )

    def quantized(self, sample, *, untied=(), changed=None, **options):
        """Quantize with the ranges that the blobs have for one sample, each tied to itself."""
        written = self.written()
        ranges = {"in0": span(sample)} | {
            name: span(value) for name, value in tensors(written, self.folder, sample).items()
        }
        ranges |= changed or {}
        ties = {name: name for name in ranges if name not in untied}
        return NcnnQuantizer().quantize(written, self.folder, ties, settings(ranges, **options))


def span(values):
    return Range(low=min(0.0, float(values.min())), high=max(0.0, float(values.max())))


def settings(ranges, **options):
    return Quantization(
        calibration=Calibration(observer="minmax", data="one sample", samples=1, ranges=ranges),
        **options,
    )


def session(written, folder):
    paths = {file.role: folder / file.name for file in written.files}
    return Ncnn().open(paths, Options(precision="int8"), written.inputs)


def tensors(written, folder, sample):
    """Return what every blob holds, real values throughout."""
    return dict(session(written, folder).tensors({"in0": sample}))


def read(folder):
    layers = read_param(folder / "model.param")
    return dict(zip(layers, read_bin(folder / "model.bin", layers), strict=True))


def plain_run(folder, sample, blob):
    """Run the files as anybody does who has ncnn's wheel and knows nothing of Groundspeed."""
    net = ncnn.Net()
    net.opt.use_fp16_storage = net.opt.use_fp16_packed = net.opt.use_fp16_arithmetic = False
    assert net.load_param(str(folder / "model.param")) == 0
    assert net.load_model(str(folder / "model.bin")) == 0
    with net.create_extractor() as extractor:
        extractor.input("in0", ncnn.Mat(np.ascontiguousarray(sample[0])).clone())
        code, answer = extractor.extract(blob)
        assert code == 0
        return np.array(answer)[np.newaxis]


def rounded(values):
    """C's round, as ncnn has it: halves go away from zero."""
    wide = torch.as_tensor(values, dtype=torch.float64)
    return torch.clip(torch.sign(wide) * torch.floor(wide.abs() + 0.5), -127, 127)


def expected(layer, blobs, taken, given_zero=0.0):
    """Compute one layer in integers; its answer, and what may be off by rounding.

    Integers are mirrored around the integer of 0.0, unless it is 0.
    """
    weight, bias, *scales = (torch.tensor(blob.values.astype(np.float64)) for blob in blobs)
    groups = layer.integer(7, 1) if layer.type == "ConvolutionDepthWise" else 1
    zero = layer.number(18)
    integers = rounded(
        zero - np.float32(taken) * blobs[3].values if zero else np.float32(taken) * blobs[3].values
    )
    if layer.type == "InnerProduct":
        sums = integers.reshape(1, -1) @ weight.reshape(layer.integer(0), -1).T
        column = (1, -1)
    else:
        size = layer.integer(1)
        kernel = weight.reshape(layer.integer(0), -1, size, size)
        padded = functional.pad(integers, [layer.integer(4)] * 4, value=zero)
        sums = functional.conv2d(padded, kernel, stride=layer.integer(3, 1), groups=groups)
        column = (1, -1, 1, 1)
    per_output = scales[0].repeat_interleave(layer.integer(0) // len(scales[0]))
    real = sums / (per_output * scales[1]).reshape(column) + bias.reshape(column)
    if layer.integer(9):
        real = real.clip(0, 6 if layer.integer(9) == 3 else None)
    if len(scales) == 3:
        given = rounded(real * scales[2])
        return (given_zero - given if given_zero else given) / scales[2], 1.001 / float(scales[2])
    # x86's kernel of 8 depthwise channels divides by an estimate that is right to 12 bits.
    return real, (1e-3 if groups > 1 else 1e-5) * float(real.abs().max())


def everything(folder, channels, groups):
    """A network with all kinds of layers and chains."""
    network = Network(folder, (1, 3, 20, 20))
    network.convolve(3, channels, 3, *RELU, stride=2)
    network.convolve(channels, channels, 3, *CLIP, groups=channels)
    network.convolve(channels, channels, 3, *RELU, groups=groups)
    stem = network.convolve(channels, 2 * channels, 1)
    left, right = network.add("Split", bottoms=(stem,), outputs=2)
    left = network.convolve(2 * channels, channels, 3, *RELU, bottom=left)
    right = network.convolve(2 * channels, channels, 1, bottom=right)
    network.add("Concat", bottoms=(left, right))
    network.add("ShuffleChannel", "0=2")
    network.convolve(2 * channels, channels, 5, *RELU, stride=2)
    network.add("Pooling", "0=1", "4=1")
    network.linear(channels, 10)
    return network


@pytest.fixture(params=[(16, 2), (12, 3), (13, 13)], ids=str)
def made(request, tmp_path):
    """A network in integers, with a sample: channels in packs of 8, in packs of 4, and alone."""
    network = everything(tmp_path, *request.param)
    sample = network.input
    return network, network.quantized(sample), sample


def test_every_layer_computes_what_its_integers_say(made, tmp_path):
    _, written, sample = made
    held = {"in0": sample} | tensors(written, tmp_path, sample)
    integers = {layer: blobs for layer, blobs in read(tmp_path).items() if layer.integer(8)}
    assert len(integers) == 8
    zeros = {layer.bottoms[0]: layer.number(18) for layer in integers}
    for layer, blobs in integers.items():
        assert blobs[0].values.dtype == np.int8
        answer, allowed = expected(
            layer, blobs, held[layer.bottoms[0]], zeros.get(layer.tops[0], 0.0)
        )
        np.testing.assert_allclose(
            held[layer.tops[0]], answer, rtol=0, atol=allowed, err_msg=layer.name
        )


def test_integers_are_handed_on_wherever_only_convolutions_take_them(made, tmp_path):
    network, written, sample = made
    terms = [layer.integer(8) for layer in read(tmp_path) if layer.integer(8)]
    assert terms == [102, 101, 101, 102, 2, 2, 2, 2]
    assert written.steps[-1].name == "quantize"
    assert written.steps[-1].notes == (
        "8 of 8 layers with weights compute in 8-bit integers, 4 of them hand integers on to the "
        "next",
    )
    chained = plain_run(tmp_path, sample, network.last)
    # Groups hand on integers whatever comes: see the test of groups of 8 channels.
    loosened = [
        (layer.replacing(8, layer.integer(8) % 100), blobs[:-1])
        if layer.integer(8) > 100 and layer.integer(7) in (0, layer.integer(0))
        else (layer, blobs)
        for layer, blobs in read(tmp_path).items()
    ]
    (tmp_path / "model.param").write_text(write_param(tuple(layer for layer, _ in loosened)))
    (tmp_path / "model.bin").write_bytes(write_bin(blobs for _, blobs in loosened))
    np.testing.assert_array_equal(plain_run(tmp_path, sample, network.last), chained)


def test_the_files_are_described_and_run_and_profiled(made, tmp_path):
    network, written, sample = made
    assert written.files == (
        File.of("param", tmp_path / "model.param"),
        File.of("bin", tmp_path / "model.bin"),
    )
    opened = session(written, tmp_path)
    np.testing.assert_array_equal(
        opened.run({"in0": sample})[network.last], plain_run(tmp_path, sample, network.last)
    )
    profile = opened.profile({"in0": sample}, runs=2)
    assert [op.type for op in profile.ops] == [layer.type for layer in network.layers[1:]]


def test_the_answer_is_near_the_float_networks(tmp_path):
    network = everything(tmp_path, 16, 2)
    sample = network.input
    before = tensors(network.written(), tmp_path, sample)
    after = tensors(network.quantized(sample), tmp_path, sample)
    for name, value in before.items():
        noise = np.square(after[name] - value).sum() / np.square(value).sum()
        assert noise < 0.01, name  # 20 dB


def test_layers_in_float_ops_stay_as_they_were_and_take_no_integers(tmp_path):
    network = everything(tmp_path, 16, 2)
    before = network.weights[2]
    name = network.layers[2].name
    written = network.quantized(network.input, float_ops={name: "it is slower in integers"})
    layer, blobs = list(read(tmp_path).items())[2]
    assert not layer.integer(8)
    assert write_bin([blobs]) == write_bin([before])
    assert [layer.integer(8) for layer in read(tmp_path)][1:4] == [2, 0, 101]
    assert written.steps[-1].notes[1:] == (f"in floating point: {name}: it is slower in integers",)


def test_a_blob_that_is_tied_to_nothing_has_the_range_of_what_it_was_put_together_from(tmp_path):
    network = everything(tmp_path, 16, 2)
    sample = network.input
    (concat,) = (layer for layer in network.layers if layer.type == "Concat")
    (shuffle,) = (layer for layer in network.layers if layer.type == "ShuffleChannel")
    network.quantized(sample)
    tied = (tmp_path / "model.bin").read_bytes()
    written = network.quantized(sample, untied=(*concat.tops, *shuffle.tops))
    assert (tmp_path / "model.bin").read_bytes() == tied
    assert len(written.steps[-1].notes) == 1


def test_a_layer_whose_input_has_no_range_stays_in_floating_point_and_is_named(tmp_path):
    network = everything(tmp_path, 16, 2)
    (shuffle,) = (layer for layer in network.layers if layer.type == "ShuffleChannel")
    left = next(layer for layer in network.layers if layer.type == "Concat").bottoms[0]
    (taker,) = (layer for layer in network.layers if shuffle.tops[0] in layer.bottoms)
    untied = (left, "in0", shuffle.tops[0], *shuffle.bottoms)
    written = network.quantized(network.input, untied=untied)
    names = f"{network.layers[1].name}, {taker.name}"
    assert written.steps[-1].notes[1] == (
        f"in floating point: {names}: the range of its input is not known"
    )
    plain_run(tmp_path, network.input, network.last)


def test_layers_that_ncnn_has_no_integers_for_are_named(tmp_path):
    network = Network(tmp_path, (1, 8, 9, 9))
    padded = network.convolve(8, 8, 3, "18=1.5")
    network.add("PReLU", "0=1", weights=(Blob(np.full(1, 0.5, np.float32)),))
    sample = network.input
    written = network.quantized(sample)
    assert written.steps[-1].notes == (
        "0 of 2 layers with weights compute in 8-bit integers, 0 of them hand integers on to the "
        "next",
        f"in floating point: {padded}: it is padded with something else than 0",
        f"in floating point: {network.last}: ncnn computes PReLU in floating point only",
    )


def test_groups_of_8_channels_hand_on_integers_because_ncnn_loses_what_else_they_give(tmp_path):
    network = Network(tmp_path, (1, 16, 9, 9))
    network.convolve(16, 16, 1)
    taken = network.convolve(16, 16, 3, groups=2)
    network.convolve(16, 16, 3, groups=4)
    made_real = network.convolve(16, 32, 3, groups=4)
    network.add("ShuffleChannel", "0=4")
    last = network.convolve(32, 16, 3, groups=2)
    sample = network.input
    before = tensors(network.written(), tmp_path, sample)
    written = network.quantized(sample)
    made = read(tmp_path)
    assert [(layer.type, layer.integer(8)) for layer in made if layer.type != "Input"] == [
        ("Convolution", 102),
        ("ConvolutionDepthWise", 101),
        ("ConvolutionDepthWise", 101),
        ("ConvolutionDepthWise", 101),
        ("Cast", 0),
        ("BinaryOp", 0),
        ("ShuffleChannel", 0),
        ("ConvolutionDepthWise", 0),
    ]
    because = "on x86, ncnn loses what groups of 8 channels compute in integers"
    assert written.steps[-1].notes == (
        "4 of 5 layers with weights compute in 8-bit integers, 3 of them hand integers on to the "
        "next",
        f"in floating point: {last}: {because}",
        "handing on integers that are made real again, because on x86 ncnn loses what groups of "
        f"8 channels give otherwise: {made_real}",
    )
    after = tensors(written, tmp_path, sample)
    others = [made_real + suffix for suffix in NcnnQuantizer.suffixes]
    for name in (taken, made_real, *others, last):
        expected = before[made_real if name in others else name]
        np.testing.assert_allclose(after[name], expected, atol=0.1 * np.abs(expected).max())


def test_one_scale_for_all_channels_where_that_is_asked_for(tmp_path):
    network = everything(tmp_path, 16, 2)
    sample = network.input
    network.quantized(sample, per_channel=False)
    for layer, blobs in read(tmp_path).items():
        if layer.integer(8):
            assert len(set(blobs[2].values.tolist())) == 1
            assert np.abs(blobs[0].values).max() == 127


def test_channels_of_zeros_and_blobs_of_zeros(tmp_path):
    network = Network(tmp_path, (1, 8, 9, 9))
    weight = network.random.standard_normal((16, 8, 1, 1))
    weight[3:6] = 0
    network.convolve(8, 16, 1, *RELU, weight=weight)
    network.convolve(16, 16, 3, weight=np.zeros((16, 1, 3, 3)), groups=16)
    network.convolve(16, 4, 1)
    sample = network.input
    dead = Range(low=0.0, high=0.0)
    written = network.quantized(sample, changed={network.layers[2].name: dead})
    for blobs in read(tmp_path).values():
        assert all(np.isfinite(blob.values).all() for blob in blobs)
    bias = network.weights[1][1].values
    held = tensors(written, tmp_path, sample)
    np.testing.assert_allclose(
        held[network.layers[1].name][0, 3:6, 0, 0], bias[3:6].clip(min=0), atol=0.05
    )


@pytest.mark.parametrize("magnitude", [1e-20, 1e-36, 1e-40])
def test_weights_near_nothing_give_the_bias(tmp_path, magnitude):
    network = Network(tmp_path, (1, 8, 9, 9))
    weight = network.random.standard_normal((16, 8, 1, 1)) * magnitude
    network.convolve(8, 16, 1, weight=weight)
    network.convolve(16, 16, 3, weight=weight[:, :1].repeat(3, 2).repeat(3, 3), groups=16)
    sample = network.input
    written = network.quantized(sample * np.float32(1e-3))
    held = tensors(written, tmp_path, sample)
    for layer, weights in zip(network.layers[1:], network.weights[1:], strict=True):
        np.testing.assert_allclose(
            held[layer.name][0, :, 4, 4], weights[1].values, atol=0.02, err_msg=layer.name
        )


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_weights_that_are_no_numbers_are_refused(tmp_path, wrong):
    network = Network(tmp_path, (1, 8, 9, 9))
    network.convolve(8, 16, 1, weight=np.full((16, 8, 1, 1), wrong))
    ranges = {"in0": Range(low=-1.0, high=1.0)}
    with pytest.raises(ExportError, match="convolution_1 hold NaN or infinity"):
        NcnnQuantizer().quantize(network.written(), tmp_path, {"in0": "in0"}, settings(ranges))


def test_products_that_float32_cannot_hold_are_refused(tmp_path):
    network = Network(tmp_path, (1, 8, 9, 9))
    network.convolve(8, 16, 1, weight=np.full((16, 8, 1, 1), 1e30))
    ranges = {"in0": Range(low=-1e30, high=1.0)}
    with pytest.raises(ExportError, match=r"takes values as large as 1e\+30 and has weights"):
        NcnnQuantizer().quantize(network.written(), tmp_path, {"in0": "in0"}, settings(ranges))


@pytest.mark.parametrize("channels", [16, 64])
def test_windows_of_3_are_summed_up_right_however_large_the_sums(tmp_path, channels):
    """Winograd's method, which ncnn prefers for them, computes them times 576 in 32 bits."""
    network = Network(tmp_path, (1, channels, 12, 12))
    network.convolve(channels, 16, 3, weight=np.ones((16, channels, 3, 3)))
    sample = np.ones(network.shape, np.float32)
    written = network.quantized(sample)
    bias = network.weights[1][1].values
    held = tensors(written, tmp_path, sample)[network.last]
    np.testing.assert_allclose(held[0, :, 5, 5], 9 * channels + bias, rtol=1e-5)
    overflows = [note for note in written.steps[-1].notes if "could overflow" in note]
    assert len(overflows) == (channels == 64)


def test_files_that_do_not_belong_together_are_refused(tmp_path):
    network = everything(tmp_path, 16, 2)
    written = network.written()
    (tmp_path / "model.bin").write_bytes(b"nothing")
    with pytest.raises(ExportError, match=r"cannot be quantized: .*model\.bin does not fit"):
        NcnnQuantizer().quantize(written, tmp_path, {}, settings({}))


def test_a_network_of_pytorch_goes_all_the_way(written, small, tmp_path):
    made = written(NcnnWriter(), "ncnn", small)
    before = sum(file.size_bytes for file in made.files)
    (sample,) = (tensor.numpy() for tensor in small.inputs)
    values = canonical_values(small.program, small.inputs)
    ties = align(values, session(made, tmp_path).tensors({"in0": sample}), 1e-5)
    ranges = {"x": span(sample)} | {value.op: span(value.flat) for value in values}
    ties = {**ties, "in0": "x"}
    quantized = NcnnQuantizer().quantize(made, tmp_path, ties, settings(ranges))
    assert [step.name for step in quantized.steps] == ["to_ncnn", "quantize"]
    assert quantized.steps[-1].notes[0].startswith("4 of 4 layers")
    assert sum(file.size_bytes for file in quantized.files) < before
    assert dataclasses.replace(quantized, files=(), steps=()) == dataclasses.replace(
        made, files=(), steps=()
    )
    with torch.no_grad():
        answer = small.reference(*small.inputs).numpy()
    np.testing.assert_allclose(
        plain_run(tmp_path, sample, "out0"), answer, atol=0.1 * np.abs(answer).max()
    )


def test_the_files_shrink_to_a_quarter(tmp_path):
    """As ShuffleNetV2's last stage does: 464 channels, half of them through a branch of three."""
    network = Network(tmp_path, (1, 232, 7, 7))
    for _ in range(3):
        network.convolve(232, 232, 1, *RELU)
        network.convolve(232, 232, 3, groups=232)
        network.convolve(232, 232, 1, *RELU)
    before = sum(file.size_bytes for file in network.written().files)
    after = sum(file.size_bytes for file in network.quantized(network.input).files)
    assert after <= 0.27 * before
