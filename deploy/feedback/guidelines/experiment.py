"""What an experiment on a guideline is: networks that go against it step by step."""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping
from dataclasses import dataclass

WIDTHS = (1, 2, 4)
NETWORKS = "groundspeed.models.guideline_networks"

Arguments = Mapping[str, int | bool | str]
Speeds = tuple[float, float, float]


class Column(enum.StrEnum):
    """A device of the paper. Networks for its phone are about 16 times smaller."""

    ARM = "arm"
    GPU = "gpu"


@dataclass(frozen=True, kw_only=True)
class Variant:
    """One row of a table.

    Attributes:
        name: what the paper calls it.
        step: how far it goes against the guideline; 0 keeps to it.
        arguments: column -> arguments of the function that builds the network, at width 1.
        speeds: column -> what the paper measured at each width.
    """

    name: str
    step: float
    arguments: Mapping[Column, Arguments]
    speeds: Mapping[Column, Speeds]


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """One table: networks of about equal MACs, each a step further against a guideline.

    Attributes:
        guideline: "G1" to "G4".
        table: number of the paper's table.
        advice: the guideline in words.
        step: what one step is.
        function: builds the networks, in ``groundspeed.models.guideline_networks``.
        scaled: its arguments that are numbers of channels.
        weights: weights of one block of its network, by the function's arguments.
        variants: the rows; the first with step 0 is what the others are compared with.
    """

    guideline: str
    table: int
    advice: str
    step: str
    function: str
    scaled: tuple[str, ...]
    weights: Callable[[Arguments], int]
    variants: tuple[Variant, ...]

    @property
    def recommended(self) -> Variant:
        """The variant that keeps to the guideline."""
        return next(variant for variant in self.variants if variant.step == 0)

    def arguments(self, variant: Variant, column: Column, width: int) -> Arguments:
        """Return the arguments of a variant's network at a width."""
        return {
            name: value * width if name in self.scaled else value
            for name, value in variant.arguments[column].items()
        }

    def spec(self, variant: Variant, column: Column, width: int, others: Arguments) -> str:
        """Return the network as it is named on a command line; ``others`` are more arguments."""
        given = {**self.arguments(variant, column, width), **others}
        return f"{NETWORKS}:{self.function}:" + ",".join(f"{k}={v}" for k, v in given.items())

    def speed(self, variant: Variant, column: Column, width: int) -> float:
        """Return the paper's speed of a variant over that of the recommended one."""
        place = WIDTHS.index(width)
        return variant.speeds[column][place] / self.recommended.speeds[column][place]

    def speed_per_mac(self, variant: Variant, column: Column, width: int) -> float:
        """Return the same if the paper's networks really had equal MACs."""
        own, reference = (
            self.weights(self.arguments(one, column, width)) for one in (variant, self.recommended)
        )
        return self.speed(variant, column, width) * own / reference
