"""The cost model against worked examples, closed forms and torch's own counter."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.export import ExportedProgram
from torch.utils.flop_counter import FlopCounterMode

from groundspeed.errors import SourceError
from groundspeed.models import cost
from groundspeed.ops import Op, OpKind


def export(network: nn.Module, *shapes: tuple[int, ...]) -> ExportedProgram:
    return torch.export.export(network.eval(), tuple(torch.zeros(shape) for shape in shapes))


def ops_of(network: nn.Module, *shapes: tuple[int, ...]) -> tuple[Op, ...]:
    return cost.analyze(export(network, *shapes))


def macs(network: nn.Module, *shapes: tuple[int, ...]) -> int:
    return cost.totals(ops_of(network, *shapes)).macs


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


# ---- the worked examples of the articles that the project starts from ---------------------------


def test_linear_100_to_200() -> None:
    (op,) = ops_of(nn.Linear(100, 200), (1, 100))
    assert (op.macs, op.flops, op.parameters) == (20_000, 40_000, 20_200)


def test_three_by_three_kernel_on_four_by_four() -> None:
    assert macs(nn.Conv2d(1, 1, 3), (1, 1, 4, 4)) == 36


def test_convolution_of_256_by_256_from_3_to_128() -> None:
    # Often quoted as "226 M FLOPs": it is 226 M multiply-accumulates, twice as many FLOPs.
    (op,) = ops_of(nn.Conv2d(3, 128, 3, padding=1, bias=False), (1, 3, 256, 256))
    assert (op.macs, op.flops) == (226_492_416, 452_984_832)


def test_stride_two_costs_a_quarter_not_a_half() -> None:
    assert macs(nn.Conv2d(3, 128, 3, stride=2, padding=1), (1, 3, 256, 256)) == 226_492_416 // 4


def test_depthwise_separable_against_regular() -> None:
    shape = (1, 64, 112, 112)
    depthwise = macs(nn.Conv2d(64, 64, 3, padding=1, groups=64), shape)
    pointwise = macs(nn.Conv2d(64, 128, 1), shape)
    regular = macs(nn.Conv2d(64, 128, 3, padding=1), shape)
    assert (depthwise, pointwise, regular) == (7_225_344, 102_760_448, 924_844_032)
    assert depthwise + pointwise == 109_985_792
    assert regular / (depthwise + pointwise) == pytest.approx(8.40876, abs=5e-6)


@pytest.mark.parametrize(
    ("kernel", "speedups"),
    [
        (3, (5.76, 7.89, 8.41, 8.84, 8.92)),
        (5, (9.76, 17.98, 20.92, 23.84, 24.40)),
        (7, (12.06, 27.75, 35.44, 44.72, 46.76)),
    ],
)
def test_the_saving_comes_near_the_kernels_size_only_for_many_filters(
    kernel: int, speedups: tuple[float, ...]
) -> None:
    shape = (1, 2, 8, 8)
    depthwise = macs(nn.Conv2d(2, 2, kernel, padding=kernel // 2, groups=2), shape)
    for filters, speedup in zip((16, 64, 128, 512, 1024), speedups, strict=True):
        regular = macs(nn.Conv2d(2, filters, kernel, padding=kernel // 2), shape)
        pointwise = macs(nn.Conv2d(2, filters, 1), shape)
        assert regular / (depthwise + pointwise) == pytest.approx(speedup, abs=0.005)


def test_depthwise_with_a_channel_multiplier() -> None:
    (op,) = ops_of(nn.Conv2d(4, 12, 3, padding=1, groups=4), (1, 4, 5, 5))
    assert (op.kind, op.macs) == (OpKind.DEPTHWISE, 3 * 3 * 4 * 3 * 5 * 5)


def test_inverted_bottleneck_of_mobilenet_v2() -> None:
    expand, filters, project = (
        nn.Conv2d(64, 384, 1),
        nn.Conv2d(384, 384, 3, padding=1, groups=384),
        nn.Conv2d(384, 128, 1),
    )
    ops = ops_of(nn.Sequential(expand, filters, project), (1, 64, 112, 112))
    assert [op.macs for op in ops] == [308_281_344, 43_352_064, 616_562_688]
    assert cost.totals(ops).macs == 968_196_096
    # 4.7 % more than the regular convolution, and 8.8 times the depthwise separable one.
    regular = macs(nn.Conv2d(64, 128, 3, padding=1), (1, 64, 112, 112))
    separable = nn.Sequential(nn.Conv2d(64, 64, 3, padding=1, groups=64), nn.Conv2d(64, 128, 1))
    assert cost.totals(ops).macs / regular == pytest.approx(1.047, abs=5e-4)
    assert cost.totals(ops).macs / macs(separable, (1, 64, 112, 112)) == pytest.approx(
        8.80, abs=5e-3
    )


def test_seven_by_seven_example_of_separable_convolutions() -> None:
    shape = (1, 3, 7, 7)
    assert macs(nn.Conv2d(3, 128, 3), shape) == 86_400
    separable = nn.Sequential(nn.Conv2d(3, 3, 3, groups=3), nn.Conv2d(3, 128, 1))
    assert [op.macs for op in ops_of(separable, shape)] == [675, 9_600]


def test_spatially_separable_convolution() -> None:
    shape = (1, 1, 5, 5)
    assert macs(nn.Conv2d(1, 1, 3), shape) == 81
    separable = nn.Sequential(nn.Conv2d(1, 1, (3, 1)), nn.Conv2d(1, 1, (1, 3)))
    assert [op.macs for op in ops_of(separable, shape)] == [45, 27]


def test_weights_of_factorized_seven_by_seven_kernels() -> None:
    flat = nn.Sequential(nn.Conv2d(1, 1, (1, 7), bias=False), nn.Conv2d(1, 1, (7, 1), bias=False))
    assert cost.totals(ops_of(flat, (1, 1, 9, 9))).parameters == 14
    solid = nn.Sequential(
        nn.Conv3d(1, 1, (1, 1, 7), bias=False),
        nn.Conv3d(1, 1, (1, 7, 1), bias=False),
        nn.Conv3d(1, 1, (7, 1, 1), bias=False),
    )
    assert cost.totals(ops_of(solid, (1, 1, 9, 9, 9))).parameters == 21
    assert cost.totals(ops_of(nn.Conv3d(1, 1, 7, bias=False), (1, 1, 9, 9, 9))).parameters == 343


# ---- against torch's own counter ----------------------------------------------------------------


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_convolutions_count_as_torch_counts_them(data: st.DataObject) -> None:
    def draw(low: int, high: int) -> int:
        return data.draw(st.integers(low, high))

    rank, groups, batch = draw(1, 3), draw(1, 3), draw(1, 2)
    transposed = data.draw(st.booleans())
    kinds = (
        (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
        if transposed
        else (nn.Conv1d, nn.Conv2d, nn.Conv3d)
    )
    layer = kinds[rank - 1](
        groups * draw(1, 3),
        groups * draw(1, 3),
        draw(1, 3),
        stride=draw(1, 2),
        padding=draw(0, 1),
        groups=groups,
        dilation=draw(1, 2),
        bias=data.draw(st.booleans()),
    )
    shape = (batch, layer.in_channels, *(draw(6, 8) for _ in range(rank)))
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        layer(torch.zeros(shape))
    assert macs(layer, shape) == counter.get_total_flops() // 2


@pytest.mark.parametrize(
    ("function", "shapes"),
    [
        (torch.matmul, ((2, 3, 4, 5), (5, 6))),
        (torch.mm, ((3, 4), (4, 5))),
        (torch.bmm, ((2, 3, 4), (2, 4, 5))),
        (torch.addmm, ((3, 5), (3, 4), (4, 5))),
        (torch.baddbmm, ((2, 3, 5), (2, 3, 4), (2, 4, 5))),
        (nn.functional.linear, ((2, 7, 4), (5, 4))),
    ],
)
def test_matrix_products_count_as_torch_counts_them(
    function: Callable[..., Tensor], shapes: tuple[tuple[int, ...], ...]
) -> None:
    with FlopCounterMode(display=False) as counter:
        function(*(torch.zeros(shape) for shape in shapes))
    op = only(function, *shapes)
    assert (op.kind, op.macs) == (OpKind.LINEAR, counter.get_total_flops() // 2)


def test_attention_is_two_matrix_products_and_a_softmax() -> None:
    query, key, value = (2, 3, 5, 8), (2, 3, 7, 8), (2, 3, 7, 4)
    op = only(nn.functional.scaled_dot_product_attention, query, key, value)
    assert op.macs == 2 * 3 * (5 * 7 * 8 + 5 * 7 * 4)
    assert op.flops == 2 * op.macs + 6 * (2 * 3 * 5 * 7)


# ---- what is not counted ------------------------------------------------------------------------


def test_an_op_without_a_rule_is_reported() -> None:
    program = export(Calls(lambda x: torch.linalg.inv(x) + x), (3, 3))
    assert cost.uncounted(program) == {"aten.linalg_inv.default": ("linalg_inv",)}
    inverse, _ = cost.analyze(program)
    assert (inverse.kind, inverse.macs, inverse.flops) == (OpKind.OTHER, 0, 0)
    assert inverse.memory_bytes == 2 * 4 * 9


def test_a_shape_that_depends_on_values_is_refused() -> None:
    program = export(Calls(lambda x: torch.nonzero(x) * 2), (3, 3))
    with pytest.raises(SourceError, match="depends on the values of the input"):
        cost.analyze(program)


def test_arithmetic_on_sizes_is_no_op() -> None:
    dynamic = ({0: torch.export.Dim("batch")},)
    program = torch.export.export(
        Calls(lambda x: x.view(x.shape[0] * 2, -1)), (torch.zeros(3, 4),), dynamic_shapes=(dynamic,)
    )
    (op,) = cost.analyze(program)
    assert (op.name, op.output_shape) == ("view", (6, 2))


def test_an_op_reads_ops_and_neither_weights_nor_inputs_nor_sizes() -> None:
    class Halves(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = nn.Linear(4, 4)

        def forward(self, x: Tensor) -> Tensor:
            left, right = self.linear(x).chunk(2, dim=1)
            return torch.cat((left, x), dim=1) + torch.cat((x, right), dim=1)

    reads = {op.name: op.inputs for op in ops_of(Halves(), (2, 4))}
    assert reads == {
        "linear": (),
        "chunk": ("linear",),
        "getitem": ("chunk",),
        "getitem_1": ("chunk",),
        "cat": ("getitem",),
        "cat_1": ("getitem_1",),
        "add": ("cat", "cat_1"),
    }


def test_totals_are_sums() -> None:
    ops = ops_of(nn.Sequential(nn.Conv2d(4, 4, 1), nn.ReLU(), nn.Conv2d(4, 2, 3)), (1, 4, 8, 8))
    total = cost.totals(ops)
    assert total.parameters == 4 * 4 + 4 + 4 * 2 * 9 + 2
    assert total.macs == 16 * 64 + 72 * 36
    assert total.flops == 2 * total.macs + 4 * 64
    assert total.memory_bytes == sum(op.memory_bytes for op in ops)
