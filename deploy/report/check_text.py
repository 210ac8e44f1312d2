"""What a gate says of a comparison, in the words that all of its reports share."""

from __future__ import annotations

import math

from groundspeed.deploy.gate.budgets import Spent
from groundspeed.deploy.gate.calibration import stale
from groundspeed.deploy.gate.comparing import Comparison
from groundspeed.deploy.gate.decision import Rules, Verdict, pairs_needed
from groundspeed.deploy.report.check_culprits import sentences
from groundspeed.deploy.report.text import threads


def title(comparison: Comparison) -> str:
    """Return "squeezenet1_1 in ncnn, fp32, 1 thread, on local", and what the baseline ran with."""
    contest = comparison.contest
    manifest = contest.candidate.manifest
    other = f", the baseline with {', '.join(contest.packages)}" if contest.packages else ""
    return (
        f"{manifest.source.name} in {manifest.runtime}, {manifest.precision}, "
        f"{threads(contest.threads)}, on {comparison.device}{other}"
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


def why(comparison: Comparison) -> list[str]:
    """Return why a comparison failed, in sentences; none where nobody looked."""
    return sentences(comparison.culprits) if comparison.culprits else []


def trust(comparison: Comparison) -> str:
    """Return how often files that were compared with themselves there came out wrong.

    "" where nothing was measured.
    """
    if comparison.result is None:
        return ""
    known, again = comparison.calibration, f"'groundspeed calibrate --on {comparison.device}'"
    if known is None:
        return f"never calibrated there: {again} tells how often equal files fail"
    candidate = comparison.result.cells[1]
    key = next((one.comparability for one in candidate.stored if one.comparability), None)
    if key is not None and (why := stale(known, key, candidate.launches)):
        return f"the calibration is stale ({why}): run {again} again"
    return (
        f"of {known.comparisons} null comparisons there {known.fails} failed (at most "
        f"{known.bound:.1%} do), pairs scatter by {known.deviation:.1%}"
    )


def executed(comparison: Comparison) -> str:
    """Return how many instructions both files execute; "" where nobody counted.

    A problem is told: somebody asked for the count.
    """
    found = comparison.instructions
    if found is None:
        return ""
    if found.change is None:
        return found.problem
    old, new = (sum(each) / len(each) / 1e6 for each in (found.old, found.new))
    if not found.is_shown:
        return (
            f"both files execute {old:.4g} million instructions in an inference ({found.counter})"
        )
    return (
        f"{old:.4g} → {new:.4g} million instructions in an inference, {100 * found.change:+.1f} % "
        f"({found.counter}; a count, not a latency)"
    )


_UNITS = {
    "max_ms": "ms",
    "max_first_run_ms": "ms in the first inference",
    "max_memory_mb": "MB of memory",
    "max_mb": "MB in files",
    "max_error": "of the largest output in error",
    "min_accuracy": "of samples right",
}
_WANTED = {
    "max_memory_mb": "the device does not say how much it needs",
    "max_error": "its file was made without a proof ('groundspeed export' makes one)",
    "min_accuracy": "nobody evaluated this file ('groundspeed eval' does)",
}


def budget(spent: Spent) -> str:
    """Return "12.3 ms [12.1, 12.5], budget 12: inconclusive"."""
    unit = _UNITS[spent.name]
    limit = f"budget {'at least ' if spent.name.startswith('min_') else ''}{spent.limit:g}"
    if spent.value is None:
        why = _WANTED.get(spent.name, "no launch gave a result")
        return f"{limit} {unit}: {spent.verdict}, {why}"
    ends = ""
    if spent.low is not None and spent.high is not None and spent.low != spent.high:
        ends = f" [{spent.low:.4g}, {spent.high:.4g}]"
    return f"{spent.value:.4g} {unit}{ends}, {limit}: {spent.verdict}"


def budgets(comparison: Comparison) -> str:
    """Return how the candidate stands to all of its budget; "" without one."""
    return "; ".join(map(budget, comparison.spent))
