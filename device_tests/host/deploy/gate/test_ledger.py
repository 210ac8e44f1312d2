"""Calibrations computed from what is stored, against numpy and scipy."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
import pytest
from scipy import stats

from device_tests.host.stand_ins.bench import Bench
from groundspeed.deploy.gate.calibration import Calibration, stale
from groundspeed.deploy.gate.comparing import Comparison, Contest, compare, log_ratios
from groundspeed.deploy.gate.decision import Rules
from groundspeed.deploy.gate.ledger import calibrations, key_of, trusted
from groundspeed.deploy.report.check_text import trust
from groundspeed.deploy.store.store import Store
from groundspeed.measurement import Conditions, Launch

RULES = Rules(pairs=12)
WARM = Conditions(at="2026-01-01T00:00:00+00:00", temperatures_c={"cpu": 50.0})
HOT = Conditions(at="2026-01-01T00:00:00+00:00", temperatures_c={"cpu": 71.0})

MakeContest = Callable[..., Contest]


def null(one: Contest, store: Store, bench: Bench, seed: int = 0) -> Comparison:
    same = dataclasses.replace(one, candidate=one.baseline)
    return compare(same, store=store, target=bench, rules=RULES, seed=seed, even_if_same=True)


@pytest.fixture
def measured(contest: MakeContest, store: Store, bench: Bench) -> list[Comparison]:
    bench.template = dataclasses.replace(bench.template, before=WARM, after=WARM)
    one = contest()
    return [null(one, store, bench, seed) for seed in range(6)]


@pytest.fixture
def known(measured: list[Comparison], store: Store) -> Calibration:
    (found,) = calibrations(store, "bench", RULES)
    return found


def test_scatter_is_pooled_within_comparisons(
    known: Calibration, measured: list[Comparison]
) -> None:
    logs = [
        log_ratios(*(cell.medians_ns for cell in one.result.cells))
        for one in measured
        if one.result is not None
    ]
    assert known.comparisons == len(logs) == 6
    assert known.pairs == sum(map(len, logs))
    freedom = known.pairs - 6
    pooled = sum(np.var(one, ddof=1) * (len(one) - 1) for one in logs) / freedom
    assert known.deviation == pytest.approx(pooled**0.5)
    low, high = stats.chi2.interval(0.95, freedom)
    assert known.deviation_low == pytest.approx((pooled * freedom / high) ** 0.5)
    assert known.deviation_high == pytest.approx((pooled * freedom / low) ** 0.5)


def test_the_bound_on_fails_is_clopper_and_pearsons(known: Calibration) -> None:
    assert known.fails == 0
    assert known.bound == pytest.approx(1 - 0.025 ** (1 / 6))


def test_more_pairs_show_less(known: Calibration) -> None:
    shown = [known.smallest(pairs, RULES) for pairs in (10, 20, 40, 80)]
    assert shown == sorted(shown, reverse=True)
    assert shown[-1] > 0


def test_only_complete_null_comparisons_count(
    contest: MakeContest, store: Store, bench: Bench
) -> None:
    compare(contest(0.1), store=store, target=bench, rules=RULES)
    assert calibrations(store, "bench", RULES) == []
    assert calibrations(store, "another", RULES) == []


def test_a_new_kernel_begins_a_new_calibration(
    measured: list[Comparison], contest: MakeContest, store: Store, bench: Bench
) -> None:
    machine = dataclasses.replace(bench.template.machine, system="Linux 99")
    bench.template = dataclasses.replace(bench.template, machine=machine)
    null(contest(), store, bench, seed=100)
    (found,) = calibrations(store, "bench", RULES)
    assert found.comparisons == 1


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"runtime_version": "99.9"}, "runtime_version was"),
        ({"runtime_build": "other"}, "runtime_build was"),
        (
            {"after": dataclasses.replace(WARM, temperatures_c={"cpu": 71.0})},
            "50 °C at most, is 71",
        ),
    ],
)
def test_other_conditions_make_it_stale(
    measured: list[Comparison],
    contest: MakeContest,
    store: Store,
    bench: Bench,
    known: Calibration,
    change: dict[str, object],
    words: str,
) -> None:
    bench.template = dataclasses.replace(bench.template, **change)  # type: ignore[arg-type]
    now = null(contest(), store, bench, seed=100)
    assert now.result is not None
    assert words in stale(known, key_of(now.result), now.result.cells[1].launches)
    assert f"the calibration is stale ({words}" in trust(
        dataclasses.replace(now, calibration=known)
    ).replace("it was ", "")


def test_another_network_under_the_same_conditions_is_not_stale(
    measured: list[Comparison], contest: MakeContest, store: Store, bench: Bench
) -> None:
    now = compare(contest(0.1), store=store, target=bench, rules=RULES)
    (with_trust,) = trusted([now], store, RULES)
    assert "of 6 null comparisons there 0 failed (at most 45.9% do)" in trust(with_trust)


def test_who_never_calibrated_is_told_how(contest: MakeContest, store: Store, bench: Bench) -> None:
    now = compare(contest(0.1), store=store, target=bench, rules=RULES)
    (without,) = trusted([now], store, RULES)
    assert "groundspeed calibrate --on bench" in trust(without)


def test_a_cooler_device_is_not_stale(known: Calibration, bench: Bench) -> None:
    cool = dataclasses.replace(WARM, temperatures_c={"cpu": 20.0})
    launch: Launch = dataclasses.replace(bench.template, before=cool, after=cool)
    assert stale(known, known.key, [launch]) == ""
