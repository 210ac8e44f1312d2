"""Scenes without an engine: a real network, and a made-up runtime whose times are known."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

import torch
from torch import nn

from groundspeed.artifact import Manifest, Source
from groundspeed.deploy.feedback.scene import Scene
from groundspeed.export.prepare import prepare
from groundspeed.measurement import OpProfile, ProfiledOp
from groundspeed.models.cost import analyze
from groundspeed.ops import Op, OpKind

RUNS = 8


def takes(op: Op) -> int:
    """Return the nanoseconds of an op on a device of 10 GFLOP/s and 10 GB/s."""
    return 1_000 + op.flops // 10 + op.memory_bytes // 10


def stage(
    network: nn.Module,
    *inputs: torch.Tensor,
    fused: Collection[OpKind] = (),
    takes: Callable[[Op], int] = takes,
    threads: int = 1,
    runtime: str = "onnxruntime",
) -> Scene:
    """Return a network as a runtime executes it that fuses nothing but what is asked for.

    Args:
        network: the network.
        inputs: its example inputs.
        fused: kinds of ops that the runtime computes with the op before them.
        takes: the duration of an executed op, by the heaviest op that it computes.
        threads: that it is said to compute with.
        runtime: that it is said to be.
    """
    program = prepare(network, inputs).program
    ops = analyze(program)
    groups: list[list[Op]] = []
    for op in ops:
        if op.kind in fused and groups:
            groups[-1].append(op)
        elif op.memory_bytes:
            groups.append([op])
    return Scene(
        program=program,
        manifest=Manifest(
            runtime=runtime,
            format="onnx",
            precision="fp32",
            files=(),
            inputs=(),
            outputs=(),
            source=Source(name="net", spec="net", digest=""),
            ops=ops,
            tensors={op.name: op.name for op in ops},
        ),
        profile=_profile(groups, takes),
        threads=threads,
    )


def _profile(groups: Sequence[Sequence[Op]], takes: Callable[[Op], int]) -> OpProfile:
    times = [takes(max(group, key=lambda op: op.macs)) for group in groups]
    total = sum(times) + 500 * len(times)
    return OpProfile(
        ops=tuple(
            ProfiledOp(name=group[-1].name, type=_word(group[0]), outputs=(group[-1].name,))
            for group in groups
        ),
        times_ns=tuple((time,) * RUNS for time in times),
        profiled_ns=(total,) * RUNS,
        plain_ns=(total,) * RUNS,
        timing_cost_ns=0,
    )


def _word(op: Op) -> str:
    """Return what an engine would call an op."""
    if op.kind is OpKind.ELEMENTWISE:
        return "Add"
    return "Conv" if op.macs else op.kind.value
