"""The table of exact graph rewrites: each is one file and one row here.

A rewrite changes a graph in place and returns how many places it changed. It computes the same
values up to float rounding, which its test proves on random shapes and weights.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch.export import ExportedProgram
from torch.fx import GraphModule

import groundspeed
from groundspeed.artifact import Step
from groundspeed.export.graph import editable
from groundspeed.export.rewrites import (
    channel_affine,
    channel_shuffle,
    functional,
    identities,
    pool_padding,
    spatial_mean,
)


@dataclass(frozen=True, kw_only=True)
class Rewrite:
    """One row.

    Attributes:
        name: its name in an artifact's steps.
        apply: changes the graph in place, returns how many places.
        summary: what it does, one line.
        formats: the formats that gain by it; empty if all do: then it is done once, in the
            canonical graph.
    """

    name: str
    apply: Callable[[GraphModule], int]
    summary: str
    formats: frozenset[str] = frozenset()


REWRITES = (
    Rewrite(
        name="functional",
        apply=functional.apply,
        summary="in-place ops replaced by ops that return a new tensor",
    ),
    Rewrite(
        name="identities",
        apply=identities.apply,
        summary="dropout, detach and casts that compute nothing taken out",
    ),
    Rewrite(
        name="channel_affine",
        apply=channel_affine.apply,
        summary="scales and shifts per channel taken into the batch normalization before them",
    ),
    Rewrite(
        name="channel_shuffle",
        apply=channel_shuffle.apply,
        summary="channel shuffles respelled as view, transpose, contiguous, view",
    ),
    Rewrite(
        name="spatial_mean",
        apply=spatial_mean.apply,
        summary="means over height and width turned into global average pooling",
    ),
    Rewrite(
        name="pool_padding",
        apply=pool_padding.apply,
        summary="padding of max pooling on non-negative maps turned into padding with zeros",
        formats=frozenset({"tflite"}),
    ),
)


def rewrite_canonical(graph_module: GraphModule) -> tuple[Step, ...]:
    """Apply the rewrites that serve every format, in place; return what was done."""
    return _apply(graph_module, [row for row in REWRITES if not row.formats])


def rewrite(
    network: ExportedProgram | GraphModule, format: str
) -> tuple[GraphModule, tuple[Step, ...]]:
    """Return ``network`` as a graph with the rewrites that only ``format`` gains by.

    Args:
        network: the canonical program, which stays as it is, or a graph, changed in place.
        format: "onnx", "tflite", "ncnn".
    """
    graph_module = editable(network) if isinstance(network, ExportedProgram) else network
    return graph_module, _apply(graph_module, [row for row in REWRITES if format in row.formats])


def _apply(graph_module: GraphModule, rows: list[Rewrite]) -> tuple[Step, ...]:
    steps = []
    for row in rows:
        count = row.apply(graph_module)
        if count:
            note = f"{row.summary}: {count}"
            by = f"groundspeed {groundspeed.__version__}"
            steps.append(Step(name=row.name, by=by, notes=(note,)))
    return tuple(steps)
