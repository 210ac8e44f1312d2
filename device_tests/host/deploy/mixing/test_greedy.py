"""The greedy search, on tables made by hand and at random."""

from __future__ import annotations

import itertools
import math

from hypothesis import given
from hypothesis import strategies as st

from groundspeed.deploy.mixing.greedy import SIZES, greedy
from groundspeed.mixing import Candidate, Estimate, LayerGain


def layer(name: str, gain_ns: float | None, output_sqnr_db: float = 40.0) -> LayerGain:
    gain = None if gain_ns is None else Estimate(value=gain_ns, low=gain_ns - 1, high=gain_ns + 1)
    return LayerGain(
        op=name,
        module=name,
        float_ns=100.0,
        int8_ns=None if gain_ns is None else 100.0 - gain_ns,
        gain_ns=gain,
        output_sqnr_db=output_sqnr_db,
    )


class Recorder:
    """A judge of a network whose layers' noise adds up."""

    def __init__(self, layers: list[LayerGain]) -> None:
        self._noise = {each.op: each.noise for each in layers}
        self.seen: list[frozenset[str]] = []

    def __call__(self, chosen: frozenset[str]) -> Candidate:
        self.seen.append(chosen)
        drop = 100 * sum(self._noise[op] for op in chosen)
        return Candidate(layers=tuple(sorted(chosen)), drop=drop, predicted_ns=1.0)


def proposed(layers: list[LayerGain], max_drop: float = 100.0) -> list[frozenset[str]]:
    judge = Recorder(layers)
    greedy(layers, judge, max_drop)
    return judge.seen


gains = st.one_of(st.none(), st.floats(-1e6, 1e6))
tables = st.lists(st.tuples(gains, st.floats(0, 90) | st.just(math.inf)), max_size=30).map(
    lambda rows: [layer(f"conv{i}", gain, db) for i, (gain, db) in enumerate(rows)]
)


@given(tables)
def test_only_layers_that_gain_are_proposed_in_growing_sets(layers: list[LayerGain]) -> None:
    sets = proposed(layers, max_drop=math.inf)
    gaining = {each.op for each in layers if each.gain_ns and each.gain_ns.value > 0}
    assert len(sets) <= SIZES
    assert all(one <= other for one, other in itertools.pairwise(sets))
    assert frozenset().union(*sets) == gaining


@given(tables, st.floats(0, 50))
def test_nothing_larger_is_tried_than_the_first_set_that_costs_too_much(
    layers: list[LayerGain], max_drop: float
) -> None:
    judge = Recorder(layers)
    too_much = [judge(chosen).drop > max_drop for chosen in proposed(layers, max_drop)]
    assert not any(too_much[:-1])


@given(tables)
def test_a_set_has_more_gain_for_its_noise_than_what_is_left_out(layers: list[LayerGain]) -> None:
    by_name = {each.op: each for each in layers}

    def worth(op: str) -> float:
        gain, noise = by_name[op].gain_ns, by_name[op].noise
        return gain.value / noise if gain and noise else math.inf

    *_, last = [frozenset[str](), *proposed(layers, max_drop=math.inf)]
    for chosen in proposed(layers, max_drop=math.inf):
        rest = last - chosen
        assert not chosen or not rest or min(map(worth, chosen)) >= max(map(worth, rest))


def test_the_noisy_layer_comes_last_even_if_it_gains_most() -> None:
    first, *_ = proposed([layer("noisy", 500.0, 10.0), layer("clean", 100.0, 60.0)])
    assert first == {"clean"}


def test_layers_whose_time_is_unknown_stay_in_floating_point() -> None:
    assert frozenset().union(*proposed([layer("unknown", None), layer("known", 5.0)])) == {"known"}
