"""Sums that must hold for every profile, and midmeans worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import trim_mean

from groundspeed.artifact import Manifest, Source
from groundspeed.deploy.feedback.breakdown import (
    FASTEST,
    MIDDLE,
    Breakdown,
    ancestors,
    break_down,
    tree_order,
)
from groundspeed.deploy.feedback.roofline import roofline
from groundspeed.measurement import OpProfile, ProfiledOp
from groundspeed.ops import Op, OpKind

MODULES = ("", "stem", "stage.0", "stage.0.conv", "stage.1", "head")
WORDS = {
    OpKind.POINTWISE: "Conv",
    OpKind.DEPTHWISE: "Conv",
    OpKind.ACTIVATION: "Relu",
    OpKind.DATA_MOVEMENT: "Transpose",
}


def make(
    kinds: list[OpKind],
    modules: list[str],
    tied: list[bool],
    times: list[list[int]],
    part: tuple[float, float] = MIDDLE,
) -> Breakdown:
    ops = tuple(
        Op(
            name=f"op{i}",
            kind=kind,
            module=module,
            line="",
            output_shape=(1,),
            parameters=0,
            macs=100 if WORDS[kind] == "Conv" else 0,
            flops=200,
            memory_bytes=400,
        )
        for i, (kind, module) in enumerate(zip(kinds, modules, strict=True))
    )
    manifest = Manifest(
        runtime="ncnn",
        format="ncnn",
        precision="fp32",
        files=(),
        inputs=(),
        outputs=(),
        source=Source(name="net", spec="net", digest=""),
        ops=ops,
        tensors={f"t{i}": f"op{i}" for i, flag in enumerate(tied) if flag},
    )
    executed = tuple(
        ProfiledOp(name=op.name, type=WORDS[op.kind], outputs=(f"t{i}",))
        for i, op in enumerate(ops)
    )
    totals = [sum(column) for column in zip(*times, strict=True)]
    profile = OpProfile(
        ops=executed,
        times_ns=tuple(tuple(row) for row in times),
        profiled_ns=tuple(total + 50 for total in totals),
        plain_ns=tuple(total + 20 for total in totals),
    )
    return break_down(manifest, profile, part)


@st.composite
def breakdowns(draw: st.DrawFn) -> Breakdown:
    count, runs = draw(st.integers(1, 8)), draw(st.integers(1, 9))
    durations = st.lists(st.integers(1, 10**7), min_size=runs, max_size=runs)
    return make(
        [draw(st.sampled_from(list(WORDS))) for _ in range(count)],
        [draw(st.sampled_from(MODULES)) for _ in range(count)],
        [draw(st.booleans()) for _ in range(count)],
        [draw(durations) for _ in range(count)],
    )


@settings(max_examples=40, deadline=None)
@given(breakdowns())
def test_every_way_of_taking_the_time_apart_gives_the_same_total(breakdown: Breakdown) -> None:
    total = breakdown.ops_total.ns
    assert sum(row.time.ns for row in breakdown.ops) == pytest.approx(total)
    assert sum(row.time.ns for row in breakdown.kinds) == pytest.approx(total)
    assert breakdown.modules[0].path == ""
    assert breakdown.modules[0].time.ns == pytest.approx(total)
    assert sum(row.own_ns for row in breakdown.modules) == pytest.approx(total)
    assert breakdown.rest.ns + total == pytest.approx(breakdown.plain.ns)
    assert breakdown.profiler_cost.ns + breakdown.plain.ns == pytest.approx(breakdown.profiled.ns)
    shares = sum(row.share for row in breakdown.kinds) + breakdown.rest.ns / breakdown.plain.ns
    assert shares == pytest.approx(1)


@settings(max_examples=40, deadline=None)
@given(breakdowns())
def test_no_multiplication_is_lost_or_counted_twice(breakdown: Breakdown) -> None:
    charged = sum(row.op.macs for row in breakdown.ops)
    assert charged == sum(row.macs for row in breakdown.kinds) == breakdown.modules[0].macs
    names = [op.name for row in breakdown.ops for op in row.op.covers]
    assert len(names) == len(set(names))


@settings(max_examples=40, deadline=None)
@given(breakdowns())
def test_what_is_not_tied_is_missing_in_the_coverage(breakdown: Breakdown) -> None:
    missing = sum(row.time.ns for row in breakdown.ops if not row.op.tied)
    assert breakdown.coverage == pytest.approx(1 - missing / breakdown.ops_total.ns)


def test_coverage_is_by_time_and_not_by_number() -> None:
    times = [[900] * 4, [100] * 4]
    kinds = [OpKind.POINTWISE, OpKind.ACTIVATION]
    assert make(kinds, ["", ""], [True, False], times).coverage == pytest.approx(0.9)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(1, 10**6), min_size=4, max_size=40).filter(lambda x: len(x) % 4 == 0))
def test_the_midmean_is_scipys_trimmed_mean(times: list[int]) -> None:
    breakdown = make([OpKind.POINTWISE], [""], [True], [times])
    assert breakdown.plain.ns == pytest.approx(trim_mean(np.array(times) + 20, 0.25))


def test_most_runs_may_be_disturbed_when_the_fastest_are_asked_for() -> None:
    kinds, modules, tied = [OpKind.POINTWISE, OpKind.ACTIVATION], ["", ""], [True, True]
    times = [[300] * 9 + [30, 30] + [500] * 9, [10] * 9 + [20, 10] + [70] * 9]
    fastest = make(kinds, modules, tied, times, FASTEST)
    assert [row.time.ns for row in fastest.ops] == [30, 15]
    assert fastest.plain.ns == 45 + 20


def test_one_disturbed_run_does_not_move_the_result() -> None:
    calm = make([OpKind.POINTWISE], [""], [True], [[100_000] * 8])
    disturbed = make([OpKind.POINTWISE], [""], [True], [[100_000] * 7 + [90_000_000]])
    assert disturbed.ops_total.ns == calm.ops_total.ns == 100_000


def test_intervals_hold_the_value_and_are_the_same_each_time() -> None:
    times = [[90_000 + 1_000 * i for i in range(20)]]
    first, second = (make([OpKind.POINTWISE], [""], [True], times) for _ in range(2))
    assert first == second
    assert first.plain.low_ns < first.plain.ns < first.plain.high_ns


def test_achieved_rates_and_the_visible_roof() -> None:
    kinds = [OpKind.POINTWISE, OpKind.DEPTHWISE]
    breakdown = make(kinds, ["", ""], [True, True], [[10_000] * 4, [20_000] * 4])
    fast, slow = breakdown.ops
    assert fast.flops_per_s == pytest.approx(200 / 10e-6)
    assert slow.bytes_per_s == pytest.approx(400 / 20e-6)
    roof = roofline(breakdown)
    assert roof is not None
    assert [point.of_roof for point in roof.points] == pytest.approx([1.0, 0.5])


def test_ops_shorter_than_the_timer_can_tell_make_no_roof() -> None:
    assert roofline(make([OpKind.POINTWISE], [""], [True], [[100] * 4])) is None


def test_modules_come_as_a_tree() -> None:
    assert ancestors("a.b") == ("", "a", "a.b")
    assert tree_order(["a.x", "b", "a.y.z"]) == ["", "a", "a.x", "a.y", "a.y.z", "b"]
