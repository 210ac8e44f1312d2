"""Who reads whose result, on graphs of a few ops."""

from __future__ import annotations

from device_tests.host.deploy.feedback.by_hand import op
from groundspeed.deploy.feedback.flow import (
    Flow,
    canonical_flow,
    executed_flow,
    nearest,
    reached,
)
from groundspeed.measurement import ProfiledOp
from groundspeed.ops import OpKind

# 0 -> 1 -> 3 -> 4, and 0 -> 2 -> 3.
DIAMOND = Flow.of([[], [0], [0], [1, 2], [3]])


def test_readers_are_sources_turned_around() -> None:
    assert DIAMOND.readers == ((1, 2), (3,), (3,), (4,), ())
    assert DIAMOND.known
    assert not Flow.of([[], []]).known


def test_a_network_flows_as_its_ops_read() -> None:
    ops = [
        op("a", OpKind.ACTIVATION),
        op("b", OpKind.ACTIVATION, inputs=("a", "not an op")),
        op("c", OpKind.ELEMENTWISE, inputs=("a", "b")),
    ]
    assert canonical_flow(ops).sources == ((), (0,), (0, 1))


def test_a_network_of_which_nothing_is_known_is_a_chain() -> None:
    ops = [op(name, OpKind.ACTIVATION) for name in "abc"]
    assert canonical_flow(ops).sources == ((), (0,), (1,))
    assert canonical_flow([]).sources == ()


def test_executed_ops_of_which_nothing_is_known_do_not_flow() -> None:
    ops = [ProfiledOp(name=name, type="Conv") for name in "ab"]
    assert not executed_flow(ops).known


def test_the_nearest_are_found_on_every_way_and_none_behind_them() -> None:
    assert sorted(nearest([0], DIAMOND.readers, {2, 3, 4}.__contains__)) == [2, 3]
    assert list(nearest([3], DIAMOND.sources, {3}.__contains__)) == [3]
    assert list(nearest([4], DIAMOND.sources, lambda each: False)) == []


def test_what_is_reached_ends_before_where_to_stop() -> None:
    assert reached([4], DIAMOND.sources, {1}.__contains__) == {4, 3, 2, 0}
    assert reached([3], DIAMOND.sources, {1, 2}.__contains__) == {3}
    assert reached([3], DIAMOND.sources, {3}.__contains__) == set()
