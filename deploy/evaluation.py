"""What an evaluation found: how right each file is, and how far from a reference."""

from __future__ import annotations

from dataclasses import dataclass

from groundspeed.deploy.accuracy import Proportion
from groundspeed.deploy.tensor_errors import TensorError


@dataclass(frozen=True, kw_only=True)
class Scored:
    """What one file, or the network itself, makes of the data.

    Attributes:
        name: what the user calls it.
        runtime: what runs it; "pytorch" for the network.
        precision: what it computes with.
        size_bytes: size of its files; None for the network.
        top1: share of samples whose class has the highest score; None without labels or classes.
        top5: share of samples whose class is among the five highest; None below five classes.
        agreement: share of samples on whose best class the reference agrees; None without one.
        lost: labelled samples that only the reference has right; None without labels or reference.
        gained: labelled samples that only this one has right; None likewise.
        sqnr_db: power of the reference's outputs over that of the difference, in decibels;
            infinite when there is none, None without a reference.
        tensors: the same for each tensor, worst first, where it was asked for.
        error: why there are no results; None when there are.
    """

    name: str
    runtime: str
    precision: str
    size_bytes: int | None
    top1: Proportion | None = None
    top5: Proportion | None = None
    agreement: Proportion | None = None
    lost: int | None = None
    gained: int | None = None
    sqnr_db: float | None = None
    tensors: tuple[TensorError, ...] = ()
    error: str | None = None


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """Several files, and perhaps their network, on the same samples.

    Attributes:
        data: what the samples are, in words.
        samples: how many.
        labelled: whether their classes are known.
        reference: name of what the others are compared with; None if there is none.
        rows: one for each file, the network first if there is one.
        notes: how the data were prepared and what is odd about them.
        device: name of the target that ran the files; PyTorch runs the network on this machine.
    """

    data: str
    samples: int
    labelled: bool
    reference: str | None
    rows: tuple[Scored, ...]
    notes: tuple[str, ...]
    device: str = "local"

    @property
    def where(self) -> str:
        """What ran the files, for people: "this machine", or the name of a device."""
        return "this machine" if self.device == "local" else self.device
