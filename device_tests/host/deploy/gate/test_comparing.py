"""Comparisons whose latencies are known beforehand: when they stop, what they say, going on."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
import pytest

from device_tests.host.stand_ins.bench import Bench
from groundspeed.artifact import Artifact
from groundspeed.deploy.gate.comparing import Comparison, Contest, compare, slowdown_level
from groundspeed.deploy.gate.decision import Rules, Verdict
from groundspeed.deploy.gate.gate import gather
from groundspeed.deploy.plan import Stop
from groundspeed.deploy.store.store import Store
from groundspeed.errors import DeviceLost, UsageError

MakeArtifact = Callable[..., Artifact]

RULES = Rules()


def run(one: Contest, store: Store, bench: Bench, rules: Rules = RULES) -> Comparison:
    return compare(one, store=store, target=bench, rules=rules)


@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize(
    ("slower_by", "verdict"),
    [(0.0, Verdict.PASS), (0.10, Verdict.FAIL), (-0.10, Verdict.PASS)],
)
def test_a_verdict_stands_before_all_pairs_are_spent(
    contest: Callable[..., Contest],
    store: Store,
    bench: Bench,
    slower_by: float,
    verdict: Verdict,
    strict: bool,
) -> None:
    found = run(contest(slower_by), store, bench, Rules(strict=strict))
    assert found.verdict is verdict
    assert found.is_faster is (slower_by < 0)
    assert found.evidence is not None
    assert found.evidence.pairs < RULES.pairs
    assert found.ratio == pytest.approx(1 + slower_by, abs=0.03)
    assert found.result is not None
    assert found.result.run.stopped == Stop.DECIDED


def test_what_scatters_too_much_is_inconclusive(
    contest: Callable[..., Contest], store: Store, bench: Bench
) -> None:
    bench.scatter = 0.3
    found = run(contest(), store, bench)
    assert found.verdict is Verdict.INCONCLUSIVE
    assert found.smallest is not None
    assert found.smallest > RULES.margin
    assert len(bench.order) == 2 * RULES.pairs


def test_a_coin_decides_who_is_first(
    contest: Callable[..., Contest], store: Store, bench: Bench
) -> None:
    bench.scatter = 0.3
    run(contest(), store, bench)
    pairs = list(zip(bench.order[::2], bench.order[1::2], strict=True))
    assert all(set(pair) == {"old", "new"} for pair in pairs)
    first = sum(pair[0] == "old" for pair in pairs)
    assert 10 <= first <= 30  # a fair coin is outside of this once in 1,000 times


def test_a_load_that_starts_in_the_midst_makes_nothing_slower(
    contest: Callable[..., Contest], store: Store, bench: Bench
) -> None:
    bench.load = lambda launch: 2.0 if launch > 13 else 1.0
    found = run(contest(), store, bench)
    assert found.verdict is not Verdict.FAIL
    assert not found.is_faster


def test_one_launch_that_is_paused_makes_nothing_slower(
    contest: Callable[..., Contest], store: Store, bench: Bench
) -> None:
    bench.load = lambda launch: 100.0 if launch == 7 else 1.0
    found = run(contest(), store, bench)
    assert found.verdict is not Verdict.FAIL
    assert not found.is_faster


def test_a_lost_device_costs_nothing_that_was_measured(
    contest: Callable[..., Contest], store: Store, bench: Bench
) -> None:
    one = contest(0.10)
    bench.lost_at = 9
    with pytest.raises(DeviceLost, match="run the same command again"):
        run(one, store, bench)
    found = run(one, store, bench)
    assert found.verdict is Verdict.FAIL
    assert len(store.runs()) == 1
    assert found.evidence is not None
    assert len(bench.order) == 2 * found.evidence.pairs


def test_a_candidate_that_crashes_fails(
    contest: Callable[..., Contest], store: Store, bench: Bench
) -> None:
    found = run(contest(crash="new"), store, bench)
    assert found.verdict is Verdict.FAIL
    assert "the candidate cannot be run: the process died" in found.problem
    assert slowdown_level(found, RULES) == 0.0
    assert len(bench.order) == 4


def test_a_baseline_that_crashes_proves_nothing(
    contest: Callable[..., Contest], store: Store, bench: Bench
) -> None:
    found = run(contest(crash="old"), store, bench)
    assert found.verdict is Verdict.INCONCLUSIVE
    assert "the baseline cannot be run" in found.problem


def test_the_same_file_is_not_measured(
    make_artifact: MakeArtifact, store: Store, bench: Bench
) -> None:
    one = make_artifact("same")
    found = run(Contest(baseline=one, candidate=one), store, bench)
    assert found.verdict is Verdict.PASS
    assert not bench.order
    assert not store.runs()


@pytest.mark.parametrize("other", [{"runtime": "ncnn"}, {"precision": "fp16"}])
def test_what_does_not_compare_is_refused(
    make_artifact: MakeArtifact, other: dict[str, str]
) -> None:
    with pytest.raises(UsageError, match="cannot be compared with its baseline"):
        Contest(baseline=make_artifact("old"), candidate=make_artifact("new", **other))


def test_a_family_shares_the_level(
    contest: Callable[..., Contest], store: Store, bench: Bench
) -> None:
    alone = run(contest(0.03), store, bench)
    shared = compare(contest(0.03), store=store, target=bench, rules=RULES, family=20)
    assert alone.evidence is not None
    assert shared.evidence is not None
    assert shared.evidence.level == pytest.approx(alone.evidence.level / 20)


def test_what_has_no_baseline_does_not_pass_in_silence(
    contest: Callable[..., Contest], store: Store, bench: Bench
) -> None:
    passed = run(contest(), store, bench)
    assert gather([passed], RULES).verdict is Verdict.PASS
    assert gather([passed], RULES, missing=["new_net in ncnn"]).verdict is Verdict.INCONCLUSIVE


def test_a_shown_slowdown_leaves_its_level_to_the_others(
    contest: Callable[..., Contest], store: Store, bench: Bench
) -> None:
    """The second is not shown with half of the level, but with all of it."""
    clear = compare(contest(0.2), store=store, target=bench, rules=RULES, family=2)
    for seed in range(40):
        bench.random = np.random.default_rng(seed)
        bench.scatter = 0.05
        close = compare(
            contest(0.04), store=store, target=bench, rules=RULES, family=2, seed=seed, fresh=True
        )
        level = slowdown_level(close, RULES)
        if close.verdict is Verdict.INCONCLUSIVE and RULES.level / 2 < level < RULES.level:
            break
    else:
        pytest.fail("no seed falls between the two levels")
    assert gather([close], dataclasses.replace(RULES, level=RULES.level / 2)).verdict is not (
        Verdict.FAIL
    )
    assert [one.verdict for one in gather([clear, close], RULES).comparisons] == [Verdict.FAIL] * 2
