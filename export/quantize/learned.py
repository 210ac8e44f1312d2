"""Ranges that a network learned in training, taken from the fake quantization in its graph.

A network that was trained for quantization rounds its tensors in its own graph, by ops of PyTorch
that name scale and zero point. They are not written to any file: the ops are taken out, their
ranges stay, and go the same way as ranges that calibration finds. Weights keep the values that they
were rounded to.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch.export import ExportedProgram
from torch.fx import GraphModule, Node

from groundspeed.errors import ExportError
from groundspeed.export.graph import (
    argument,
    calls,
    constant,
    module_path,
    remove_unused,
    set_weight,
    value_name,
)
from groundspeed.export.quantize.movement import joined
from groundspeed.export.rewrites import functional
from groundspeed.quantization import Range

aten = torch.ops.aten

FAKE_QUANTIZATIONS = (
    aten.fake_quantize_per_tensor_affine.default,
    aten.fake_quantize_per_tensor_affine.tensor_qparams,
    aten.fake_quantize_per_channel_affine.default,
    aten.fused_moving_avg_obs_fake_quant.default,
)

# A node's entry in its notes, which rewrites and retracing keep (``meta["custom"]``).
_NOTE = "learned range"


@dataclass(frozen=True)
class _Grid:
    """The values that one fake quantization rounds to.

    Attributes:
        scale: [1], or [C] with one for each channel.
        zero_point: of the same shape.
        axis: dimension of the channels.
        least: the least integer.
        largest: the largest.
    """

    scale: torch.Tensor
    zero_point: torch.Tensor
    axis: int
    least: int
    largest: int

    def range(self) -> Range:
        """Return the real values between the least and the largest integer."""
        scale, zero_point = self.scale.item(), int(self.zero_point)
        return Range(
            low=(self.least - zero_point) * scale, high=(self.largest - zero_point) * scale
        )

    def rounded(self, values: torch.Tensor) -> torch.Tensor:
        """Return ``values`` on the grid."""
        if len(self.scale) == 1:
            scale, zero_point = self.scale.item(), int(self.zero_point)
            return torch.fake_quantize_per_tensor_affine(
                values, scale, zero_point, self.least, self.largest
            )
        return torch.fake_quantize_per_channel_affine(
            values,
            self.scale.float(),
            self.zero_point.int(),
            self.axis,
            self.least,
            self.largest,
        )


def is_fake_quantized(program: ExportedProgram) -> bool:
    """Return whether a traced network rounds any of its tensors."""
    return any(node.target in FAKE_QUANTIZATIONS for node in program.graph.nodes)


def lift(graph_module: GraphModule) -> dict[str, Range]:
    """Take fake quantization out of a traced graph, in place.

    Each op that was rounded keeps a note of its range, which :func:`learned_ranges` reads after
    all rewrites.

    Returns:
        Name of an input of the network -> its range.

    Raises:
        ExportError: a scale is computed, or an activation has one for each channel.
    """
    if not any(calls(graph_module, *FAKE_QUANTIZATIONS)):
        return {}
    # What is read must be what was rounded, not what is later written over it.
    functional.apply(graph_module)
    inputs: dict[str, Range] = {}
    for node in calls(graph_module, *FAKE_QUANTIZATIONS):
        source, grid = node.args[0], _grid(graph_module, node)
        assert isinstance(source, Node)
        value = constant(graph_module, source)
        if value is not None:
            _set_rounded(graph_module, node, grid.rounded(value))
            continue
        found = _range(node, grid)
        if source.op == "placeholder":
            name = value_name(source)
            inputs[name] = found.joined(inputs.get(name, found))
        else:
            _note(source, found.joined(_noted(source) or found))
        _drop(node, source)
    remove_unused(graph_module)
    return inputs


def learned_ranges(program: ExportedProgram, inputs: Mapping[str, Range]) -> dict[str, Range]:
    """Return the range of each tensor that the network was trained with; empty if it was not.

    Args:
        program: the canonical program of a graph that :func:`lift` went over.
        inputs: what :func:`lift` returned.

    Returns:
        Name of a canonical op, or of an input, -> its range. What only moves values has the range
        of what it moves.
    """
    noted = {node.name: _noted(node) for node in program.graph.nodes}
    found = {name: each for name, each in noted.items() if each is not None}
    return joined(program.graph, {**inputs, **found})


def _note(node: Node, found: Range) -> None:
    # Plain numbers, since a program's notes are saved as JSON.
    node.meta.setdefault("custom", {})[_NOTE] = [found.low, found.high]


def _noted(node: Node) -> Range | None:
    noted = node.meta.get("custom", {}).get(_NOTE)
    return None if noted is None else Range(low=noted[0], high=noted[1])


def _grid(graph_module: GraphModule, node: Node) -> _Grid:
    per_channel = node.target is aten.fake_quantize_per_channel_affine.default
    is_observing = node.target is aten.fused_moving_avg_obs_fake_quant.default
    axis = argument(node, "axis") if per_channel else 0
    return _Grid(
        _parameter(graph_module, node, "scale"),
        _parameter(graph_module, node, "zero_point"),
        argument(node, "ch_axis") if is_observing else axis,
        argument(node, "quant_min"),
        argument(node, "quant_max"),
    )


def _parameter(graph_module: GraphModule, node: Node, name: str) -> torch.Tensor:
    """Return a scale or zero point, which is a number or a tensor of the network."""
    given = argument(node, name)
    is_tensor = isinstance(given, Node)
    value = constant(graph_module, given) if is_tensor else torch.tensor(given, dtype=torch.float64)
    if value is None:
        raise ExportError(
            f"the {name} of the fake quantization in {module_path(node) or node.name} is computed "
            "from the input; fix it after training, before export"
        )
    return value.double().reshape(-1)


def _range(node: Node, grid: _Grid) -> Range:
    if len(grid.scale) > 1:
        raise ExportError(
            f"the fake quantization in {module_path(node) or node.name} has a scale for each "
            "channel of an activation, and files have one for the whole tensor; train with one"
        )
    return grid.range()


def _set_rounded(graph_module: GraphModule, node: Node, value: torch.Tensor) -> None:
    """Let those who read a rounded weight read the rounded values as their weight."""
    source = node.args[0]
    assert isinstance(source, Node)
    name = str(source.target) if source.op == "get_attr" else node.name
    for user in list(node.users):
        made = set_weight(graph_module, name, value, user=user)
        user.replace_input_with(node, made)
    node.graph.erase_node(node)


def _drop(node: Node, source: Node) -> None:
    node.replace_all_uses_with(source, propagate_meta=False)
    node.graph.erase_node(node)
