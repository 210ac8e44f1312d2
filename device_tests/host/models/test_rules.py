"""Each rule gives the kind, the FLOPs and the memory access cost that its convention says."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.export import ExportedProgram

from groundspeed.models import cost
from groundspeed.ops import Op, OpKind


def export(network: nn.Module, *shapes: tuple[int, ...]) -> ExportedProgram:
    return torch.export.export(network.eval(), tuple(torch.zeros(shape) for shape in shapes))


def ops_of(network: nn.Module, *shapes: tuple[int, ...]) -> tuple[Op, ...]:
    return cost.analyze(export(network, *shapes))


class Calls(nn.Module):
    """A module around a function."""

    def __init__(self, function: Callable[..., object]) -> None:
        super().__init__()
        self.function = function

    def forward(self, *inputs: Tensor) -> object:
        return self.function(*inputs)


def only(function: Callable[..., object], *shapes: tuple[int, ...]) -> Op:
    (op,) = ops_of(Calls(function), *shapes)
    return op


@pytest.mark.parametrize(
    ("layer", "kind"),
    [
        (nn.Conv2d(4, 6, 3), OpKind.CONVOLUTION),
        (nn.Conv2d(4, 6, (1, 3)), OpKind.CONVOLUTION),
        (nn.Conv2d(4, 6, 1), OpKind.POINTWISE),
        (nn.Conv2d(4, 4, 3, groups=4), OpKind.DEPTHWISE),
        (nn.Conv2d(4, 6, 1, groups=2), OpKind.GROUP),
        (nn.Conv2d(4, 6, 3, padding="same"), OpKind.CONVOLUTION),
        (nn.ConvTranspose2d(4, 6, 2), OpKind.TRANSPOSED),
        (nn.BatchNorm2d(4), OpKind.NORMALIZATION),
        (nn.Hardswish(), OpKind.ACTIVATION),
        (nn.AvgPool2d(2), OpKind.POOLING),
        (nn.AdaptiveAvgPool2d(1), OpKind.POOLING),
        (nn.Dropout(), OpKind.DATA_MOVEMENT),
    ],
)
def test_kinds(layer: nn.Module, kind: OpKind) -> None:
    assert [op.kind for op in ops_of(layer, (1, 4, 8, 8))] == [kind]


@pytest.mark.parametrize(
    ("function", "flops"),
    [
        (torch.relu, 1),
        (nn.functional.relu6, 2),
        (torch.sigmoid, 4),
        (nn.functional.hardswish, 5),
        (lambda x: x + 1, 1),
        (lambda x: x.mean((2, 3)), 1),
        (lambda x: nn.functional.adaptive_avg_pool2d(x, 1), 1),
        (lambda x: x.flatten(1), 0),
        (lambda x: x.transpose(1, 2), 0),
    ],
)
def test_flops_for_each_element_of_the_input(
    function: Callable[[Tensor], Tensor], flops: int
) -> None:
    assert only(function, (2, 3, 4, 5)).flops == flops * 2 * 3 * 4 * 5


def test_pooling_looks_at_each_place_of_its_window() -> None:
    (op,) = ops_of(nn.MaxPool2d(3, stride=2, padding=1), (1, 4, 8, 8))
    assert op.flops == 9 * 4 * 4 * 4
    (op,) = ops_of(nn.AvgPool2d((2, 1)), (1, 4, 8, 8))
    assert op.flops == 2 * 4 * 4 * 8


def test_an_unfolded_batch_normalization_is_a_multiply_and_an_add() -> None:
    (op,) = ops_of(nn.BatchNorm2d(4), (1, 4, 8, 8))
    assert (op.macs, op.flops) == (0, 2 * 4 * 8 * 8)
    assert op.parameters == 2 * 4  # two more values for each channel are statistics, not learned
    assert op.memory_bytes == 4 * (2 * 4 * 8 * 8 + 4 * 4)


@pytest.mark.parametrize(
    ("functional", "in_place"),
    [
        (torch.relu, torch.relu_),
        (nn.functional.hardtanh, nn.functional.hardtanh_),
        (lambda x: x.add(x), lambda x: x.add_(x)),
    ],
)
def test_in_place_ops_cost_what_their_functional_forms_cost(
    functional: Callable[[Tensor], Tensor], in_place: Callable[[Tensor], Tensor]
) -> None:
    shape = (1, 4, 8, 8)
    (one,), (other,) = (
        [op for op in ops_of(Calls(lambda x, f=f: f(x * 2)), shape) if op.name != "mul"]
        for f in (functional, in_place)
    )
    assert other.name == f"{one.name}_"
    assert (one.kind, one.flops, one.memory_bytes) == (other.kind, other.flops, other.memory_bytes)


def test_memory_access_cost_of_a_pointwise_convolution_is_equation_1_of_shufflenet_v2() -> None:
    # hw (c1 + c2) + c1 c2 elements, https://arxiv.org/abs/1807.11164, here of four bytes.
    (op,) = ops_of(nn.Conv2d(32, 64, 1, bias=False), (1, 32, 56, 56))
    assert op.memory_bytes == 4 * (56 * 56 * (32 + 64) + 32 * 64)
    assert op.intensity == op.flops / op.memory_bytes


def test_an_input_that_is_used_twice_is_read_once() -> None:
    assert only(lambda x: x * x, (1, 4, 8, 8)).memory_bytes == 4 * (1 + 1) * 256


def test_a_channel_shuffle_moves_its_tensor_once() -> None:
    def shuffle(x: Tensor) -> Tensor:
        return x.view(1, 2, 4, 8, 8).transpose(1, 2).contiguous().view(1, 8, 8, 8)

    ops = ops_of(Calls(shuffle), (1, 8, 8, 8))
    assert {op.kind for op in ops} == {OpKind.DATA_MOVEMENT}
    assert [op.memory_bytes for op in ops] == [0, 2 * 4 * 8 * 8 * 8, 0, 0]


def test_splitting_costs_what_its_pieces_cost() -> None:
    def exchange(x: Tensor) -> Tensor:
        left, right = x.chunk(2, 1)
        return torch.cat([right, left], 1)

    ops = ops_of(Calls(exchange), (1, 8, 4, 4))
    size = 4 * 8 * 4 * 4
    assert [op.name for op in ops] == ["chunk", "getitem", "getitem_1", "cat"]
    assert [op.memory_bytes for op in ops] == [0, size, size, 2 * size]


def test_half_precision_moves_half_the_bytes() -> None:
    program = torch.export.export(
        nn.Conv2d(4, 4, 1, bias=False).half(), (torch.zeros(1, 4, 8, 8).half(),)
    )
    assert cost.analyze(program)[0].memory_bytes == 2 * (2 * 4 * 8 * 8 + 16)
