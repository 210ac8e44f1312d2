"""Whether a launch is trusted: what the device says, and what its samples show."""

from collections.abc import Callable

import numpy as np
import pytest

from groundspeed.deploy.devices.stability import Pace, drift, judge
from groundspeed.measurement import Conditions, Launch, Machine, Options

GOOD = Conditions(at="", throttled=False, temperatures_c={"battery": 31.0, "cpu": 55.0})
HOT = Conditions(at="", throttled=False, temperatures_c={"battery": 41.0})
HELD = Conditions(at="", throttled=True)
SILENT = Conditions(at="", load=0.1)


@pytest.fixture
def launch() -> Callable[..., Launch]:
    def make(
        samples: tuple[int, ...] = (1000,) * 50,
        before: Conditions = GOOD,
        after: Conditions = GOOD,
        during: tuple[Conditions, ...] = (),
    ) -> Launch:
        return Launch(
            runtime="ncnn",
            runtime_version="1",
            runtime_build="",
            options=Options(),
            cpus_granted=(0,),
            load_ns=1,
            first_run_ns=1,
            warmup_ns=(),
            steady=True,
            samples_ns=samples,
            peak_memory_bytes=None,
            baseline_memory_bytes=None,
            machine=Machine(name="", model=None, architecture="", system="", cpus=1),
            before=before,
            after=after,
            during=during,
        )

    return make


def test_a_device_that_says_so_and_keeps_its_pace_is_stable(launch) -> None:
    assert judge(launch()).pace is Pace.STABLE


@pytest.mark.parametrize(
    ("looks", "reason"),
    [
        ({"before": HELD}, "held its clocks down"),
        ({"during": (HELD,)}, "held its clocks down"),
        ({"after": HOT}, "battery had 41 °C"),
    ],
)
def test_a_sign_at_any_moment_counts(launch, looks, reason) -> None:
    found = judge(launch(**looks))
    assert found.pace is Pace.THROTTLED
    assert reason in found.reasons[0]


def test_a_device_that_says_nothing_is_unknown(launch) -> None:
    assert judge(launch(before=SILENT, after=SILENT)).pace is Pace.UNKNOWN


def test_a_slowdown_counts_whatever_the_device_says(launch) -> None:
    samples = tuple(int(1e6 * (1 + 0.1 * index / 200)) for index in range(200))
    found = judge(launch(samples))
    assert found.pace is Pace.THROTTLED
    assert "slowed down by 7%" in found.reasons[0]


def test_getting_faster_is_no_throttling(launch) -> None:
    samples = tuple(int(1e6 * (1 - 0.1 * index / 200)) for index in range(200))
    assert judge(launch(samples)).pace is Pace.STABLE


def test_noise_without_a_drift_is_rarely_called_one() -> None:
    """Correlated noise, such as a shared machine has, over many launches."""
    random, called = np.random.default_rng(0), 0
    for _ in range(300):
        noise = random.standard_normal(400)
        for index in range(1, 400):
            noise[index] = 0.8 * noise[index - 1] + 0.6 * noise[index]
        slowdown = drift(tuple(int(1e6 * (1 + 0.1 * value)) for value in noise))
        called += slowdown is not None and slowdown > 0.05
    assert called <= 300 * 0.02


def test_too_few_samples_show_no_drift() -> None:
    assert drift((1, 2, 3)) is None
    assert drift((5,) * 100) is None
