"""Which experiments are asked for, and the networks that they are made of."""

from __future__ import annotations

from dataclasses import dataclass

from groundspeed.deploy.feedback.guidelines.experiment import (
    WIDTHS,
    Column,
    Experiment,
    Variant,
)
from groundspeed.deploy.feedback.guidelines.paper import EXPERIMENTS
from groundspeed.errors import UsageError

BLOCKS = 10
SIZE = 56


@dataclass(frozen=True, kw_only=True)
class Subject:
    """One network of one experiment.

    Attributes:
        experiment, variant: what it is.
        column, width: how many channels it has.
        spec: what it is called on a command line.
    """

    experiment: Experiment
    variant: Variant
    column: Column
    width: int
    spec: str


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What of the paper is measured again; by default what it measured on its phone at width 1.

    Attributes:
        guidelines: "G1" to "G4".
        column: the paper's device whose numbers of channels are taken.
        widths: what these are multiplied by, of the paper's 1, 2 and 4.
        blocks: how many blocks are stacked; the paper's are 10.
        size: height and width of all maps; the paper's are 56.
        batch: images at once.

    Raises:
        UsageError: the paper has no such width.
    """

    guidelines: tuple[str, ...] = tuple(EXPERIMENTS)
    column: Column = Column.ARM
    widths: tuple[int, ...] = (1,)
    blocks: int = BLOCKS
    size: int = SIZE
    batch: int = 1

    def __post_init__(self) -> None:
        if wrong := set(self.widths) - set(WIDTHS):
            raise UsageError(
                f"the paper has no networks of width x{min(wrong)}; its widths are 1, 2 and 4"
            )

    @property
    def subjects(self) -> tuple[Subject, ...]:
        """All networks, experiment by experiment, width by width."""
        given = {"blocks": self.blocks, "size": self.size, "batch": self.batch}
        usual = {"blocks": BLOCKS, "size": SIZE, "batch": 1}
        # Names of networks stay short.
        others = {name: value for name, value in given.items() if value != usual[name]}
        return tuple(
            Subject(
                experiment=experiment,
                variant=variant,
                column=self.column,
                width=width,
                spec=experiment.spec(variant, self.column, width, others),
            )
            for experiment in (EXPERIMENTS[name] for name in self.guidelines)
            for width in self.widths
            for variant in experiment.variants
        )
