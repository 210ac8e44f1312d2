"""Which candidates are made and which file is kept, on measurements that are planted."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundspeed.deploy.mixing.choice import FINALISTS, choose, finalists, layer_reason
from groundspeed.mixing import Candidate, Counterfactual, Estimate, LayerGain, pareto_front

FLOAT = Candidate(layers=(), drop=0.0, predicted_ns=1000.0)


def candidate(
    *layers: str,
    drop: float = 0.0,
    predicted_ns: float = 900.0,
    ratio: tuple[float, float, float] | None = None,
    drop_in_file: float = 0.0,
    error: str | None = None,
) -> Candidate:
    measured = None
    if ratio is not None:
        low, value, high = ratio
        measured = Counterfactual(
            float_ns=1000.0,
            mixed_ns=1000.0 * value,
            ratio=Estimate(value=value, low=low, high=high),
            rounds=8,
            drop=drop_in_file,
        )
    return Candidate(
        layers=layers, drop=drop, predicted_ns=predicted_ns, measured=measured, error=error
    )


def gaining(op: str, gain_ns: float | None) -> LayerGain:
    gain = None if gain_ns is None else Estimate(value=gain_ns, low=gain_ns, high=gain_ns)
    return LayerGain(
        op=op, module=op, float_ns=1e6, int8_ns=None, gain_ns=gain, output_sqnr_db=40.0
    )


candidates = st.lists(
    st.builds(
        candidate,
        st.just("conv"),
        drop=st.floats(0, 5),
        predicted_ns=st.floats(1, 2000),
        ratio=st.none()
        | st.tuples(st.floats(0.1, 3), st.floats(0.1, 3), st.floats(0.1, 3)).map(
            lambda bounds: tuple(sorted(bounds))
        ),
        drop_in_file=st.floats(0, 5),
    ),
    max_size=12,
).map(lambda mixed: [FLOAT, *mixed])


def test_the_fastest_file_that_is_surely_not_slower_is_kept() -> None:
    tried = [
        FLOAT,
        candidate("a", ratio=(0.90, 0.95, 0.99)),
        candidate("a", "b", ratio=(0.80, 0.85, 0.90)),
        candidate("a", "b", "c", ratio=(0.50, 0.80, 1.10)),
    ]
    chosen, why = choose(tried, 0.5)
    assert chosen == 2
    assert "0.850 [0.800, 0.900]" in why


@pytest.mark.parametrize(
    ("tried", "word"),
    [
        (candidate("a", ratio=(0.9, 0.98, 1.001)), "as fast"),
        (candidate("a", ratio=(0.7, 0.8, 0.9), drop_in_file=0.6), "lost 0.60 points"),
        (candidate("a", drop=3.0, predicted_ns=100.0), "3.00 points"),
        (candidate("a", predicted_ns=2000.0), "predicted to take 2.00"),
        (candidate("a", error="no such op"), "no such op"),
    ],
)
def test_without_proof_the_float_file_is_kept_and_the_reason_told(
    tried: Candidate, word: str
) -> None:
    chosen, why = choose([FLOAT, tried], 0.5)
    assert chosen == 0
    assert word in why


@given(candidates, st.floats(0, 5))
def test_what_is_chosen_is_never_slower_and_never_loses_too_much(
    tried: list[Candidate], max_drop: float
) -> None:
    chosen, _ = choose(tried, max_drop)
    measured = tried[chosen].measured
    assert chosen == 0 or (
        measured is not None and measured.ratio.high <= 1.0 and measured.drop <= max_drop
    )


@given(candidates, st.floats(0, 5))
def test_finalists_fit_the_budget_and_none_beats_another(
    tried: list[Candidate], max_drop: float
) -> None:
    best = [tried[position] for position in finalists(tried, max_drop)]
    assert len(best) <= FINALISTS
    assert all(each.layers and each.drop <= max_drop for each in best)
    assert [each.predicted_ns for each in best] == sorted(each.predicted_ns for each in best)
    drops = [each.drop for each in best]
    assert drops == sorted(drops, reverse=True)
    assert len(set(drops)) == len(drops)


@given(candidates)
def test_the_front_holds_exactly_what_nobody_beats(tried: list[Candidate]) -> None:
    def beaten(one: Candidate) -> bool:
        return any(
            other.drop <= one.drop
            and other.predicted_ns <= one.predicted_ns
            and (other.drop, other.predicted_ns) != (one.drop, one.predicted_ns)
            for other in tried
        )

    front = {(tried[i].drop, tried[i].predicted_ns) for i in pareto_front(tried)}
    assert front == {(each.drop, each.predicted_ns) for each in tried if not beaten(each)}


@pytest.mark.parametrize(
    ("gain_ns", "larger", "words"),
    [
        (None, [], "do not tell its time"),
        (-20_000.0, [], "0.02 ms slower in integers"),
        (20_000.0, [candidate("a", "b", drop=1.25)], "1.25 points of top-1 with 1 more layers"),
        (20_000.0, [candidate("a", ratio=(0.9, 1.0, 1.1))], "1.000 [0.900, 1.100]"),
        (20_000.0, [candidate("a", error="cut off")], "cut off"),
        (20_000.0, [candidate("a", ratio=(0.7, 0.8, 0.9), drop_in_file=2.0)], "2.00 points"),
        (20_000.0, [candidate("a", predicted_ns=2e6)], "alone the file was predicted to take 2 ms"),
        (
            20_000.0,
            [candidate("a"), candidate("a", "b", ratio=(1.1, 1.2, 1.3))],
            "with 1 more layers the file took 1.200",
        ),
        (20_000.0, [candidate("b")], "in no set of layers that was tried"),
    ],
)
def test_a_float_layer_tells_the_numbers_that_keep_it_there(
    gain_ns: float | None, larger: list[Candidate], words: str
) -> None:
    assert words in layer_reason(gaining("a", gain_ns), [FLOAT, *larger], 0, 0.5)
