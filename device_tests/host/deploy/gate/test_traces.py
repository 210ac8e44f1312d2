"""Recorded launches of equal files, with slowdowns put in: what each test must say of them."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from groundspeed.deploy.gate.decision import Rules, Verdict, judge, sequential_test

TRACES = sorted(Path(__file__).with_name("traces").glob("*.csv"))
WINDOW = 40


def windows(path: Path) -> np.ndarray:
    """Return the logarithms of the pairs' ratios, a row for each comparison."""
    lines = [line for line in path.read_text().splitlines() if not line.startswith("#")]
    pairs = [
        float(row["candidate_ns"]) / float(row["baseline_ns"]) for row in csv.DictReader(lines)
    ]
    whole = len(pairs) // WINDOW * WINDOW
    return np.log(pairs[:whole]).reshape(-1, WINDOW)


def verdict(logs: np.ndarray, rules: Rules) -> Verdict:
    """Return what a comparison says that stops as soon as it can."""
    test = sequential_test(rules)
    for look in test.looks(WINDOW):
        seen = test.examine(logs[:look].tolist(), most=WINDOW, level=rules.level)
        if (found := judge(seen, rules.margin)) is not Verdict.INCONCLUSIVE:
            return found
    return Verdict.INCONCLUSIVE


@pytest.mark.parametrize("path", TRACES, ids=lambda path: path.stem)
@pytest.mark.parametrize("strict", [False, True], ids=["group-sequential", "e-process"])
@pytest.mark.parametrize(
    ("slower_by", "expected"),
    [(0.0, Verdict.PASS), (0.03, Verdict.FAIL), (0.05, Verdict.FAIL), (0.10, Verdict.FAIL)],
)
def test_recorded_pairs(path: Path, slower_by: float, expected: Verdict, strict: bool) -> None:
    rules = Rules(strict=strict, pairs=WINDOW)
    found = [verdict(logs + np.log1p(slower_by), rules) for logs in windows(path)]
    assert found.count(expected) >= 0.95 * len(found)
    wrong = Verdict.FAIL if expected is Verdict.PASS else Verdict.PASS
    assert wrong not in found


def test_there_are_traces() -> None:
    assert TRACES
