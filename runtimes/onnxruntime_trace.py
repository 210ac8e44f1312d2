"""ONNX Runtime's profile: a Chrome trace in JSON, one event for every kernel of every run.

https://onnxruntime.ai/docs/performance/tune-performance/profiling-tools.html
"""

from __future__ import annotations

import json
import re
from collections import defaultdict, deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from groundspeed.errors import LaunchError
from groundspeed.measurement import ProfiledOp
from groundspeed.runtimes.data_flow import reads
from groundspeed.runtimes.onnx_wire import Node

_KERNEL = "_kernel_time"
_BLOCKED = "_nchwc"
_FUSED = re.compile(r"(/\w*Fusion/)?(_token_\d+)?$")
_INSERTED = {"ReorderInput", "ReorderOutput", "MemcpyToHost", "MemcpyFromHost"}


@dataclass(frozen=True)
class Trace:
    """What a trace says of the runs that count.

    Attributes:
        kernels: name and op type of each executed node, in order of execution.
        times_ns: for each node, its duration in each run.
    """

    kernels: tuple[tuple[str, str], ...]
    times_ns: tuple[tuple[int, ...], ...]

    def without(self, cost_ns: int) -> tuple[tuple[int, ...], ...]:
        """Return the durations without what timing one kernel costs by itself."""
        return tuple(tuple(max(0, time - cost_ns) for time in times) for times in self.times_ns)


def read_trace(path: Path, counted: Sequence[int]) -> Trace:
    """Read the runs of a trace that count.

    Args:
        path: the trace.
        counted: indices of the runs that count, ascending, among all that were made.

    Raises:
        LaunchError: the trace has fewer runs, or runs that executed different nodes.
    """
    made = _runs(json.loads(path.read_text()))
    if not counted or len(made) <= counted[-1]:
        raise LaunchError(
            f"ONNX Runtime's profile has {len(made)} runs where more were made; "
            "ask for fewer profiled runs"
        )
    found = [made[index] for index in counted]
    orders = {tuple((event["name"], event["args"]["op_name"]) for event in run) for run in found}
    if len(orders) > 1:
        raise LaunchError(
            "ONNX Runtime executed different nodes from run to run, so their times cannot be "
            "lined up; a network with branches cannot be profiled"
        )
    return Trace(
        kernels=tuple((name.removesuffix(_KERNEL), kind) for name, kind in orders.pop()),
        # The trace counts microseconds, everything here nanoseconds.
        times_ns=tuple(
            tuple(event["dur"] * 1000 for event in events) for events in zip(*found, strict=True)
        ),
    )


def _runs(events: Iterable[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    """Return the kernels of each run; the event of a run follows those of its kernels."""
    runs: list[list[dict[str, Any]]] = []
    kernels: list[dict[str, Any]] = []
    for event in events:
        if event.get("cat") == "Node" and event["name"].endswith(_KERNEL):
            kernels.append(event)
        elif event.get("name") == "model_run":
            runs.append(kernels)
            kernels = []
    return runs


def traced_ops(
    trace: Trace, optimized: Sequence[Node], original: Sequence[Node]
) -> tuple[ProfiledOp, ...]:
    """Return the executed ops with the names of the file's tensors that they produce.

    The optimizer renames what it moves to its blocked layout (NCHWc): the node that makes the
    tensor ``relu_1`` becomes ``relu_1_nchwc`` and its output ``reorder_token_5``. The name is
    undone where it gives a tensor of the file. A node that it fuses with others keeps the name of
    one, with a suffix (``conv_1_token_5``, ``mul_1/QuickGeluFusion/``), and gives that node's
    tensors. Whatever else is not of the file is left out.

    Args:
        trace: what was executed.
        optimized: nodes of the optimized model, which the trace names.
        original: nodes of the file.
    """
    nodes = _nodes(trace.kernels, optimized)
    flow = reads((node.inputs, node.outputs) for node in nodes)
    known = {name for node in original for name in node.outputs}
    fused = {node.name: node.outputs for node in original if node.name}

    def tensors(node: Node) -> tuple[str, ...]:
        unblocked = node.name.rpartition(_BLOCKED)[0]
        if unblocked in known:
            return (unblocked,)
        own = tuple(name for name in node.outputs if name in known)
        return own or fused.get(_FUSED.sub("", node.name), ())

    return tuple(
        ProfiledOp(
            name=name,
            type=kind,
            outputs=() if kind in _INSERTED else tensors(node),
            inserted=kind in _INSERTED,
            reads=sources,
        )
        for (name, kind), node, sources in zip(trace.kernels, nodes, flow, strict=True)
    )


def _nodes(kernels: Iterable[tuple[str, str]], optimized: Sequence[Node]) -> list[Node]:
    """Return the node behind each kernel; one that nobody knows reads and computes nothing.

    What a node without a name is called in the trace (``Mul_159``) is written nowhere, so that such
    nodes are taken in order.
    """
    named = {node.name: node for node in optimized if node.name}
    nameless: dict[str, deque[Node]] = defaultdict(deque)
    for node in optimized:
        if not node.name:
            nameless[node.type].append(node)
    return [
        named.get(name) or (nameless[kind].popleft() if nameless[kind] else Node(name, kind, ()))
        for name, kind in kernels
    ]
