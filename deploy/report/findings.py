"""What costs time without need, in the words that the terminal, the page and Markdown share."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from groundspeed.deploy.feedback.finding import Cost, Finding, Place
from groundspeed.deploy.report.text import interval, ms, percent

# Findings below this share of the time are counted, not shown, outside of the page.
NOTABLE = 0.005
PLACES = 3  # named in a table; the page unfolds the others

HEADINGS = ("pattern", "places", "attributed, ms", "share", "measured, ms [95 %]", "share")


@dataclass(frozen=True, kw_only=True)
class Row:
    """A finding as a row of a table.

    Attributes:
        finding: what the row is about.
        name: the pattern with its guideline.
        where: the first modules that have it.
        cells: places, attributed time and share, measured time with its interval and share.
        notes: sentences below it: what it was measured against, contradictions, advice.
    """

    finding: Finding
    name: str
    where: str
    cells: tuple[str, ...]
    notes: tuple[str, ...]


def rows(findings: tuple[Finding, ...], *, least: float = 0.0) -> tuple[Row, ...]:
    """Return the findings as rows, the costliest first.

    Args:
        findings: of one network in one runtime.
        least: the share of the end-to-end time below which a finding is left out.
    """
    ranked = sorted(findings, key=lambda one: -cost(one).time.ns)
    return tuple(_row(one) for one in ranked if cost(one).share >= least)


def cost(finding: Finding) -> Cost:
    """Return what is known best about a finding's cost: what was measured of it, if all of it was.

    A measurement of some of its places says less about the whole than the profile does.
    """
    tried = finding.counterfactual
    if tried is None or tried.places < len(finding.places):
        return finding.attributed
    return tried.measured


def untried(findings: Iterable[Finding]) -> dict[str, list[str]]:
    """Return why some were not measured: reason -> the patterns."""
    reasons: dict[str, list[str]] = {}
    for one in findings:
        if one.untried:
            reasons.setdefault(one.untried, []).append(one.pattern)
    return reasons


def _row(finding: Finding) -> Row:
    tried = finding.counterfactual
    measured = ("", "")
    if tried is not None:
        time = tried.measured.time
        measured = (f"{ms(time.ns)} [{interval(time)}]", percent(tried.measured.share))
    return Row(
        finding=finding,
        name=f"{finding.pattern} ({finding.guideline})" if finding.guideline else finding.pattern,
        where=where(finding.places),
        cells=(
            str(len(finding.places)),
            ms(finding.attributed.time.ns),
            percent(finding.attributed.share),
            *measured,
        ),
        notes=tuple(_notes(finding)),
    )


def where(places: tuple[Place, ...]) -> str:
    """Return the modules of the first places, "stage.1 (2), stage.2 and 14 more"."""
    modules = Counter(place.module or "the network itself" for place in places)
    named = [
        f"{module} ({count})" if count > 1 else module
        for module, count in list(modules.items())[:PLACES]
    ]
    more = len(modules) - len(named)
    return ", ".join(named) + (f" and {more} more" if more else "")


def _notes(finding: Finding) -> list[str]:
    notes = []
    tried = finding.counterfactual
    if tried is not None:
        share = "" if tried.places == len(finding.places) else f" in {tried.places} places"
        notes.append(f"measured with {tried.instead}{share}, {tried.rounds} pairs of launches")
        if tried.contradicts:
            notes.append(
                f"the profile says {ms(tried.attributed.time.ns)} ms of the same places, which is "
                "not within the intervals: believe the measurement"
            )
    notes.append(finding.advice)
    return notes
