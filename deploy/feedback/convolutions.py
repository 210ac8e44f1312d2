"""Convolutions of a scene as patterns look at them, and how fast the runtime computes them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import nn

from groundspeed.deploy.feedback.patterns.pattern import Network
from groundspeed.deploy.feedback.rates import saved, typical
from groundspeed.deploy.feedback.scene import Scene
from groundspeed.ops import Op, OpKind

DENSE = frozenset({OpKind.CONVOLUTION, OpKind.POINTWISE})
_CORNER = 2  # values at a side; less is no pooling, and runtimes refuse it
_ALL = DENSE | {OpKind.DEPTHWISE, OpKind.GROUP}


@dataclass(frozen=True, kw_only=True)
class Convolution:
    """A convolution over [N, C, H, W], by its shapes alone.

    Attributes:
        inputs, outputs: channels.
        groups: of channels that do not see each other.
        kernel: height and width.
        size: height and width of its output.
        batch: N.
    """

    inputs: int
    outputs: int
    groups: int
    kernel: tuple[int, int]
    size: tuple[int, int]
    batch: int

    @property
    def macs(self) -> int:
        """Multiply-accumulates."""
        per_output = self.inputs // self.groups * math.prod(self.kernel)
        return self.batch * self.outputs * math.prod(self.size) * per_output

    def module(self, inputs: int, outputs: int, groups: int = 1) -> nn.Conv2d:
        """Return a layer with this kernel that keeps height and width, with random weights."""
        height, width = self.kernel
        # An even kernel cannot keep the size with equal padding; one less is measured instead.
        kernel = (height - (height + 1) % 2, width - (width + 1) % 2)
        padding = (kernel[0] // 2, kernel[1] // 2)
        return nn.Conv2d(inputs, outputs, kernel, padding=padding, groups=groups)


def convolutions(scene: Scene) -> Iterator[tuple[Op, Convolution]]:
    """Yield the two-dimensional convolutions of a network with their shapes."""
    for op in scene.manifest.ops:
        if op.kind not in _ALL or len(op.output_shape) != 4:
            continue
        call = scene.call(op.name)
        outputs, channels_in_group, *kernel = call.tensor("weight").shape
        groups = call.arguments["groups"]
        yield (
            op,
            Convolution(
                inputs=channels_in_group * groups,
                outputs=outputs,
                groups=groups,
                kernel=(kernel[0], kernel[1]),
                size=(op.output_shape[2], op.output_shape[3]),
                batch=op.output_shape[0],
            ),
        )


@dataclass(frozen=True)
class Chain:
    """Layers that are measured apart from their network, on maps of the size that they have there.

    Attributes:
        of: the convolution that they stand for.
        layers: convolutions that keep height and width, one behind the other.
    """

    of: Convolution
    layers: tuple[nn.Conv2d, ...]

    @property
    def macs(self) -> int:
        """Multiply-accumulates of all layers."""
        weights = sum(layer.weight.numel() for layer in self.layers)
        return self.of.batch * math.prod(self.of.size) * weights


def there_and_back(
    one: Convolution, widths: tuple[int, int], *, groups: int = 1, times: int
) -> Chain:
    """Return pairs of layers with the kernel of a convolution, from one width to another and back.

    Args:
        one: the convolution.
        widths: channels into the first layer of a pair and out of it.
        groups: of all layers.
        times: how many pairs.
    """
    there, back = widths, widths[::-1]
    return Chain(one, tuple(one.module(*each, groups) for each in (there, back) * times))


class Counted(Protocol):
    """What has multiply-accumulates: a chain, an op."""

    @property
    def macs(self) -> int:
        """How many."""


def drift(before: Iterable[Counted], after: Iterable[Counted]) -> str:
    """Return by how much the MACs of two networks differ, for widths are whole numbers."""
    change = sum(each.macs for each in after) / sum(each.macs for each in before) - 1
    return f"{round(change, 3) + 0.0:+.1%} MACs"


def apart(chains: Sequence[Chain]) -> Network:
    """Return one network of chains that do not meet: each has an input and an output of its own."""
    generator = torch.Generator().manual_seed(0)
    inputs = tuple(
        torch.randn(each.of.batch, each.layers[0].in_channels, *each.of.size, generator=generator)
        for each in chains
    )
    return Network(module=Apart([nn.Sequential(*each.layers) for each in chains]), inputs=inputs)


class Apart(nn.Module):
    """Networks beside each other that do not meet.

    Of what they compute only a corner is handed out. Whole maps would be copied for the caller, and
    back from a runtime's own layout, which inside a network nobody does: the wider network would
    pay for that.

    Args:
        parts: each takes one tensor and returns one.
    """

    def __init__(self, parts: Sequence[nn.Module]) -> None:
        super().__init__()
        self.parts = nn.ModuleList(parts)

    def forward(self, *inputs: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Return what each part computes of its own input: of a map a corner, [N, C, 1, 1]."""
        return tuple(corner(part(each)) for part, each in zip(self.parts, inputs, strict=True))


def corner(value: torch.Tensor) -> torch.Tensor:
    """Return a value of each channel of a map; anything else as it is.

    That is done by a pooling, which takes maps in whatever layout a runtime has them.
    """
    size = value.shape[2:]
    if len(size) != 2 or min(size) < _CORNER:
        return value
    return nn.functional.max_pool2d(value, _CORNER, stride=max(size))


def reference_rate(scene: Scene) -> float | None:
    """Return the arithmetic rate of this run's well-shaped convolutions, in FLOP/s.

    That is the typical rate of dense convolutions whose channels in and out differ by less than a
    factor of two and are multiples of eight. Where the network has none, it is that of all its
    dense convolutions: what is slower than half of them could be as fast as these at least. None
    without any.
    """
    rates: dict[bool, list[tuple[float | None, float]]] = {True: [], False: []}
    for op, one in convolutions(scene):
        position = scene.owner(op.name)
        if op.kind in DENSE and position is not None:
            row = scene.executed[position]
            rates[_well_shaped(one)].append((row.flops_per_s, row.time.ns))
    return typical(rates[True] or rates[False])


def excess(scene: Scene, position: int, reference: float | None) -> float:
    """Return the share of an executed op's time beyond what its arithmetic would take at a rate."""
    return saved(scene.executed[position].flops_per_s, reference) or 0.0


def _well_shaped(one: Convolution) -> bool:
    low, high = sorted((one.inputs, one.outputs))
    return high < 2 * low and one.inputs % 8 == 0 and one.outputs % 8 == 0
