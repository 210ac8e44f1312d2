"""A gate's verdicts as Markdown, for the summary of a CI job or a pull request."""

from __future__ import annotations

from groundspeed.deploy.gate.decision import Verdict
from groundspeed.deploy.gate.gate import Judged
from groundspeed.deploy.report.check_text import (
    budget,
    change,
    executed,
    ratio,
    reason,
    title,
    trust,
    why,
)

_MARKS = {Verdict.PASS: "✅", Verdict.FAIL: "❌", Verdict.INCONCLUSIVE: "❔"}


def markdown(judged: Judged) -> str:
    """Return the verdicts as a table, with what the ratios mean below it."""
    lines = [
        f"## {_MARKS[judged.verdict]} Latency: {judged.verdict}",
        "",
        "| candidate ÷ baseline | ratio | pairs | could show | verdict | why |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    lines += [
        _row(
            title(one),
            ratio(one),
            "" if one.evidence is None else str(one.evidence.pairs),
            "" if one.smallest is None else change(one.smallest),
            f"{_MARKS[one.verdict]} {one.verdict}",
            reason(one, judged.rules),
        )
        for one in judged.comparisons
    ]
    unknown = f"{_MARKS[Verdict.INCONCLUSIVE]} {Verdict.INCONCLUSIVE}"
    lines += [
        _row(name, "", "", "", unknown, "the baseline has no such file") for name in judged.missing
    ]
    lines += [
        _row(f"{title(one)}: budget", "", "", "", f"{_MARKS[spent.verdict]} {spent.verdict}", words)
        for one in judged.comparisons
        for spent in one.spent
        for words in [budget(spent)]
    ]
    rules = judged.rules
    trusts = [f"- {title(one)}: {trust(one)}." for one in judged.comparisons if trust(one)]
    trusts += [f"- {title(one)}: {executed(one)}." for one in judged.comparisons if executed(one)]
    lines += ["", *trusts] if trusts else []
    for one in judged.comparisons:
        said = why(one)
        lines += ["", f"**{title(one)}**: {said[0]}", ""] if said else []
        lines += [f"- {words}" for words in said[1:]]
    lines += [
        "",
        "Old and new files were launched in pairs, in the order of a coin. Where all files are "
        f"equally fast, {100 * (1 - rules.level):g} % of checks raise no false alarm. "
        f'"Could show" is the slowdown that {rules.pairs} pairs at this scatter show in 95 % of '
        "trials.",
    ]
    return "\n".join(lines) + "\n"


def _row(*cells: str) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
