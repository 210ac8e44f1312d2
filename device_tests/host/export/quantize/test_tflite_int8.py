"""TFLite files with integers: by the specification, with the ranges given. Oracles: torch, numpy.

https://ai.google.dev/edge/litert/conversion/tensorflow/quantization/quantization_spec
"""

import copy
import shutil

import numpy as np
import pytest
import torch
from ai_edge_litert.tools import flatbuffer_utils
from ai_edge_quantizer.qtyping import BuiltinOperator, TensorType
from torch import nn

from groundspeed.errors import ExportError
from groundspeed.export.align import align, canonical_values
from groundspeed.export.prepare import prepare
from groundspeed.export.quantize.movement import joined
from groundspeed.export.quantize.tflite_int8 import TfliteQuantizer
from groundspeed.export.quantize.tflite_weights import quantize_weights
from groundspeed.export.rewrites.catalog import rewrite
from groundspeed.export.to_tflite import TfliteWriter
from groundspeed.measurement import Options
from groundspeed.quantization import Calibration, Quantization, Range, quantized, weight_scales
from groundspeed.runtimes.on_litert import LiteRt

KINDS = {code: kind for kind, code in vars(BuiltinOperator).items()}


class File:
    """What a TFLite file says of itself."""

    def __init__(self, path):
        self.model = flatbuffer_utils.read_model(str(path))
        self.graph = self.model.subgraphs[0]
        self.tensors = {tensor.name.decode(): tensor for tensor in self.graph.tensors}
        self.operators = self.graph.operators

    def kind(self, operator):
        return KINDS[self.model.operatorCodes[operator.opcodeIndex].builtinCode]

    @property
    def kinds(self):
        return [self.kind(operator) for operator in self.operators]

    def layers(self):
        """Yield kind, and input, weight, bias and output tensor of every layer."""
        for operator in self.operators:
            if self.kind(operator) in ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"):
                indices = (*operator.inputs, *operator.outputs)
                yield self.kind(operator), *(self.graph.tensors[index] for index in indices)

    def values(self, tensor, dtype):
        return self.model.buffers[tensor.buffer].data.view(dtype).reshape(tensor.shape)


def scale_of(tensor):
    (scale,), (zero_point,) = tensor.quantization.scale, tensor.quantization.zeroPoint
    return scale, zero_point


def ranges_of(prepared, inputs):
    values = {value.op: value.flat for value in canonical_values(prepared.program, inputs)}
    names = [node.name for node in prepared.program.graph.nodes if node.op == "placeholder"]
    for name, tensor in zip(names[-len(inputs) :], inputs, strict=True):
        values[name] = tensor.numpy()
    found = {
        op: Range(low=min(0.0, float(array.min())), high=max(0.0, float(array.max())))
        for op, array in values.items()
    }
    return joined(prepared.program.graph, found)


class Written:
    """A network in TFLite with what a quantizer has to know of it."""

    def __init__(self, prepared, folder):
        self.prepared, self.folder = prepared, folder
        graph_module, _ = rewrite(prepared.program, "tflite")
        self.made = TfliteWriter().write(
            graph_module, prepared.inputs, folder, precision="fp32", layout=None
        )
        feeds = self.feeds(self.made)
        session = self.open(self.made)
        values = canonical_values(prepared.program, prepared.inputs)
        self.ties = align(values, session.tensors(feeds), 1e-4)
        self.ranges = ranges_of(prepared, prepared.inputs)
        names = [node.name for node in prepared.program.graph.nodes if node.op == "placeholder"]
        for spec, name in zip(self.made.inputs, names[-len(feeds) :], strict=True):
            self.ties[spec.name] = name

    def quantization(self, **changed):
        calibration = Calibration(observer="minmax", data="", samples=1, ranges=self.ranges)
        return Quantization(calibration=calibration, **changed)

    def quantize(self, **changed):
        return TfliteQuantizer().quantize(
            self.made, self.folder, self.ties, self.quantization(**changed)
        )

    def copied(self, folder):
        """Return the same, to be quantized in another folder."""
        shutil.copy(self.path, folder)
        twin = copy.copy(self)
        twin.folder, twin.ranges = folder, dict(self.ranges)
        return twin

    @property
    def path(self):
        return self.folder / "model.tflite"

    def open(self, made):
        return LiteRt().open({"model": self.path}, Options(), made.inputs)

    def feeds(self, made):
        feeds = {}
        for spec, tensor in zip(made.inputs, self.prepared.inputs, strict=True):
            array = (tensor.permute(0, 2, 3, 1) if spec.layout == "NHWC" else tensor).numpy()
            if spec.dtype == "int8":
                array = quantized(array, spec.scale, spec.zero_point, least=-128)
            feeds[spec.name] = np.ascontiguousarray(array.astype(spec.dtype))
        return feeds

    def sqnr_db(self, made):
        """Return the signal to quantization noise of the first output against torch."""
        spec = made.outputs[0]
        answer = self.open(made).run(self.feeds(made))[spec.name].astype(np.float64)
        if spec.scale is not None:
            answer = spec.scale * (answer - spec.zero_point)
        if spec.layout == "NHWC":
            answer = np.moveaxis(answer, -1, 1)
        with torch.no_grad():
            expected = torch.utils._pytree.tree_leaves(
                self.prepared.reference(*self.prepared.inputs)
            )[0].numpy()
        assert answer.shape == expected.shape
        return 10 * np.log10(np.sum(expected**2) / np.sum((answer - expected) ** 2))


@pytest.fixture(scope="module")
def unit_in_float(small, tmp_path_factory):
    return Written(small, tmp_path_factory.mktemp("unit"))


@pytest.fixture
def unit(unit_in_float, tmp_path):
    """A ShuffleNetV2 with one unit."""
    return unit_in_float.copied(tmp_path)


@pytest.fixture
def of(tmp_path):
    """Return a function that writes a network for an input."""

    def make(network, *inputs):
        torch.manual_seed(0)
        return Written(prepare(network().eval(), list(inputs)), tmp_path)

    return make


def image(*shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1))


def test_all_computes_with_integers_between_one_quantize_and_one_dequantize(unit):
    before = File(unit.path).kinds
    made = unit.quantize()
    assert File(unit.path).kinds == ["QUANTIZE", *before, "DEQUANTIZE"]
    assert made.steps[:-1] == unit.made.steps
    step = made.steps[-1]
    assert (step.name, step.by.split()[0]) == ("quantize", "ai-edge-quantizer")
    assert step.notes == (f"{len(before)} of {len(before)} operators compute with 8-bit integers",)
    assert made.inputs == unit.made.inputs
    assert made.outputs == unit.made.outputs
    assert made.files[0].size_bytes == unit.path.stat().st_size
    assert unit.sqnr_db(made) > 25


def test_scales_and_zero_points_are_those_of_the_ranges(unit):
    unit.quantize()
    tensors = File(unit.path).tensors
    tied = {name: op for name, op in unit.ties.items() if name in tensors}
    assert len(tied) > 10
    for name, op in tied.items():
        scale, zero_point = unit.ranges[op].asymmetric(-128, 127)
        assert tensors[name].type == TensorType.INT8
        assert scale_of(tensors[name]) == (np.float32(scale), zero_point)


@pytest.mark.parametrize("per_channel", [True, False])
def test_weights_are_symmetric_and_biases_have_the_scale_of_the_product(unit, per_channel):
    originals = {}
    file = File(unit.path)
    for _, _, weight, bias, output in file.layers():
        arrays = file.values(weight, np.float32), file.values(bias, np.float32)
        originals[output.name] = [array.copy() for array in arrays]  # the file is overwritten
    unit.quantize(per_channel=per_channel)

    file = File(unit.path)
    found = []
    for kind, input, weight, bias, output in file.layers():
        found.append(kind)
        values, added = originals[output.name]
        axis = 3 if kind == "DEPTHWISE_CONV_2D" else 0
        first = np.moveaxis(values, axis, 0)
        scales = weight_scales(first, per_channel=per_channel)
        if per_channel:
            assert weight.quantization.quantizedDimension == axis
        else:
            scales = scales[:1]
        np.testing.assert_array_equal(weight.quantization.scale, scales)
        assert not np.any(weight.quantization.zeroPoint)
        spread = scales.reshape(-1, *[1] * (first.ndim - 1))
        np.testing.assert_array_equal(
            np.moveaxis(file.values(weight, np.int8), axis, 0), quantized(first, spread)
        )

        input_scale, _ = scale_of(input)
        assert bias.type == TensorType.INT32
        np.testing.assert_allclose(bias.quantization.scale, input_scale * scales, rtol=1e-6)
        real = file.values(bias, np.int32) * np.float64(input_scale) * scales
        np.testing.assert_allclose(real, added, atol=0.51 * float(input_scale * scales.max()))
    assert found == ["CONV_2D"] * 2 + ["DEPTHWISE_CONV_2D", "FULLY_CONNECTED"]


def test_integer_ends_are_described_and_read(unit):
    before = File(unit.path).kinds
    made = unit.quantize(integer_ends=True)
    assert File(unit.path).kinds == before
    (taken,), (given,) = made.inputs, made.outputs
    assert (taken.dtype, taken.layout, given.dtype) == ("int8", "NHWC", "int8")
    for spec, op in ((taken, unit.ties[taken.name]), (given, "linear")):
        scale, zero_point = unit.ranges[op].asymmetric(-128, 127)
        assert (spec.scale, spec.zero_point) == (np.float32(scale), zero_point)
    assert unit.sqnr_db(made) > 25
    session = unit.open(made)
    assert session.inputs == made.inputs
    assert session.outputs == made.outputs


def test_an_end_without_a_range_cannot_be_an_integer(unit):
    del unit.ranges[unit.ties["args_0"]]
    with pytest.raises(ExportError, match="args_0"):
        unit.quantize(integer_ends=True)


def test_what_shall_stay_in_floating_point_does_so_and_nothing_else(unit):
    output = next(
        output for kind, *_, output in File(unit.path).layers() if kind.startswith("DEPTHWISE")
    )
    op = unit.ties[output.name.decode()]
    made = unit.quantize(float_ops={op: "it loses too much"})
    for kind, input, weight, bias, _ in File(unit.path).layers():
        assert {input.type, weight.type, bias.type} == (
            {TensorType.FLOAT32}
            if kind.startswith("DEPTHWISE")
            else {TensorType.INT8, TensorType.INT32}
        )
    kinds = File(unit.path).kinds
    assert (kinds.count("QUANTIZE"), kinds.count("DEQUANTIZE")) == (2, 2)
    assert any(op in note and "it loses too much" in note for note in made.steps[-1].notes)
    assert unit.sqnr_db(made) > 25


def test_what_only_moves_floats_about_stays_in_floating_point_too(unit):
    *layers, (_, mean, *_) = File(unit.path).layers()
    computed = [*(output for *_, output in layers), mean]
    unit.quantize(
        float_ops={unit.ties[tensor.name.decode()]: "it loses too much" for tensor in computed}
    )
    assert File(unit.path).kinds[-4:] == ["MEAN", "QUANTIZE", "FULLY_CONNECTED", "DEQUANTIZE"]
    assert "QUANTIZE" not in File(unit.path).kinds[:-4]


def test_a_file_with_nothing_left_to_quantize_is_refused(unit):
    with pytest.raises(ExportError, match=r"model\.tflite.*too slow.*fp32"):
        unit.quantize(float_ops=dict.fromkeys(unit.ranges, "too slow"))


class Odd(nn.Module):
    """Activations that TFLite says in several operators, one without an integer kernel."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, padding=1)
        self.gate = nn.Conv2d(8, 8, 1)
        self.project = nn.Conv2d(8, 4, 1)

    def forward(self, x):
        x = nn.functional.silu(self.conv(x))
        x = x * nn.functional.hardsigmoid(self.gate(x))
        x = nn.functional.avg_pool2d(nn.functional.elu(x), 2)
        return torch.softmax(self.project(x).mean((2, 3)), 1)


def test_only_what_has_no_integer_kernel_stays_in_floating_point(of):
    odd = of(Odd, image(1, 3, 16, 16))
    made = odd.quantize(integer_ends=True)
    assert "in floating point, because there is no integer kernel for it: EXP" in "\n".join(
        made.steps[-1].notes
    )
    file = File(odd.path)
    assert file.kinds[:5] == ["CONV_2D", "LOGISTIC", "MUL", "CONV_2D", "MUL"]
    for kind, *tensors in file.layers():
        assert {tensor.type for tensor in tensors} == {TensorType.INT8, TensorType.INT32}, kind
    # A softmax has the scale that the specification fixes.
    assert (made.outputs[0].scale, made.outputs[0].zero_point) == (1 / 256, -128)
    assert odd.sqnr_db(made) > 20


class Pruned(nn.Module):
    """The first channel of its layer is all bias, the second nearly so."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 1)
        with torch.no_grad():
            self.conv.weight[0] = 0.0
            self.conv.weight[1] = 1e-9
            self.conv.bias.copy_(torch.linspace(-4, 4, 8))

    def forward(self, x):
        return self.conv(x)


@pytest.mark.parametrize("per_channel", [True, False])
def test_a_bias_fits_however_small_the_weights_of_its_channel(of, per_channel):
    pruned = of(Pruned, image(1, 3, 8, 8))
    made = pruned.quantize(per_channel=per_channel)
    assert pruned.sqnr_db(made) > 35
    assert per_channel == any("biases fit" in note for note in made.steps[-1].notes)


def test_a_tensor_that_is_always_zero_has_a_scale(of):
    class Zero(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(3, 8, 1)

        def forward(self, x):
            return self.conv(-x.relu().neg().relu()) + self.conv(x)

    zero = of(Zero, image(1, 3, 8, 8))
    assert zero.sqnr_db(zero.quantize()) > 30


def test_two_inputs_and_two_outputs(two_heads, tmp_path):
    heads = Written(two_heads, tmp_path)
    made = heads.quantize(integer_ends=True)
    assert {spec.dtype for spec in (*made.inputs, *made.outputs)} == {"int8"}
    assert heads.sqnr_db(made) > 25


def test_the_runtime_shows_and_times_an_integer_file(unit):
    made = unit.quantize()
    session, feeds = unit.open(made), unit.feeds(made)
    canonical = {
        value.op: value for value in canonical_values(unit.prepared.program, unit.prepared.inputs)
    }
    shown = 0
    for name, array in session.tensors(feeds):
        if name in unit.ties:
            value = canonical[unit.ties[name]]
            shown += 1
            assert array.dtype == np.float32
            step, _ = unit.ranges[value.op].asymmetric(-128, 127)
            nearest = min(
                np.abs(array.ravel() - order).max()
                for order in (value.flat, value.channels_last)
                if order is not None
            )
            assert nearest < 12 * step
    assert shown > 10
    profile = session.profile(feeds, 2)
    layers = [op for op in profile.ops if op.outputs]
    assert {"CONV_2D", "DEPTHWISE_CONV_2D"} <= {op.name.split()[0] for op in layers}


@pytest.mark.parametrize(
    ("precision", "least_db"), [("int8_dynamic", 25), ("int8_weight_only", 30)]
)
def test_weights_alone(unit, precision, least_db):
    made = quantize_weights(unit.made, unit.folder, precision)
    file = File(unit.path)
    stored_as = {
        file.graph.tensors[operator.outputs[0]].name: file.graph.tensors[operator.inputs[0]]
        for operator in file.operators
        if file.kind(operator) == "DEQUANTIZE"
    }
    weights = [stored_as.get(weight.name, weight) for _, _, weight, _, _ in file.layers()]
    assert [weight.type for weight in weights] == [TensorType.INT8] * 4
    computes_with_integers = 3 if precision == "int8_dynamic" else 0  # depthwise never does
    assert len(stored_as) == 4 - computes_with_integers
    # With more than one for a linear, tflite-runtime 2.14 answers nonsense.
    linear_scales = {"int8_dynamic": 1, "int8_weight_only": 10}
    assert [len(weight.quantization.scale) for weight in weights] == [
        *(16, 8, 8),
        linear_scales[precision],
    ]
    assert (made.inputs, made.outputs) == (unit.made.inputs, unit.made.outputs)
    assert unit.sqnr_db(made) > least_db
