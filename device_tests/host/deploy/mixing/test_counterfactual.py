"""Rounds of launches: everything once in each, in an order of chance, for as long as asked."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from groundspeed.deploy.mixing import counterfactual
from groundspeed.deploy.mixing.counterfactual import MAX_ROUNDS, MIN_ROUNDS, rounds_of_launches
from groundspeed.measurement import Job, Machine

JOBS = [Job(action="measure", runtime=name) for name in ("float", "mixed", "int8")]


class Recording:
    """A target that notes what it is asked to launch."""

    name = "recording"

    def __init__(self) -> None:
        self.asked: list[str] = []

    def run(self, job: Job, on_progress: object = None) -> str:
        self.asked.append(job.runtime)
        return f"{job.runtime} {len(self.asked)}"

    def facts(self) -> Machine:
        raise NotImplementedError

    @property
    def rounds(self) -> list[tuple[str, ...]]:
        """Return what was asked, a round at a time."""
        return list(zip(*[iter(self.asked)] * len(JOBS), strict=True))


def test_each_round_launches_everything_once_in_an_order_of_chance() -> None:
    target = Recording()
    launches = rounds_of_launches(target, JOBS, rounds=20, seed=1)
    assert len(target.rounds) == 20
    assert all(sorted(each) == ["float", "int8", "mixed"] for each in target.rounds)
    assert len(set(target.rounds)) > 3
    names = [[one.split()[0] for one in of] for of in launches]
    assert names == [[job.runtime] * 20 for job in JOBS]
    again = Recording()
    rounds_of_launches(again, JOBS, rounds=20, seed=1)
    assert again.asked == target.asked


def test_launches_of_one_round_stand_at_the_same_place() -> None:
    target = Recording()
    launches = rounds_of_launches(target, JOBS, rounds=4)
    for number in range(4):
        turns = [int(of[number].split()[1]) for of in launches]
        assert {(turn - 1) // len(JOBS) for turn in turns} == {number}


@pytest.mark.parametrize(("seconds", "rounds"), [(0.0, MIN_ROUNDS), (7.5, 8), (1e9, MAX_ROUNDS)])
def test_the_time_decides_how_many_rounds_there_are(
    monkeypatch: pytest.MonkeyPatch, seconds: float, rounds: int
) -> None:
    def clock() -> Iterator[float]:
        yield 0.0  # the beginning
        yield from map(float, range(MIN_ROUNDS, 10**6))  # asked after each round, of a second

    times = clock()
    monkeypatch.setattr(counterfactual, "time", SimpleNamespace(monotonic=lambda: next(times)))
    target = Recording()
    rounds_of_launches(target, JOBS, seconds=seconds)
    assert len(target.rounds) == rounds
