"""A small fault campaign; ``benchmarks/faults.py`` makes the whole one."""

from __future__ import annotations

from pathlib import Path

import pytest

from device_tests.campaign.whole import campaign

pytestmark = pytest.mark.arm64  # no program of arm64 runs here, but it needs root as those do


def test_nothing_is_lost_doubled_or_left_behind(arm64: None, tmp_path: Path) -> None:
    findings = campaign(tmp_path, jobs=16, boards=2, at_once=3, every_s=3.0, seed=0)
    assert findings.wrong == ()
    # The store has all 16, or something were wrong. A journal misses what is killed as it is noted.
    assert findings.results >= 16 - sum(findings.faults.values())
    assert sum(findings.faults.values()) >= 3
