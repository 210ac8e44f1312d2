"""Networks and profiles made by hand, where the right answer is known."""

from __future__ import annotations

from collections.abc import Sequence

from groundspeed.artifact import Manifest, Source
from groundspeed.measurement import OpProfile, ProfiledOp
from groundspeed.ops import Op, OpKind

Reads = Sequence[tuple[int, ...]]


def op(
    name: str,
    kind: OpKind,
    module: str = "",
    macs: int = 0,
    inputs: tuple[str, ...] = (),
    costs: int = 8,
) -> Op:
    """Return an op of the network; one that costs 0 only renames its input."""
    return Op(
        name=name,
        kind=kind,
        module=module,
        line=f"net.py:{len(name)}",
        output_shape=(1, 8),
        parameters=0,
        macs=macs,
        flops=2 * macs or costs,
        memory_bytes=8 * costs,
        inputs=inputs,
    )


def profiled(
    ops: Sequence[Op],
    tensors: dict[str, str],
    executed: Sequence[tuple[str, str]],
    *,
    inserted: str | None = None,
    reads: Reads | None = None,
    digest: str = "",
) -> tuple[Manifest, OpProfile]:
    """Return a file and a profile of it, in which the n-th executed op takes 10 n ns of 900.

    Args:
        ops: of the network.
        tensors: name of a tensor of the file -> op with its values.
        executed: the engine's word and the output tensor of each executed op; "" for one that is
            not in the file.
        inserted: the output of one that no op of the file stands behind.
        reads: positions of the executed ops that each one reads; None if the runtime told nothing.
        digest: of the network's weights.
    """
    manifest = Manifest(
        runtime="onnxruntime",
        format="onnx",
        precision="fp32",
        files=(),
        inputs=(),
        outputs=(),
        source=Source(name="net", spec="net", digest=digest),
        ops=tuple(ops),
        tensors=tensors,
    )
    told = reads or [()] * len(executed)
    profile = OpProfile(
        ops=tuple(
            ProfiledOp(
                name=str(position),
                type=word,
                outputs=(output,) if output else (),
                inserted=output == inserted,
                reads=told[position],
            )
            for position, (word, output) in enumerate(executed)
        ),
        times_ns=tuple((10 * (position + 1),) for position in range(len(executed))),
        profiled_ns=(1000,),
        plain_ns=(900,),
    )
    return manifest, profile
