"""Patterns found in a scene, each with what the profile says that it costs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from groundspeed.deploy.feedback.breakdown import charged
from groundspeed.deploy.feedback.finding import Cost, Evidence, Finding
from groundspeed.deploy.feedback.patterns.catalog import PATTERNS
from groundspeed.deploy.feedback.patterns.pattern import Pattern, Sighting
from groundspeed.deploy.feedback.scene import Scene


@dataclass(frozen=True, kw_only=True)
class Detected:
    """A pattern that a scene has.

    Attributes:
        pattern: which.
        sightings: where, in order of computation; at least one.
        finding: the same for people, not measured yet.
    """

    pattern: Pattern
    sightings: tuple[Sighting, ...]
    finding: Finding


def detect(scene: Scene, names: Iterable[str] = PATTERNS) -> tuple[Detected, ...]:
    """Return the patterns that a scene has, the costliest first.

    Patterns overlap: a group convolution may be unbalanced too. So their costs do not add up.

    Args:
        scene: the network beside what a runtime made of it.
        names: of the patterns to look for.
    """
    found = _found(scene, (PATTERNS.load(name) for name in names))
    return tuple(sorted(found, key=lambda one: -one.finding.attributed.time.ns))


def _found(scene: Scene, patterns: Iterable[Pattern]) -> Iterator[Detected]:
    for pattern in patterns:
        sightings = tuple(pattern.find(scene))
        if sightings:
            finding = Finding(
                pattern=pattern.name,
                guideline=pattern.guideline,
                places=tuple(one.place for one in sightings),
                attributed=attributed(scene, sightings),
                advice=pattern.advice(scene, sightings),
            )
            yield Detected(pattern=pattern, sightings=sightings, finding=finding)


def attributed(scene: Scene, sightings: Sequence[Sighting]) -> Cost:
    """Return what the profile says that a pattern costs.

    An op that several places blame is charged once, by the place that blames it most.
    """
    shares: dict[int, float] = {}
    for one in sightings:
        for position, share in one.charges.items():
            shares[position] = max(share, shares.get(position, share))
    dispatches = sum(one.dispatches for one in sightings)
    time = charged(scene.breakdown, scene.profile, shares, dispatches)
    return Cost(time=time, share=time.ns / scene.breakdown.plain.ns, evidence=Evidence.ATTRIBUTED)
