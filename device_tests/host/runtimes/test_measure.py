"""How much is measured in one launch."""

import pytest

from groundspeed.runtimes.measure import profiled_runs


@pytest.mark.parametrize(
    ("asked", "latency_ms", "runs"), [(100, 1, 100), (100, 50, 50), (100, 5000, 20), (5, 5000, 5)]
)
def test_a_slow_network_is_profiled_in_fewer_runs(asked, latency_ms, runs) -> None:
    assert profiled_runs(asked, [latency_ms * 10**6] * 3) == runs
