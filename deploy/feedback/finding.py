"""A Finding: a pattern in a network, where it stands, what it costs and what to do about it."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from groundspeed.deploy.feedback.breakdown import Time


class Evidence(enum.StrEnum):
    """What a cost rests on."""

    MEASURED = "measured"  # launches with the pattern and without it, by turns
    ATTRIBUTED = "attributed"  # the times of its ops in a profile


@dataclass(frozen=True, kw_only=True)
class Cost:
    """Time that a pattern costs one inference.

    Attributes:
        time: with its 95 % interval; below zero where the network is faster with the pattern.
        share: of the end-to-end time.
        evidence: what it rests on.
    """

    time: Time
    share: float
    evidence: Evidence


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a pattern stands.

    Attributes:
        module: dotted path in the user's network, "" for the root.
        line: ``file:line`` in the user's source, "" when unknown.
        ops: canonical ops that take part, in order of computation.
        what: what was seen there ("16 → 96 channels, 1:6").
    """

    module: str
    line: str
    ops: tuple[str, ...]
    what: str


@dataclass(frozen=True, kw_only=True)
class Counterfactual:
    """What taking a pattern out of the network saved.

    Attributes:
        instead: what stood in its place ("the identity instead of each").
        places: how many of the finding's places were taken out; not every one always can be.
        attributed: what the profile says of these places.
        measured: what was measured of them, below zero where the network is faster with them.
        rounds: pairs of launches that this rests on.
    """

    instead: str
    places: int
    attributed: Cost
    measured: Cost
    rounds: int

    @property
    def contradicts(self) -> bool:
        """Whether the two costs differ by more than their intervals."""
        one, two = self.attributed.time, self.measured.time
        return one.high_ns < two.low_ns or two.high_ns < one.low_ns


@dataclass(frozen=True, kw_only=True)
class Finding:
    """A pattern in one network, as one runtime executed it.

    Attributes:
        pattern: its name in the registry.
        guideline: "G1" to "G4" of the ShuffleNet V2 paper, or "".
        places: in order of computation.
        attributed: what the profile says that it costs.
        counterfactual: what taking it out saved; None if that was not measured.
        untried: why it was not measured; "" if it was, or if nobody asked.
        advice: what to do about it.
    """

    pattern: str
    guideline: str
    places: tuple[Place, ...]
    attributed: Cost
    counterfactual: Counterfactual | None = None
    untried: str = ""
    advice: str
