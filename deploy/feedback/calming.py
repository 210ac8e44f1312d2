"""Keeps values finite in a network that has lost what kept them small.

Without its activations or gates a network may grow each map a little, and after forty layers its
values are beyond what a float holds: then no file can be shown to compute the same, and there is
nothing to measure. How long a layer takes does not depend on its weights, so they are made smaller.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch.fx import GraphModule, Interpreter, Node

from groundspeed.export.weighted import NotExact, is_weighted, linearity, set_linearity

# Far from what any trained layer gives, and further from what a float cannot hold.
LARGEST = 1e4


def calm(graph: GraphModule, inputs: Sequence[torch.Tensor]) -> None:
    """Scale weights and biases of the layers whose outputs pass ``LARGEST``, in order.

    Args:
        graph: the network; where nothing passes it, it stays as it is.
        inputs: its example inputs.
    """
    finder = _Finder(graph)
    with torch.no_grad():
        finder.run(*inputs)
    for node, factor in finder.factors.items():
        layer = linearity(graph, node)
        bias = None if layer.bias is None else layer.bias * factor
        set_linearity(graph, node, replace(layer, weight=layer.weight * factor, bias=bias))
    graph.recompile()


class _Finder(Interpreter):
    """Computes a network as if its layers were scaled already.

    Attributes:
        factors: layer -> what its weights are to be multiplied by.
    """

    def __init__(self, graph: GraphModule) -> None:
        super().__init__(graph)
        self._network = graph
        self.factors: dict[Node, float] = {}

    def run_node(self, n: Node) -> Any:
        """Compute one node."""
        result = super().run_node(n)
        if not is_weighted(n):
            return result
        largest = float(result.abs().max())
        if not LARGEST < largest < math.inf:
            return result  # small, or beyond repair: the file will not be proven equal
        try:
            linearity(self._network, n)
        except NotExact:
            return result  # its weights are computed, and so not to be set
        # A power of two: the file is the same however many threads added the values up.
        factor = 0.5 ** math.ceil(math.log2(largest))
        self.factors[n] = factor
        return result * factor
