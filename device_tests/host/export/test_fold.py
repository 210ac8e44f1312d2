"""Folding is exact, refuses what is not, and says so. Oracle: torch's own eval-mode modules."""

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval, fuse_linear_bn_eval

from groundspeed.export.fold import Folded, fold_batchnorm
from groundspeed.export.graph import editable
from groundspeed.export.trace import trace

BATCHNORMS = {1: nn.BatchNorm1d, 2: nn.BatchNorm2d, 3: nn.BatchNorm3d}
CONVS = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}
TRANSPOSED = {1: nn.ConvTranspose1d, 2: nn.ConvTranspose2d, 3: nn.ConvTranspose3d}


def randomized(module: nn.Module) -> nn.Module:
    """Give every batch normalization statistics and weights that matter."""
    for child in module.modules():
        if isinstance(child, tuple(BATCHNORMS.values())):
            if child.affine:
                nn.init.uniform_(child.weight, 0.5, 2.0)
                nn.init.normal_(child.bias)
            if child.track_running_stats:
                nn.init.normal_(child.running_mean)
                nn.init.uniform_(child.running_var, 0.5, 2.0)
    return module.eval()


def fold(module: nn.Module, *inputs: torch.Tensor) -> tuple[torch.fx.GraphModule, Folded]:
    graph_module = editable(trace(module, inputs))
    return graph_module, fold_batchnorm(graph_module)


def left(graph_module: torch.fx.GraphModule) -> int:
    return sum("batch_norm" in str(node.target) for node in graph_module.graph.nodes)


def assert_folded(module: nn.Module, x: torch.Tensor, count: int) -> None:
    before = copy.deepcopy(module.state_dict())
    with torch.no_grad():
        expected = module(x)
        graph_module, folded = fold(module, x)
        # One rounding of the weights to float32, amplified by a few sums.
        torch.testing.assert_close(graph_module(x), expected, rtol=1e-4, atol=1e-5)
    assert folded == Folded(count, ())
    assert left(graph_module) == 0
    for name, value in module.state_dict().items():
        assert torch.equal(value, before[name]), f"folding changed the user's own {name}"


@settings(max_examples=25, deadline=None)
@given(
    rank=st.integers(1, 3),
    groups=st.integers(1, 3),
    wide=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    padding=st.integers(0, 1),
    bias=st.booleans(),
    transposed=st.booleans(),
    affine=st.booleans(),
    seed=st.integers(0, 1000),
)
def test_convolution_then_normalization(
    rank, groups, wide, padding, bias, transposed, affine, seed
):
    torch.manual_seed(seed)
    inputs, outputs = groups * wide[0], groups * wide[1]
    kind = (TRANSPOSED if transposed else CONVS)[rank]
    conv = kind(inputs, outputs, 3, padding=padding, groups=groups, bias=bias, stride=2)
    module = randomized(nn.Sequential(conv, BATCHNORMS[rank](outputs, affine=affine)))
    assert_folded(module, torch.randn(2, inputs, *[5] * rank), 1)


@settings(max_examples=15, deadline=None)
@given(
    groups=st.integers(1, 3),
    wide=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    bias=st.booleans(),
    seed=st.integers(0, 1000),
)
def test_normalization_then_convolution_without_padding(groups, wide, bias, seed):
    torch.manual_seed(seed)
    inputs, outputs = groups * wide[0], groups * wide[1]
    conv = nn.Conv2d(inputs, outputs, 3, groups=groups, bias=bias)
    module = randomized(nn.Sequential(nn.BatchNorm2d(inputs), conv))
    assert_folded(module, torch.randn(2, inputs, 6, 6), 1)


@pytest.mark.parametrize("transposed", [False, True])
def test_weights_equal_those_of_torch_fusion(transposed):
    torch.manual_seed(0)
    kind = nn.ConvTranspose2d if transposed else nn.Conv2d
    module = randomized(nn.Sequential(kind(4, 6, 3, bias=False), nn.BatchNorm2d(6)))
    oracle = fuse_conv_bn_eval(module[0], module[1], transpose=transposed)
    state = fold(module, torch.randn(1, 4, 8, 8))[0].state_dict()
    torch.testing.assert_close(state["0.weight"], oracle.weight.detach(), rtol=1e-6, atol=1e-7)
    torch.testing.assert_close(state["0.bias"], oracle.bias.detach(), rtol=1e-6, atol=1e-6)


def test_linear_equals_torch_fusion():
    torch.manual_seed(0)
    module = randomized(nn.Sequential(nn.Linear(5, 7), nn.BatchNorm1d(7)))
    oracle = fuse_linear_bn_eval(module[0], module[1])
    state = fold(module, torch.randn(2, 5))[0].state_dict()
    torch.testing.assert_close(state["0.weight"], oracle.weight.detach())
    torch.testing.assert_close(state["0.bias"], oracle.bias.detach(), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(
    "between",
    [
        nn.Flatten(),
        nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten()),
        nn.Sequential(nn.AdaptiveAvgPool2d(2), nn.Dropout(), nn.Flatten()),
    ],
)
def test_normalization_reaches_a_linear_layer_through_averages_and_flattening(between):
    torch.manual_seed(0)
    x = torch.randn(2, 3, 4, 4)
    features = between(x).shape[1]
    assert_folded(
        randomized(nn.Sequential(nn.BatchNorm2d(3), between, nn.Linear(features, 5))), x, 1
    )


def test_normalizations_on_both_sides_and_in_a_row():
    torch.manual_seed(0)
    layers = [nn.BatchNorm2d(3), nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.BatchNorm2d(4)]
    assert_folded(randomized(nn.Sequential(*layers)), torch.randn(1, 3, 8, 8), 3)


def test_zero_shift_folds_into_a_padded_convolution():
    torch.manual_seed(0)
    module = randomized(nn.Sequential(nn.BatchNorm2d(3), nn.Conv2d(3, 4, 3, padding=1)))
    nn.init.zeros_(module[0].bias)
    nn.init.zeros_(module[0].running_mean)
    assert_folded(module, torch.randn(1, 3, 8, 8), 1)


class SharedConvolution(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 3, padding=1)
        self.first, self.second = nn.BatchNorm2d(3), nn.BatchNorm2d(3)

    def forward(self, x):
        return self.second(self.conv(self.first(self.conv(x)))) + self.conv(x)


def test_shared_convolution_keeps_its_weights_for_the_other_calls():
    torch.manual_seed(0)
    assert_folded(randomized(SharedConvolution()), torch.randn(1, 3, 8, 8), 2)


class TwoReaders(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3)

    def forward(self, x):
        y = self.conv(x)
        return y + self.norm(y)


class Sequence(nn.Module):
    """BatchNorm1d of [N, C, L] normalizes C, the linear layer before it made L."""

    def __init__(self):
        super().__init__()
        self.linear, self.norm = nn.Linear(4, 4), nn.BatchNorm1d(4)

    def forward(self, x):
        return self.norm(self.linear(x))


@pytest.mark.parametrize(
    ("module", "size", "path", "reason"),
    [
        (TwoReaders(), (1, 3, 4, 4), "norm", "also read unnormalized"),
        (Sequence(), (2, 4, 4), "norm", "another axis"),
        (
            nn.Sequential(nn.BatchNorm2d(3), nn.Conv2d(3, 3, 3, padding=1)),
            (1, 3, 4, 4),
            "0",
            "at the border",
        ),
        (
            nn.Sequential(nn.BatchNorm2d(3), nn.ConvTranspose2d(3, 3, 3)),
            (1, 3, 4, 4),
            "0",
            "at the border",
        ),
        (
            nn.Sequential(nn.BatchNorm2d(3), nn.Conv2d(3, 3, 3, padding="same")),
            (1, 3, 4, 4),
            "0",
            "at the border",
        ),
        (nn.Sequential(nn.BatchNorm2d(3), nn.ReLU()), (1, 3, 4, 4), "0", "comes before relu"),
        (
            nn.Sequential(nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3, track_running_stats=False)),
            (2, 3, 4, 4),
            "1",
            "statistics of the batch",
        ),
        (
            nn.Sequential(
                nn.utils.parametrizations.weight_norm(nn.Conv2d(3, 3, 1)), nn.BatchNorm2d(3)
            ),
            (1, 3, 4, 4),
            "1",
            "computed weight",
        ),
    ],
)
def test_what_is_not_exact_stays_with_its_path_and_reason(module, size, path, reason):
    torch.manual_seed(0)
    x = torch.randn(size)
    randomized(module)
    with torch.no_grad():
        expected = module(x)
        graph_module, folded = fold(module, x)
        torch.testing.assert_close(graph_module(x), expected)
    assert folded.count == 0
    assert [kept.module for kept in folded.kept] == [path]
    assert reason in folded.kept[0].reason
    assert left(graph_module) == 1


def test_half_precision_weights_stay_half_precision():
    module = randomized(nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4))).half()
    state = fold(module, torch.randn(1, 3, 4, 4).half())[0].state_dict()
    assert {value.dtype for value in state.values()} == {torch.float16}
