"""What networks cost on paper: the zoo's list, and one network layer by layer."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from groundspeed.deploy.sources import Network
from groundspeed.errors import UnsupportedOp
from groundspeed.ops import Op


@dataclass(frozen=True, kw_only=True)
class ZooRow:
    """One network of the zoo.

    Attributes:
        name: what to call it by.
        family: the file under ``models/`` that holds it.
        summary: one line about it.
        input_shape: shape of its input, batch included.
        parameters: learned values.
        macs: multiply-accumulates of convolutions and linear layers for one input.
    """

    name: str
    family: str
    summary: str
    input_shape: tuple[int, ...]
    parameters: int
    macs: int


@dataclass(frozen=True, kw_only=True)
class Inspection:
    """A network's ops with their costs, before and after batch-norms are folded.

    Attributes:
        name: the network.
        parameters: learned values of the network as it is written.
        macs: multiply-accumulates of its convolutions and linear layers.
        flops: floating-point operations of the folded network, by the convention of
            :mod:`groundspeed.models.cost`.
        memory_bytes: memory access cost of the folded network.
        ops: ops of the folded network, in order of computation.
        notes: what folding and rewriting did, and what they could not do.
    """

    name: str
    parameters: int
    macs: int
    flops: int
    memory_bytes: int
    ops: tuple[Op, ...]
    notes: tuple[str, ...]


def list_zoo(pattern: str = "*", family: str | None = None) -> Iterator[ZooRow]:
    """Yield the networks of the zoo whose name matches ``pattern``, with their counts.

    Nothing is computed: the networks live on torch's meta device, and torch's own counter counts.
    """
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    from groundspeed.models import zoo

    for name in zoo.names(pattern, family=family):
        about = zoo.info(name)
        with torch.device("meta"):
            module = zoo.build(name)
            counter = FlopCounterMode(display=False)
            with counter, torch.no_grad():
                module.eval()(torch.empty(about.input_shape))
        yield ZooRow(
            name=name,
            family=about.family,
            summary=about.summary,
            input_shape=about.input_shape,
            parameters=sum(parameter.numel() for parameter in module.parameters()),
            macs=counter.get_total_flops() // 2,
        )


def inspect(network: Network) -> Inspection:
    """Return what every op of a network costs, after its batch-norms are folded.

    Raises:
        UnsupportedOp: it is an ONNX file with an op of which nothing is known.
        ExportError: it cannot be traced.
    """
    from groundspeed.export.onnx_graph import OnnxGraph
    from groundspeed.export.prepare import prepare
    from groundspeed.models.cost import analyze, totals, uncounted

    if isinstance(network.module, OnnxGraph):
        raise UnsupportedOp(network.module.reason)
    prepared = prepare(network.module, network.inputs)
    ops = analyze(prepared.program)
    total = totals(ops)
    reference = prepared.reference
    folding = [note for step in prepared.steps for note in step.notes]
    uncounted_notes = [
        f"not counted, no rule: {target} ({', '.join(names)})"
        for target, names in uncounted(prepared.program).items()
    ]
    return Inspection(
        name=network.name,
        parameters=sum(parameter.numel() for parameter in reference.parameters()),
        macs=total.macs,
        flops=total.flops,
        memory_bytes=total.memory_bytes,
        ops=ops,
        notes=(*folding, *uncounted_notes),
    )
