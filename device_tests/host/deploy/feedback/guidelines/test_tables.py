"""Tables and verdicts from runs whose every time is chosen."""

from __future__ import annotations

from dataclasses import replace

import pytest

from device_tests.host.deploy.feedback.guidelines.made_up import at_rate, drift, noise, run
from groundspeed.deploy.feedback.guidelines.asked import Asked, Subject
from groundspeed.deploy.feedback.guidelines.experiment import Column
from groundspeed.deploy.feedback.guidelines.tables import Table, tables
from groundspeed.deploy.feedback.guidelines.verdict import Verdict


def as_the_paper(subject: Subject, round: int) -> float:
    """The paper's phone, on a machine that is slower in some rounds."""
    speed = subject.experiment.speed_per_mac(subject.variant, subject.column, subject.width)
    return at_rate(subject) / speed * drift(round) * noise(subject, round, 0.01)


def all_equal(subject: Subject, round: int) -> float:
    """A device on which every MAC takes as long as any other."""
    return at_rate(subject) * drift(round) * noise(subject, round, 0.01)


def restless(subject: Subject, round: int) -> float:
    return at_rate(subject) * noise(subject, round, 1.0)


def only(guideline: str, timing, **more) -> Table:  # type: ignore[no-untyped-def]
    asked = Asked(guidelines=(guideline,))
    (table,) = tables(run(asked, timing, **more), asked)
    return table


@pytest.mark.parametrize("guideline", ["G1", "G2", "G3", "G4"])
def test_the_papers_own_phone_follows_its_guidelines(guideline: str) -> None:
    table = only(guideline, as_the_paper)
    assert table.verdict is Verdict.HOLDS
    assert table.trend is not None
    assert table.trend.value == pytest.approx(table.paper_trends[Column.ARM], rel=0.01)
    assert not table.contradicts
    assert not table.exceptions


@pytest.mark.parametrize("guideline", ["G1", "G2", "G3", "G4"])
def test_where_all_macs_take_as_long_nothing_holds(guideline: str) -> None:
    table = only(guideline, all_equal)
    assert table.verdict is Verdict.DOES_NOT_HOLD
    assert table.contradicts
    assert [row.speed_per_mac.value for row in table.rows if row.speed_per_mac] == pytest.approx(
        [1.0] * len(table.rows), abs=0.01
    )


def test_a_restless_machine_decides_nothing() -> None:
    table = only("G1", restless)
    assert table.verdict is Verdict.INCONCLUSIVE
    assert not table.contradicts


def test_a_fast_variant_is_an_exception_even_if_the_trend_holds() -> None:
    def fast_pair(subject: Subject, round: int) -> float:
        faster = 0.8 if subject.variant.name == "2-series" else 1.0
        return as_the_paper(subject, round) * faster

    table = only("G3", fast_pair)
    assert [row.variant.name for row in table.exceptions] == ["2-series"]


def test_speeds_are_as_measured_and_corrected_for_macs() -> None:
    table = only("G1", all_equal)
    row = table.rows[1]  # 5.5 % fewer MACs than the first
    assert row.speed is not None
    assert row.speed.value == pytest.approx(64.225 / 60.713, abs=0.01)
    assert table.rows[0].speed_per_mac is not None
    assert table.rows[0].speed_per_mac.value == 1.0


def test_rounds_count_only_where_all_variants_were_launched() -> None:
    def one_failure(subject: Subject, round: int) -> float | None:
        failed = subject.variant.name == "1:6" and round == 2
        return None if failed else as_the_paper(subject, round)

    assert only("G1", one_failure, rounds=6).rounds == 5


def test_a_variant_that_never_runs_is_told_and_the_others_are_judged() -> None:
    def broken(subject: Subject, round: int) -> float | None:
        return None if subject.variant.name == "8 groups" else as_the_paper(subject, round)

    table = only("G2", broken)
    assert table.rows[-1].failure == "it crashed"
    assert table.rows[-1].speed is None
    assert table.verdict is Verdict.HOLDS


def test_without_the_recommended_variant_there_is_no_verdict() -> None:
    def broken(subject: Subject, round: int) -> float | None:
        return None if subject.variant.step == 0 else as_the_paper(subject, round)

    table = only("G2", broken)
    assert table.trend is None
    assert table.verdict is Verdict.INCONCLUSIVE


def test_each_width_is_a_table_of_its_own() -> None:
    asked = Asked(guidelines=("G1", "G3"), widths=(1, 4))
    found = tables(run(asked, as_the_paper), asked)
    assert [(one.experiment.guideline, one.width) for one in found] == [
        *(("G1", 1), ("G1", 4)),
        *(("G3", 1), ("G3", 4)),
    ]


def test_each_runtime_has_a_table_of_its_own() -> None:
    asked = Asked(guidelines=("G1", "G4"))
    one, other = (
        run(asked, timing, runtime=name)
        for timing, name in ((as_the_paper, "fast"), (all_equal, "slow"))
    )
    found = tables(replace(one, cells=one.cells + other.cells), asked)
    assert [(each.experiment.guideline, each.runtime, each.verdict) for each in found] == [
        ("G1", "fast", Verdict.HOLDS),
        ("G1", "slow", Verdict.DOES_NOT_HOLD),
        ("G4", "fast", Verdict.HOLDS),
        ("G4", "slow", Verdict.DOES_NOT_HOLD),
    ]


def test_more_tables_widen_every_interval() -> None:
    alone = only("G1", as_the_paper)
    asked = Asked()
    among_others = tables(run(asked, as_the_paper), asked)[0]
    assert alone.trend is not None
    assert among_others.trend is not None
    assert alone.trend.low is not None
    assert among_others.trend.low is not None
    assert among_others.trend.low < alone.trend.low
