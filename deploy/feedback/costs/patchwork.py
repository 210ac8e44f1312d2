"""A device's microbenchmarks: the distinct ops of networks, sewn into networks nobody designed.

An op alone in a file is fed and read back in ways that it never is in a network, and a profiler's
own cost drowns it. So many ops are measured in one file, each behind a pointwise convolution with a
ReLU, as most are where they come from, and in front of a mean over its map. What a runtime would
fuse to an op (an activation) goes with it; ops that only rename dimensions go with what they
surround. Nothing of a network's order is left, so that the network itself stays unknown.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import nn
from torch.fx import Graph, GraphModule, Node

from groundspeed.deploy.exporting import Exporter
from groundspeed.deploy.feedback.costs.example import PATCHWORK
from groundspeed.deploy.running import Work
from groundspeed.deploy.sources import Network
from groundspeed.export.graph import editable, shape, value_name, weight
from groundspeed.ops import Op, OpKind

STEM = 16  # channels that each op's own convolution reads
POOLED = 7  # maps of at least its square are averaged in two steps
# Of one file: so many ops, or so much arithmetic. Converters and launches cost more than ops do.
OPS, MACS = 64, 3_000_000_000

# What a runtime may fuse into the op before it.
_FUSED = frozenset({OpKind.ACTIVATION})
_BEARERS = frozenset(
    {
        OpKind.CONVOLUTION,
        OpKind.POINTWISE,
        OpKind.DEPTHWISE,
        OpKind.GROUP,
        OpKind.LINEAR,
        OpKind.ELEMENTWISE,
    }
)


@dataclass(frozen=True, kw_only=True)
class Patch:
    """An op with what belongs to it, from maps to maps.

    Attributes:
        module: computes it.
        reads, computes: names of the values that go in and out, in the network that it is from.
        inputs: shapes of what it reads: [N, C, H, W] or [N, C].
        macs: its multiply-accumulates.
    """

    module: GraphModule
    reads: tuple[str, ...]
    computes: tuple[str, ...]
    inputs: tuple[tuple[int, ...], ...]
    macs: int

    @property
    def sizes(self) -> tuple[tuple[int, ...], ...]:
        """Height and width of each input; empty for a vector."""
        return tuple(each[2:] for each in self.inputs)


def patchworks(exporters: Sequence[Exporter]) -> list[Network]:
    """Return networks that hold every distinct op of some networks once.

    Args:
        exporters: of the networks; one that is a graph of another kind has no ops.
    """
    known: dict[Hashable, Patch] = {}
    for exporter in exporters:
        for signature, patch in cut(exporter):
            known.setdefault(signature, patch)
    # Maps of one size together, so that a file needs few stems.
    ordered = sorted(known.values(), key=lambda one: (max(map(math.prod, one.sizes)), one.inputs))
    return [_sewn(group, number) for number, group in enumerate(_groups(ordered), start=1)]


def with_patchworks(work: Work, on_progress: Callable[[str], None]) -> Work:
    """Return the same work with the microbenchmarks of its networks' ops.

    Args:
        work: networks to profile.
        on_progress: called with a sentence, for it takes a while.
    """
    on_progress("cutting the networks into their ops")
    exporters = list(work.exporters.values())
    for exporter in exporters:
        if next(cut(exporter), None) is None:
            on_progress(f"{exporter.network.name} has no ops over maps that can be measured apart")
    sewn = [exporters[0].beside(network) for network in patchworks(exporters)]
    return replace(work, exporters=work.exporters | {each.source: each for each in sewn})


def _groups(patches: Sequence[Patch]) -> Iterator[list[Patch]]:
    group: list[Patch] = []
    for patch in patches:
        if group and (len(group) == OPS or sum(one.macs for one in group) + patch.macs > MACS):
            yield group
            group = []
        group.append(patch)
    if group:
        yield group


def _sewn(patches: Sequence[Patch], number: int) -> Network:
    with torch.random.fork_rng(devices=[]):  # the same file each time, so that a run resumes
        torch.manual_seed(0)
        module = Patchwork(patches).eval()
    generator = torch.Generator().manual_seed(0)
    inputs = tuple(torch.randn(1, 3, *size, generator=generator) for size in module.sizes)
    return Network(
        name=f"patchwork_{number:02}", spec=f"{PATCHWORK}{number}", module=module, inputs=inputs
    )


class Patchwork(nn.Module):
    """Ops beside each other, each behind a convolution of its own.

    Args:
        patches: the ops.
    """

    def __init__(self, patches: Sequence[Patch]) -> None:
        super().__init__()
        # A vector comes from a map of one value.
        sizes = {size or (1, 1) for patch in patches for size in patch.sizes}
        self.sizes = sorted(sizes, reverse=True)
        self.stems = nn.ModuleList(_layer(3, STEM) for _ in self.sizes)
        self.seams = nn.ModuleList(
            nn.ModuleList(_layer(STEM, each[1]) for each in patch.inputs) for patch in patches
        )
        self.patches = nn.ModuleList(patch.module for patch in patches)
        self._reads = [
            [(self.sizes.index(each[2:] or (1, 1)), len(each) == 2) for each in patch.inputs]
            for patch in patches
        ]

    def forward(self, *images: torch.Tensor) -> torch.Tensor:
        """Return the mean of each channel of each op, [1, sum of channels].

        Args:
            images: one for each size of maps, [1, 3, H, W].
        """
        maps = [stem(image) for stem, image in zip(self.stems, images, strict=True)]
        means = []
        for patch, seams, reads in zip(self.patches, self.seams, self._reads, strict=True):
            values = []
            for seam, (place, is_vector) in zip(seams, reads, strict=True):  # type: ignore[call-overload]
                value = seam(maps[place])
                values.append(value.flatten(1) if is_vector else value)
            means += [_mean(value) for value in patch(*values)]
        return torch.cat(means, 1)


def _layer(inputs: int, outputs: int) -> nn.Module:
    return nn.Sequential(nn.Conv2d(inputs, outputs, 1), nn.ReLU())


def _mean(value: torch.Tensor) -> torch.Tensor:
    if value.dim() == 2:
        return value
    if min(value.shape[2:]) >= POOLED**2:
        # Sums of ten thousand values differ from runtime to runtime by more than files may.
        value = nn.functional.avg_pool2d(value, POOLED)
    return value.mean((2, 3))


def cut(exporter: Exporter) -> Iterator[tuple[Hashable, Patch]]:
    """Yield the ops of a network, each with what tells it from others.

    Those over maps of one image, that is; a graph of another kind has no ops.
    """
    if not exporter.ops:
        return
    graph_module = editable(exporter.canonical("fp32"))
    ops = {op.name: op for op in exporter.ops}
    order = {node: place for place, node in enumerate(graph_module.graph.nodes)}
    done: set[Node] = set()
    for node in graph_module.graph.nodes:
        op = ops.get(node.name)
        if node in done or op is None or not op.memory_bytes:
            continue
        if _goes_with_another(node, op, ops):
            continue
        members = sorted(_members(node, ops), key=order.__getitem__)
        done.update(members)
        reads, ends = _reads(members), _ends(members)
        # Layers between which there are no maps (a transformer's) would go together, a network.
        layers = sum(bool(ops[each.name].macs) for each in members if each.name in ops)
        if reads and ends and layers < 2 and all(map(_is_map, reads)):
            yield (
                _signature(graph_module, members),
                Patch(
                    module=_alone(graph_module, members, reads, ends),
                    reads=tuple(map(value_name, reads)),
                    computes=tuple(each.name for each in ends),
                    inputs=tuple(map(shape, reads)),
                    macs=sum(ops[each.name].macs for each in members if each.name in ops),
                ),
            )


def _goes_with_another(node: Node, op: Op, ops: Mapping[str, Op]) -> bool:
    if op.kind not in _FUSED:
        return False
    (source, *_) = node.all_input_nodes
    bearer = ops.get(source.name)
    return bearer is not None and bearer.kind in _BEARERS and len(source.users) == 1


def _members(node: Node, ops: Mapping[str, Op]) -> set[Node]:
    """Return an op with what has no meaning without it, and with the activation behind it."""
    members = {node}
    waiting = [node]
    while waiting:
        one = waiting.pop()
        around = [each for each in one.all_input_nodes if _is_call(each) and not _is_map(each)]
        if not _is_map(one):
            around += list(one.users)
        for each in around:
            if each not in members and _is_call(each):
                members.add(each)
                waiting.append(each)
    if len(members) == 1 and len(node.users) == 1 and ops[node.name].kind in _BEARERS:
        (reader,) = node.users
        if reader.name in ops and ops[reader.name].kind in _FUSED:
            members.add(reader)
    return members


def _reads(members: Sequence[Node]) -> list[Node]:
    inside = set(members)
    found = {
        source: None
        for member in members
        for source in member.all_input_nodes
        if source not in inside and source.op != "get_attr"
    }
    return list(found)


def _is_call(node: Node) -> bool:
    return bool(node.op == "call_function")


def _is_map(node: Node) -> bool:
    """Return whether a value is a map [1, C, H, W] or a vector [1, C]."""
    value = node.meta.get("val")
    return (
        isinstance(value, torch.Tensor)
        and value.dim() in (2, 4)
        and int(value.shape[0]) == 1
        and value.dtype == torch.float32
    )


def _ends(members: Sequence[Node]) -> list[Node]:
    """Return the members whose values are maps that no member reads."""
    inside = set(members)
    return [each for each in members if _is_map(each) and not inside.intersection(each.users)]


def _alone(
    whole: GraphModule, members: Sequence[Node], reads: Sequence[Node], ends: Sequence[Node]
) -> GraphModule:
    """Return the members as a network of their own."""
    graph, copies, root = Graph(), dict[Node, Node](), nn.Module()
    for place, source in enumerate(reads):
        copies[source] = graph.placeholder(f"map_{place}")
    weights: dict[str, str] = defaultdict(lambda: f"weight_{len(weights)}")
    for member in members:
        for source in member.all_input_nodes:
            if source.op == "get_attr" and source not in copies:
                name = weights[str(source.target)]
                value = weight(whole, source).clone()
                root.register_parameter(name, nn.Parameter(value, requires_grad=False))
                copies[source] = graph.get_attr(name)
        copies[member] = graph.node_copy(member, copies.__getitem__)
    graph.output(tuple(copies[each] for each in ends))
    return GraphModule(root, graph)


def _signature(whole: GraphModule, members: Sequence[Node]) -> Hashable:
    """Return what two ops must share to take equally long: calls, shapes and constants."""
    names: dict[Node, object] = {}

    def plain(value: Any) -> object:
        if isinstance(value, Node):
            if value.op == "get_attr":
                return ("weight", tuple(weight(whole, value).shape))
            return names[value] if value in names else ("map", shape(value))
        if isinstance(value, list | tuple):
            return tuple(map(plain, value))
        return str(value)

    found = []
    for place, member in enumerate(members):
        arguments = (plain(member.args), plain(tuple(sorted(member.kwargs.items()))))
        found.append((str(member.target), arguments))
        names[member] = ("member", place)
    return tuple(found)
