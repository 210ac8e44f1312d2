"""Ops for which a runtime has no fast kernel, by runtime.

What goes which way was found by running ONNX Runtime 1.32, LiteRT 2.3 and ncnn 1.0.20261020 on x86:

* LiteRT hands its ops to XNNPACK and computes with its own kernels what that does not take (a
  padding with minus infinity, a gather).
* ONNX Runtime computes convolutions in blocks of channels (8, or 16 with AVX-512) if those it reads
  are fewer than a block or a multiple of four; in groups, if each has whole blocks; depthwise, if
  they are a multiple of four. It has no blocks for transposed convolutions.
* ncnn keeps maps packed (several channels beside each other) through most layers, but not all.
* All of them compute some ops as several others: ONNX Runtime's hard-swish is two.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass

from groundspeed.deploy.feedback.convolutions import reference_rate
from groundspeed.deploy.feedback.edits import bypassable, bypassed
from groundspeed.deploy.feedback.finding import Place
from groundspeed.deploy.feedback.patterns.pattern import Change, Pattern, Sighting
from groundspeed.deploy.feedback.rates import saved, typical
from groundspeed.deploy.feedback.scene import Scene
from groundspeed.ops import Op, OpKind


@dataclass(frozen=True, kw_only=True)
class SlowPath:
    """One way in which a runtime is slow at something.

    Attributes:
        runtime: which; "" for any.
        what: what happens there.
        advice: what to do about it.
        source: where this comes from.
        is_slow: whether what was executed at a position went that way.
    """

    runtime: str
    what: str
    advice: str
    source: str
    is_slow: Callable[[Scene, int], bool]


# ncnn's layers that take only maps that are not packed, of 1.0.20261020: those for which
# ``ncnn.create_layer(type).support_packing`` is false.
_UNPACKED = re.compile(
    r"Bias|CopyTo|CumulativeSum|Diag|Einsum|Embed|Exp|ExpandDims|Flip|Fold|GLU|GRU"
    r"|InstanceNorm|Log|LRN|MatMul|PixelShuffle|Pooling1D|Power|PriorBox|Reduction|Reorg"
    r"|RotaryEmbed|SDPA|Shrink|Softplus|Spectrogram|Squeeze|StatisticsPooling|Threshold"
    r"|Tile|Unfold"
)


# ONNX Runtime's convolutions in floating point; it says nothing of blocks in integers.
_CONVOLUTIONS = frozenset({"Conv", "FusedConv", "ConvTranspose"})


def _is_own_kernel(scene: Scene, position: int) -> bool:
    """Return whether LiteRT itself computed an op: it writes PADV2, XNNPACK Constant Pad (ND)."""
    executed = scene.executed[position].op.executed
    return bool(re.fullmatch(r"[A-Z][A-Z0-9_]+", executed.type))


def _is_padding_of_a_pooling(scene: Scene, position: int) -> bool:
    row = scene.executed[position].op
    return (row.inserted or row.part) and bool(re.match(r"Constant Pad|PAD", row.executed.type))


def _is_plain(scene: Scene, position: int) -> bool:
    """Return whether a convolution is computed in NCHW where others are in blocks of channels."""
    blocked = any("_nchwc" in row.op.executed.name for row in scene.executed)
    executed = scene.executed[position].op.executed
    return blocked and executed.type in _CONVOLUTIONS and "_nchwc" not in executed.name


def _is_unpacked(scene: Scene, position: int) -> bool:
    return bool(_UNPACKED.fullmatch(scene.executed[position].op.executed.type))


def _is_a_part(scene: Scene, position: int) -> bool:
    """Return whether an executed op computes a part of an op: another bears its arithmetic."""
    row = scene.executed[position].op
    return row.part and row.kind is not OpKind.DATA_MOVEMENT


_PATHS = (
    SlowPath(
        runtime="litert",
        what="computed by LiteRT's own kernel, not by XNNPACK",
        advice="use an op that XNNPACK takes",
        source="https://github.com/google-ai-edge/LiteRT/blob/main/tflite/delegates/xnnpack/"
        "README.md",
        is_slow=_is_own_kernel,
    ),
    SlowPath(
        runtime="litert",
        what="padding of a pooling, computed by itself",
        advice="pool without padding (a 2x2 window at stride 2): TFLite's pooling has none",
        source="https://www.tensorflow.org/mlir/tfl_ops#tflmax_pool_2d_tflmaxpool2dop",
        is_slow=_is_padding_of_a_pooling,
    ),
    SlowPath(
        runtime="onnxruntime",
        what="computed in NCHW, not in blocks of channels",
        advice="make the channels of convolutions multiples of 8, better of 16 (in each group as "
        "well), and upsample instead of transposed convolutions",
        source="https://onnxruntime.ai/docs/performance/model-optimizations/"
        "graph-optimizations.html#layout-optimizations",
        is_slow=_is_plain,
    ),
    SlowPath(
        runtime="ncnn",
        what="computed channel by channel, for it takes no packed maps",
        advice="use a layer that takes packed maps (pooling instead of a mean)",
        source="https://github.com/Tencent/ncnn/wiki/element-packing",
        is_slow=_is_unpacked,
    ),
    SlowPath(
        runtime="",
        what="a part of an op that takes several here",
        advice="use an op that the runtime has as one (ReLU instead of SiLU or GELU)",
        source="https://onnx.ai/onnx/operators/, function bodies",
        is_slow=_is_a_part,
    ),
)


def _find(scene: Scene) -> Iterator[Sighting]:
    slow = {
        position: path
        for position in range(len(scene.executed))
        if (path := _path(scene, position)) is not None
    }
    for position, path in slow.items():
        row = scene.executed[position].op
        ops = row.covers or _read_by(scene, position)
        yield Sighting(
            place=Place(
                module=ops[0].module if ops else row.module,
                line=ops[0].line if ops else row.line,
                ops=tuple(op.name for op in ops),
                what=f"{row.executed.type}: {path.what}",
            ),
            charges=_charges(scene, position, slow),
        )


def _path(scene: Scene, position: int) -> SlowPath | None:
    for path in _PATHS:
        if path.runtime in {"", scene.manifest.runtime} and path.is_slow(scene, position):
            return path
    return None


def _read_by(scene: Scene, position: int) -> tuple[Op, ...]:
    """Return the ops that the runtime computes next, for what it put before them."""
    return next((row.op.covers for row in scene.executed[position:] if row.op.covers), ())


def _charges(scene: Scene, position: int, slow: Collection[int]) -> dict[int, float]:
    """Return the share of an op's time that is blamed on the slow path.

    A layer with weights is held against the others of its kind, without any against dense
    convolutions; but no depthwise one, which those are no measure of. All others are charged whole.
    """
    row = scene.executed[position]
    if not row.op.macs:
        return {position: 1.0}
    reference = typical(
        (each.flops_per_s, each.time.ns)
        for place, each in enumerate(scene.executed)
        if place not in slow and each.op.kind is row.op.kind
    )
    if reference is None and row.op.kind is not OpKind.DEPTHWISE:
        reference = reference_rate(scene)
    share = saved(row.flops_per_s, reference)
    return {} if share is None else {position: share}


def _change(scene: Scene, sightings: Sequence[Sighting]) -> Change | None:
    taken = tuple(one for one in sightings if _can_go(scene, one))
    if not taken:
        return None
    after = bypassed(scene, {op for one in taken for op in one.place.ops})
    return Change(what="one of its inputs instead of each", after=after, taken=taken)


def _can_go(scene: Scene, one: Sighting) -> bool:
    """Return whether nothing but what is charged would go with an op; layers with weights stay."""
    return (
        scene.alone(one.place.ops) == tuple(one.charges)
        and not any(scene.ops[op].macs for op in one.place.ops)
        and all(bypassable(scene, op) for op in one.place.ops)
    )


def _advice(scene: Scene, sightings: Sequence[Sighting]) -> str:
    seen = {one.place.what.partition(": ")[2] for one in sightings}
    return "; ".join(dict.fromkeys(path.advice for path in _PATHS if path.what in seen))


PATTERN = Pattern(
    name="slow path",
    guideline="",
    reason="A runtime computes everything, but only a part of it with kernels made for speed.",
    source="; ".join(path.source for path in _PATHS),
    example="nn.InstanceNorm2d(32)  # in ncnn",
    find=_find,
    change=_change,
    advice=_advice,
)
