"""What may stand in one line of a history."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from groundspeed.deploy.history import Entry
from groundspeed.deploy.report.trends import of_series
from groundspeed.deploy.trends.series import series
from groundspeed.measurement import Machine

MakeEntry = Callable[..., Entry]
MACHINE = Machine(name="pi5", model="Cortex-A76", architecture="aarch64", system="6.1", cpus=4)


@pytest.fixture
def entry() -> MakeEntry:
    def make(number: int, ms: float = 10.0, version: str = "1.0", **more: object) -> Entry:
        at = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(days=number)
        plain = Entry(
            run_id=number,
            started_at=at.isoformat(),
            finished=True,
            network="net",
            runtime="ncnn",
            precision="fp32",
            threads=1,
            artifact_id=f"file {number}",
            machine=MACHINE,
            comparability=version,
            key={"runtime_version": version},
            revision=f"{number:040x}",
            estimate_ns=1e6 * ms,
            interval=None,
            launches=5,
        )
        return dataclasses.replace(plain, **more)  # type: ignore[arg-type]

    return make


def test_a_change_is_between_two_commits(entry: MakeEntry) -> None:
    noise = 0.01 * np.random.default_rng(0).standard_normal(30)
    entries = [
        entry(number, 10 * float(np.exp(noise[number])) * (1.1 if number >= 18 else 1))
        for number in range(30)
    ]
    (one,) = series(entries)
    (step,) = one.trend.steps
    assert one.entries[step.index].run_id == 18
    assert "between run 17 (000000000) and run 18" in "\n".join(of_series(one))


def test_another_runtime_version_begins_a_new_series_and_says_so(entry: MakeEntry) -> None:
    entries = [entry(number, version="1.0" if number < 5 else "1.1") for number in range(10)]
    old, new = series(entries)
    assert (len(old.entries), len(new.entries)) == (5, 5)
    assert old.began == ""
    assert new.began == "runtime_version was 1.0, is 1.1"
    assert "does not compare: runtime_version was 1.0" in "\n".join(of_series(new))


@pytest.mark.parametrize(
    "other", [{"threads": 2}, {"runtime": "litert"}, {"precision": "fp16"}, {"network": "other"}]
)
def test_other_settings_are_other_series_from_the_start(
    entry: MakeEntry, other: dict[str, object]
) -> None:
    found = series([entry(0), entry(1, **other), entry(2)])
    assert sorted(len(one.entries) for one in found) == [1, 2]
    assert all(one.began == "" for one in found)


def test_of_a_comparison_the_candidate_counts(entry: MakeEntry) -> None:
    old, new = entry(3, 10.0), dataclasses.replace(entry(3, 11.0), artifact_id="new")
    (one,) = series([old, new])
    assert [each.artifact_id for each in one.entries] == ["new"]
