"""What a pattern is: how it is seen, what is blamed for it, and what would stand in its place."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import nn
from torch.fx import GraphModule

from groundspeed.deploy.feedback.finding import Place
from groundspeed.deploy.feedback.scene import Scene


@dataclass(frozen=True, kw_only=True)
class Sighting:
    """A pattern in one place.

    Attributes:
        place: where.
        charges: position of an executed op -> the share of its time that is blamed on the pattern,
            at most 1. An op that would vanish is charged whole; one that would become faster, by
            what it would save, and one that would become slower, below 0.
        dispatches: executed ops that would vanish beside the charged ones, such as the fixed costs
            of parallel branches; each costs what dispatching an op does.
    """

    place: Place
    charges: Mapping[int, float]
    dispatches: int = 0


@dataclass(frozen=True, kw_only=True)
class Network:
    """A network that is made only to be measured.

    Attributes:
        module: with random weights where it has new ones.
        inputs: its example inputs.
    """

    module: nn.Module | GraphModule
    inputs: tuple[torch.Tensor, ...]


@dataclass(frozen=True, kw_only=True)
class Change:
    """Two networks whose difference in time is what a pattern costs.

    Attributes:
        what: what stands in the pattern's place ("the identity instead of 35 ReLUs").
        after: without the pattern.
        taken: the sightings that it takes out; None for all that the change was made for.
        times: how often each op that is measured apart stands in its network; the difference is
            divided by it. 1 inside the network itself.
        before: with it; None for the network itself. Where a pattern cannot be taken out of a
            network without changing what surrounds it (balanced widths do not fit their
            neighbours), its ops are measured apart, as found and as they should be.
    """

    what: str
    after: Network
    before: Network | None = None
    taken: tuple[Sighting, ...] | None = None
    times: int = 1


@dataclass(frozen=True, kw_only=True)
class Pattern:
    """One way of spending time without need.

    Attributes:
        name: short, in the field's words ("channel shuffle").
        guideline: "G1" to "G4" of N. Ma, X. Zhang, H.-T. Zheng, J. Sun, "ShuffleNet V2: Practical
            Guidelines for Efficient CNN Architecture Design", ECCV 2018; "" for what is not there.
        reason: why it costs time, a sentence or two.
        source: the paper or specification that this comes from.
        example: a line of PyTorch that has it.
        find: yields where a network has it. It decides by the graph and by what the runtime
            executed, never by how long that took: times only rank what was found.
        change: makes the networks to prove it with; None where nothing can be put in its place.
        advice: says what to do about it.
    """

    name: str
    guideline: str
    reason: str
    source: str
    example: str
    find: Callable[[Scene], Iterable[Sighting]]
    change: Callable[[Scene, Sequence[Sighting]], Change | None]
    advice: Callable[[Scene, Sequence[Sighting]], str]
