"""How sets of layers are proposed; strategies from elsewhere register by the entry points."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from groundspeed.mixing import Candidate, LayerGain
from groundspeed.registry import Entry, Registry

# Tells what a set of layers, by the names of their ops, would cost and take. All that was judged
# is in the record; to judge a set again costs nothing.
Judge = Callable[[frozenset[str]], Candidate]


class Search(Protocol):
    """A strategy that looks for sets of layers worth computing with integers.

    It hears of each set what it would cost and take, so that it can learn from that: an agent as
    in HAQ (Wang et al. 2019, https://arxiv.org/abs/1811.08886) has its reward there.
    """

    def __call__(self, layers: Sequence[LayerGain], judge: Judge, max_drop: float) -> None:
        """Let the judge see every set that may be worth a file.

        The set of no layer and the set of all are judged already.

        Args:
            layers: gain and cost of each layer, as measured.
            judge: tells drop and predicted latency of a set, and keeps it as a candidate.
            max_drop: points of top-1 that may be lost.
        """
        ...


SEARCHES = Registry(
    "search",
    "groundspeed.searches",
    {
        "greedy": Entry(
            target="groundspeed.deploy.mixing.greedy:greedy",
            extra="",
            summary="layers that gain, those with the most gain for their noise first",
        ),
    },
)
