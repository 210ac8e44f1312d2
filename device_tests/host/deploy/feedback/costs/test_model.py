"""The cost model, on a made-up device whose law is known."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from groundspeed.deploy.feedback.costs.characterize import kind_costs
from groundspeed.deploy.feedback.costs.example import Example
from groundspeed.deploy.feedback.costs.model import CostModel
from groundspeed.deploy.feedback.costs.prediction import leave_out, predict
from groundspeed.errors import UsageError
from groundspeed.ops import Op, OpKind

DISPATCH = 2_000.0  # nanoseconds


def network(width: int, size: int, depth: int) -> tuple[Op, ...]:
    """Return pairs of a pointwise convolution and a ReLU, with a residual addition at the end."""
    ops: list[Op] = []
    for place in range(depth):
        ops.append(op("conv2d", place, OpKind.POINTWISE, width, size, ops[-1:]))
        ops.append(op("relu", place, OpKind.ACTIVATION, width, size, ops[-1:]))
    return (*ops, op("add", 0, OpKind.ELEMENTWISE, width, size, [ops[-1], ops[0]]))


def op(word: str, place: int, kind: OpKind, width: int, size: int, inputs: list[Op]) -> Op:
    values = width * size * size
    macs = values * width if kind is OpKind.POINTWISE else 0
    parameters = width * width if macs else 0
    reads = max(1, len(inputs)) * values
    return Op(
        name=f"{word}_{place}" if place else word,
        kind=kind,
        module="",
        line="",
        output_shape=(1, width, size, size),
        parameters=parameters,
        macs=macs,
        flops=2 * macs or values,
        memory_bytes=4 * (reads + values + parameters),
        inputs=tuple(each.name for each in inputs),
    )


def takes(one: Op) -> float:
    """Return the law: a convolution is bound by arithmetic, half as fast for widths that do not

    fit vectors of eight; a ReLU is fused; the rest is bound by memory.
    """
    if one.kind is OpKind.ACTIVATION:
        return 0.0
    if one.macs:
        return 3_000.0 + one.flops / (20.0 if one.output_shape[1] % 8 == 0 else 10.0)
    return 3_000.0 + one.memory_bytes / 8.0


def example(width: int, size: int, depth: int) -> Example:
    ops = network(width, size, depth)
    times = tuple(takes(one) for one in ops)
    return Example(
        network=f"{width}x{size}x{depth}",
        ops=ops,
        times_ns=times,
        between_ns=0.05 * sum(times),
    )


EXAMPLES = [
    example(width, size, depth)
    for width, size, depth in [
        (16, 56, 4), (20, 56, 3), (24, 56, 5), (32, 28, 4), (36, 28, 3), (48, 28, 6),
        (64, 14, 4), (68, 14, 5), (96, 14, 3), (128, 7, 6), (132, 7, 4), (160, 7, 5),
    ]
]  # fmt: skip


def test_networks_that_were_left_out_are_predicted() -> None:
    errors = [abs(one.error) for one in leave_out(EXAMPLES)]
    assert sorted(errors)[len(errors) // 2] <= 0.05
    assert sum(error <= 0.1 for error in errors) >= 10


def test_a_network_that_it_has_seen_is_predicted_as_it_was_measured() -> None:
    model = CostModel(EXAMPLES)
    for one in EXAMPLES:
        assert model.predict(one.ops) == pytest.approx(one.total_ns, rel=0.02)


@pytest.mark.parametrize("for_each_op", [False, True])
def test_what_no_op_is_charged_with_is_a_share_or_so_much_for_each_op(for_each_op: bool) -> None:
    def rest(times: tuple[float, ...]) -> float:
        return 800.0 * sum(time > 0 for time in times) if for_each_op else 0.05 * sum(times)

    model = CostModel([replace(one, between_ns=rest(one.times_ns)) for one in EXAMPLES])
    for one in EXAMPLES:
        truth = sum(one.times_ns) + rest(one.times_ns)
        assert model.predict(one.ops) == pytest.approx(truth, rel=0.005)


def test_what_was_always_fused_is_free_and_what_was_not_is_not() -> None:
    ops = network(40, 28, 3)
    times = dict(zip((one.name for one in ops), CostModel(EXAMPLES).times(ops), strict=True))
    assert times["relu_1"] == 0
    assert times["add"] == pytest.approx(takes(ops[-1]), rel=0.15)


def test_widths_that_do_not_fit_are_known_to_be_slow() -> None:
    model = CostModel(EXAMPLES)
    fits, odd = (model.predict(network(width, 28, 4)) for width in (40, 44))
    assert odd > 1.6 * fits


def test_nine_in_ten_intervals_hold_the_truth() -> None:
    held = 0
    for place, one in enumerate(EXAMPLES):
        made = predict(one.ops, EXAMPLES[:place] + EXAMPLES[place + 1 :])
        assert made.high_ns is not None
        held += made.low_ns <= one.total_ns <= made.high_ns
    assert held >= math.floor(0.9 * len(EXAMPLES))


def test_a_kind_that_was_never_seen_is_told() -> None:
    strange = replace(network(16, 28, 1)[0], name="lstm", kind=OpKind.OTHER)
    made = predict([strange], EXAMPLES)
    assert made.unknown == ("lstm",)
    assert made.high_ns is None  # how long it takes, nobody knows


def test_ops_of_sizes_that_were_never_seen_are_told() -> None:
    assert predict(network(40, 28, 3), EXAMPLES).unlike == 0
    assert predict(network(4096, 112, 3), EXAMPLES).unlike > 0.5


def test_a_prediction_says_which_profiles_it_rests_on() -> None:
    examples = [replace(one, run=place) for place, one in enumerate(EXAMPLES, 1)]
    rests_on = predict(EXAMPLES[0].ops, examples).rests_on
    assert [(basis.network, basis.run) for basis in rests_on] == [
        (one.network, place) for place, one in enumerate(EXAMPLES, 1)
    ]


def test_networks_that_have_nothing_in_common_say_nothing_about_errors() -> None:
    ops = tuple(replace(each, name="lstm", kind=OpKind.OTHER) for each in EXAMPLES[0].ops)
    stranger = replace(EXAMPLES[0], network="stranger", ops=ops)
    with pytest.raises(UsageError, match="stranger has no op in common"):
        predict(EXAMPLES[1].ops, [*EXAMPLES, stranger])


def test_a_prediction_that_cannot_know_its_error_is_refused() -> None:
    with pytest.raises(UsageError, match="run 'groundspeed characterize'"):
        predict(EXAMPLES[0].ops, EXAMPLES[:2])


def test_the_law_of_the_device_is_found_again() -> None:
    aligned = [one for one in EXAMPLES if not int(one.network.split("x")[0]) % 8]
    by_kind = {row.kind: row for row in kind_costs(aligned)}
    convolutions = by_kind[OpKind.POINTWISE]
    assert convolutions.fixed_ns == pytest.approx(3_000, rel=0.02)
    assert convolutions.flops_per_s == pytest.approx(20e9, rel=0.1)
    assert by_kind[OpKind.ELEMENTWISE].bytes_per_s == pytest.approx(8e9, rel=0.2)
    assert by_kind[OpKind.ACTIVATION].ops == 0
    assert by_kind[OpKind.ACTIVATION].fused > 0


def in_place(one: Example) -> Example:
    """Return a network whose ops take longer than apart, the more so the longer all of it takes."""
    pace = 0.8 * (sum(one.times_ns) / 100_000.0) ** 0.1
    times = tuple(pace * time for time in one.times_ns)
    return replace(one, times_ns=times, between_ns=pace * one.between_ns)


def sewn(examples: list[Example]) -> Example:
    """Return a patchwork of all convolutions and additions, each behind a ReLU."""
    ops: list[Op] = []
    for one in examples:
        for each in one.ops:
            if each.kind is OpKind.ACTIVATION:
                continue
            width, size = each.output_shape[1:3]
            place = len(ops)
            reads = [
                op("relu", place + number, OpKind.ACTIVATION, width, size, [])
                for number, _ in enumerate(each.inputs)
            ]
            word = each.name.partition("_")[0]
            ops += [*reads, op(word, place + len(reads), each.kind, width, size, reads)]
    times = tuple(takes(one) for one in ops)
    return Example(
        network="patchwork_01",
        ops=tuple(ops),
        times_ns=times,
        between_ns=0.0,
        is_patchwork=True,
    )


PLACED = [in_place(one) for one in EXAMPLES]


def test_ops_that_were_measured_apart_tell_what_a_network_takes_that_nobody_ran() -> None:
    known = [*PLACED, sewn(EXAMPLES)]
    left_out = leave_out(known)
    assert [one.network for one in left_out] == [one.network for one in EXAMPLES]
    assert max(abs(one.error) for one in left_out) <= 0.03
    # Without its own ops apart it is a stranger, and predicted as such.
    strangers = leave_out(known, with_ops=True)
    assert sum(abs(one.error) for one in strangers) > sum(abs(one.error) for one in left_out)


def test_a_prediction_says_whether_its_ops_were_measured() -> None:
    known = [*PLACED[1:], sewn(EXAMPLES)]
    made = predict(EXAMPLES[0].ops, known)
    assert made.met == pytest.approx(1.0)
    assert made.left_out == leave_out(known)
    stranger = predict(network(40, 28, 3), known)
    assert stranger.met < 0.5
    assert stranger.left_out == leave_out(known, with_ops=True)


def test_patchworks_are_no_networks() -> None:
    with pytest.raises(UsageError, match="no network was profiled"):
        CostModel([sewn(EXAMPLES)])
    with pytest.raises(UsageError, match="2 networks were profiled"):
        predict(EXAMPLES[0].ops, [*EXAMPLES[:2], sewn(EXAMPLES)])
