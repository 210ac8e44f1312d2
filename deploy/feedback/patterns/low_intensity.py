"""Layers with weights that move so many bytes for their arithmetic that they wait for memory.

Depthwise convolutions at large maps above all, pointwise ones with very few channels, and linear
layers with one sample at a time.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from groundspeed.deploy.feedback.breakdown import OpRow
from groundspeed.deploy.feedback.finding import Place
from groundspeed.deploy.feedback.patterns.pattern import Change, Pattern, Sighting
from groundspeed.deploy.feedback.roofline import Roofline, roofline
from groundspeed.deploy.feedback.scene import Scene
from groundspeed.ops import OpKind

# The knee of a roofline is where memory and arithmetic take the same time. In profiles of
# ShuffleNetV2 on one core of a desktop processor it lay at 3.6 (LiteRT), 5.3 (ONNX Runtime) and 6.6
# (ncnn) FLOPs for each byte. The bound is fixed, so that what is found does not hang on what was
# timed.
LEAST_FLOPS_PER_BYTE = 5.0
# What fits a first-level cache (32 to 64 KiB) need not wait.
LEAST_BYTES = 64 * 1024


def _find(scene: Scene) -> Iterator[Sighting]:
    roof = roofline(scene.breakdown)
    for op in scene.manifest.ops:
        position = scene.owner(op.name)
        if (
            op.macs
            and position is not None
            and op.intensity < LEAST_FLOPS_PER_BYTE
            and op.memory_bytes >= LEAST_BYTES
        ):
            what = f"{op.kind}, {op.intensity:.2g} FLOPs for each of {op.memory_bytes} bytes"
            yield Sighting(
                place=Place(module=op.module, line=op.line, ops=(op.name,), what=what),
                charges={position: waiting(scene.executed[position], roof)} if roof else {},
            )


def waiting(row: OpRow, roof: Roofline) -> float:
    """Return the share of an op's time that memory takes beyond its arithmetic, on the roofline.

    What an op takes beyond both is its kernel's fault, and no question of intensity.
    """
    memory_s = row.op.memory_bytes / roof.peak_bytes_per_s
    arithmetic_s = row.op.flops / roof.peak_flops_per_s
    return min(1.0, max(0.0, memory_s - arithmetic_s) * 1e9 / row.time.ns) if row.time.ns else 0.0


def _change(scene: Scene, sightings: Sequence[Sighting]) -> Change | None:
    # The same arithmetic on fewer bytes is another layer. Dense convolutions with fewer channels
    # are one in theory; in ONNX Runtime, on AVX-512, they took up to twice as long as depthwise
    # ones with their MACs, for their channels are too few to be computed well.
    return None


def _advice(scene: Scene, sightings: Sequence[Sighting]) -> str:
    kinds = {scene.ops[op].kind for one in sightings for op in one.place.ops}
    also = "; weights of int8 are a quarter of the bytes" if OpKind.LINEAR in kinds else ""
    return (
        "their time follows their bytes, so MACs that are saved here save nothing: make their maps "
        f"smaller (stride earlier), or give them fewer channels{also}"
    )


PATTERN = Pattern(
    name="low intensity",
    guideline="",
    reason="Arithmetic waits for memory, so its FLOPs on paper say nothing about its time.",
    source="S. Williams, A. Waterman, D. Patterson, Roofline, CACM 52(4), 2009",
    example="nn.Conv2d(64, 64, 3, padding=1, groups=64)  # on 112 x 112 maps",
    find=_find,
    change=_change,
    advice=_advice,
)
