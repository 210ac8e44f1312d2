"""A gate's verdicts as plain values, for ``--json``."""

from __future__ import annotations

from typing import Any

from groundspeed.deploy.gate.comparing import Comparison, log_ratios
from groundspeed.deploy.gate.decision import Rules
from groundspeed.deploy.gate.gate import Judged
from groundspeed.deploy.report.check_text import reason, trust


def plain(judged: Judged) -> dict[str, Any]:
    """Return verdicts as a dictionary for machines; ratios are candidate over baseline."""
    return {
        "verdict": judged.verdict,
        "rules": judged.rules,
        "comparisons": [_plain_one(one, judged.rules) for one in judged.comparisons],
        "without_baseline": judged.missing,
    }


def _plain_one(comparison: Comparison, rules: Rules) -> dict[str, Any]:
    contest, seen = comparison.contest, comparison.evidence
    manifest = contest.candidate.manifest
    return {
        "network": manifest.source.name,
        "runtime": manifest.runtime,
        "precision": manifest.precision,
        "threads": contest.threads,
        "device": comparison.device,
        "baseline": contest.baseline.id,
        "candidate": contest.candidate.id,
        "baseline_packages": contest.packages,
        "run": comparison.result.run.id if comparison.result else None,
        "verdict": comparison.verdict,
        "is_faster": comparison.is_faster,
        "ratio": comparison.ratio,
        "evidence": seen,
        "smallest": comparison.smallest,
        "pair_s": comparison.pair_s,
        "pairs": _pairs(comparison),
        "reason": reason(comparison, rules),
        "budget": comparison.spent,
        "calibration": comparison.calibration,
        "trust": trust(comparison),
        "culprits": comparison.culprits,
        "instructions": comparison.instructions,
    }


def _pairs(comparison: Comparison) -> list[float]:
    """Return the logarithm of each pair's ratio, in the order measured."""
    if comparison.result is None:
        return []
    old, new = comparison.result.cells
    return log_ratios(old.medians_ns, new.medians_ns)
