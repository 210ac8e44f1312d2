"""How much is measured in one launch, and what is looked at meanwhile."""

import time

import pytest

from groundspeed.measurement import Job
from groundspeed.runtimes import measure
from groundspeed.runtimes.measure import profiled_runs


@pytest.mark.parametrize(
    ("asked", "latency_ms", "runs"), [(100, 1, 100), (100, 50, 50), (100, 5000, 20), (5, 5000, 5)]
)
def test_a_slow_network_is_profiled_in_fewer_runs(asked, latency_ms, runs) -> None:
    assert profiled_runs(asked, [latency_ms * 10**6] * 3) == runs


def test_the_inference_after_a_look_is_not_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measure, "LOOK_EVERY_S", 0.01)
    calls: list[int] = []

    def call() -> None:
        calls.append(1)
        time.sleep(0.001)

    job = Job(action="measure", min_samples=100, max_samples=100, min_seconds=0.0)
    samples, looks = measure._sample(call, job)
    assert len(samples) == 100
    assert looks
    assert len(calls) == len(samples) + len(looks)
    # At most one look in twenty inferences, so that a slow network is not measured twice.
    assert len(looks) <= 100 / measure.INFERENCES_A_LOOK


def test_a_short_launch_is_not_looked_at() -> None:
    job = Job(action="measure", min_samples=3, max_samples=3, min_seconds=0.0)
    assert measure._sample(lambda: None, job)[1] == ()
