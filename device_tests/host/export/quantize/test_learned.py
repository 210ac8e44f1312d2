"""Ranges that a network learned come out of its graph, tied to canonical ops."""

import pytest
import torch
from torch import nn

from groundspeed.errors import ExportError
from groundspeed.export.fold import fold_batchnorm
from groundspeed.export.graph import editable
from groundspeed.export.prepare import retrace
from groundspeed.export.quantize.learned import FAKE_QUANTIZATIONS, learned_ranges, lift
from groundspeed.export.rewrites.catalog import rewrite_canonical
from groundspeed.export.trace import trace
from groundspeed.quantization import Range

# Within the range of the network's inputs.
X = torch.randn(2, 4, 6, 6, generator=torch.Generator().manual_seed(0)).clamp(-2.3, 2.3)


def lifted(network, x=X):
    """The canonical program of a network as ``prepare`` makes it, and the learned ranges."""
    graph_module = editable(trace(network, (x,)))
    inputs = lift(graph_module)
    rewrite_canonical(graph_module)
    fold_batchnorm(graph_module)
    program = retrace(graph_module, (x,))
    return program, learned_ranges(program, inputs)


def rounded(x, scale, zero_point=0):
    return torch.fake_quantize_per_tensor_affine(x, scale, zero_point, -128, 127)


class Trained(nn.Module):
    """A network as training leaves it, with each thing that rewrites change between."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(4, 4, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(4)

    def forward(self, x):
        x = rounded(x, 0.02, -8)
        y = rounded(self.norm(self.conv(x)).relu_(), 0.01, -128)
        left, right = y.chunk(2, dim=1)
        y = torch.cat([right, left], dim=1)
        y = rounded(y.add_(1.0), 0.015, -128)
        return rounded(nn.functional.dropout(y, 0.5, self.training).mean((2, 3)), 0.008, -128)


def range_of(scale, zero_point):
    return Range(low=(-128 - zero_point) * scale, high=(127 - zero_point) * scale)


def test_ranges_stay_with_the_ops_that_were_rounded():
    program, ranges = lifted(Trained())
    names = {node.name for node in program.graph.nodes}
    assert ranges["x"] == range_of(0.02, -8)
    assert ranges["add"] == range_of(0.015, -128)
    # The mean over height and width became a pooling, and that is its own op with this range.
    assert ranges["adaptive_avg_pool2d"] == ranges["flatten"] == range_of(0.008, -128)
    # What only moves values has the range of what it moves; what is fused has none.
    assert {ranges[name] for name in ("relu", "getitem", "getitem_1", "cat")} == {
        range_of(0.01, -128)
    }
    assert "conv2d" not in ranges
    assert ranges.keys() <= names


def test_nothing_else_is_changed():
    network = Trained()
    program, _ = lifted(network)
    assert not [node for node in program.graph.nodes if node.target in FAKE_QUANTIZATIONS]
    # The roundings are gone: what is left is the float network, up to their grids.
    with torch.no_grad():
        torch.testing.assert_close(program.module()(X), network(X), atol=0.02, rtol=0)


def test_the_program_can_be_saved(tmp_path):
    program, ranges = lifted(Trained())
    torch.export.save(program, tmp_path / "program.pt2")
    again = torch.export.load(tmp_path / "program.pt2")
    inputs = {"x": ranges["x"]}
    assert learned_ranges(again, inputs) == ranges


def test_a_range_survives_to_the_same_grid():
    _, ranges = lifted(Trained())
    scale, zero_point = ranges["x"].asymmetric(-128, 127)
    assert (scale, zero_point) == (pytest.approx(0.02, rel=1e-12), -8)


def test_a_network_without_fake_quantization_is_left_alone():
    graph_module = editable(trace(nn.Sequential(nn.Conv2d(4, 4, 1), nn.ReLU(inplace=True)), (X,)))
    before = str(graph_module.graph)
    assert lift(graph_module) == {}
    assert str(graph_module.graph) == before


class RoundedWeight(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(3, 4))
        self.register_buffer("scale", torch.tensor([0.01, 0.02, 0.03]))
        self.register_buffer("zero_point", torch.zeros(3, dtype=torch.int32))

    def forward(self, x):
        per_channel = torch.fake_quantize_per_channel_affine(
            self.weight, self.scale, self.zero_point, 0, -127, 127
        )
        per_tensor = torch.fake_quantize_per_tensor_affine(self.weight, 0.5, 0, -127, 127)
        return nn.functional.linear(x, per_channel) + nn.functional.linear(x, per_tensor)


def test_a_rounded_weight_is_a_weight():
    network = RoundedWeight()
    program, ranges = lifted(network, x := torch.randn(2, 4))
    assert ranges == {}
    assert not [node for node in program.graph.nodes if node.target in FAKE_QUANTIZATIONS]
    with torch.no_grad():
        torch.testing.assert_close(program.module()(x), network(x), atol=0, rtol=0)
    # Two roundings of one weight are two weights; neither took the other's place.
    assert len({tuple(w.flatten().tolist()) for w in program.state_dict.values()}) >= 2


def test_ranges_of_torchs_own_fake_quantization_are_found():
    from torch.ao.quantization import FusedMovingAvgObsFakeQuantize

    fake = FusedMovingAvgObsFakeQuantize(quant_min=0, quant_max=255, dtype=torch.quint8)
    network = nn.Sequential(nn.Conv2d(4, 4, 1), nn.Sigmoid(), fake)
    network(X)
    fake.disable_observer()
    scale, zero_point = (float(value) for value in fake.calculate_qparams())
    _, ranges = lifted(network)
    assert ranges == {"sigmoid": Range(low=-zero_point * scale, high=(255 - zero_point) * scale)}


def test_two_roundings_of_one_op_need_a_range_that_holds_both():
    class Twice(nn.Module):
        def forward(self, x):
            y = x.sigmoid()
            return rounded(y, 0.01) + rounded(y, 0.02, -128)

    _, ranges = lifted(Twice())
    assert ranges == {"sigmoid": range_of(0.01, 0).joined(range_of(0.02, -128))}


def test_an_activation_with_a_scale_for_each_channel_is_refused():
    class PerChannel(nn.Module):
        def __init__(self):
            super().__init__()
            self.register_buffer("scale", torch.full((4,), 0.1))
            self.register_buffer("zero_point", torch.zeros(4, dtype=torch.int32))

        def forward(self, x):
            return torch.fake_quantize_per_channel_affine(
                x.sigmoid(), self.scale, self.zero_point, 1, -127, 127
            )

    with pytest.raises(ExportError, match="has a scale for each channel of an activation"):
        lifted(PerChannel())


def test_a_scale_that_depends_on_the_input_is_refused():
    class Dynamic(nn.Module):
        def forward(self, x):
            zero_point = torch.zeros(1, dtype=torch.int32)
            return torch.fake_quantize_per_tensor_affine(x, x.max().view(1), zero_point, -127, 127)

    with pytest.raises(ExportError, match=r"the scale of the fake quantization in .* is computed"):
        lifted(Dynamic())


def test_a_normalization_that_goes_into_the_next_layer_leaves_the_range_before_it():
    class Before(nn.Module):
        def __init__(self):
            super().__init__()
            self.norm, self.conv = nn.BatchNorm2d(4), nn.Conv2d(4, 4, 1)
            nn.init.uniform_(self.norm.running_var, 0.5, 2.0)

        def forward(self, x):
            return self.conv(rounded(self.norm(rounded(x.sigmoid(), 0.01)), 0.3))

    program, ranges = lifted(Before())
    assert not [n for n in program.graph.nodes if n.target is torch.ops.aten.batch_norm.default]
    assert ranges == {"sigmoid": range_of(0.01, 0)}
