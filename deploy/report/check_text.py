"""What a gate says of a comparison, in the words that all of its reports share."""

from __future__ import annotations

import math

from groundspeed.deploy.gate.comparing import Comparison
from groundspeed.deploy.gate.decision import Rules, Verdict, pairs_needed
from groundspeed.deploy.report.text import threads


def title(comparison: Comparison) -> str:
    """Return "squeezenet1_1 in ncnn, fp32, 1 thread, on local"."""
    manifest = comparison.contest.candidate.manifest
    return (
        f"{manifest.source.name} in {manifest.runtime}, {manifest.precision}, "
        f"{threads(comparison.contest.threads)}, on {comparison.device}"
    )


def change(logarithm: float) -> str:
    """Return the change that the logarithm of a ratio stands for: "+1.2 %"."""
    if math.isinf(logarithm):
        return "-∞" if logarithm < 0 else "+∞"
    return f"{100 * math.expm1(logarithm):+.1f} %"


def ratio(comparison: Comparison) -> str:
    """Return "1.012 [0.998, 1.027]"; "" where nothing was measured."""
    seen = comparison.evidence
    if seen is None:
        return ""
    low, high = (f"{math.exp(end):.3f}" if math.isfinite(end) else "?" for end in seen.ends)
    return f"{math.exp(seen.estimate):.3f} [{low}, {high}]"


def reason(comparison: Comparison, rules: Rules) -> str:
    """Return why the verdict is what it is, and what would change it."""
    seen = comparison.evidence
    if seen is None:
        return comparison.problem
    margin = f"{100 * rules.margin:g} %"
    if comparison.verdict is Verdict.PASS:
        if comparison.is_faster:
            return f"faster by {-100 * math.expm1(seen.estimate):.1f} %"
        slower = " (slower, but by less)" if seen.low > 0 else ""
        return f"a slowdown of {margin} is excluded{slower}"
    if comparison.verdict is Verdict.FAIL:
        return f"slower, and a slowdown of {margin} cannot be excluded"
    return f"neither a slowdown nor less than {margin} is shown; {_wanted(comparison, rules)}"


def _wanted(comparison: Comparison, rules: Rules) -> str:
    smallest, pair_s = comparison.smallest, comparison.pair_s
    if smallest is None or pair_s is None:
        return "too few pairs were measured to say what would help: allow more with --pairs"
    needed = max(pairs_needed(smallest, rules.pairs, rules.margin), rules.pairs + 1)
    return (
        f"{rules.pairs} pairs at this scatter show {change(smallest)} in 95 % of trials: allow "
        f"--pairs {needed} (about {math.ceil(needed * pair_s / 60)} min), or take a quieter device"
    )
