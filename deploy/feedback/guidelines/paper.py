"""The four experiments as the ShuffleNet V2 paper printed them, and what it measured.

Tables 1 to 4 of https://arxiv.org/abs/1807.11164: speeds on a GTX 1080 Ti with cuDNN 7 (batches per
second) and on one thread of a Snapdragon 810 (images per second), each for three widths. The
paper's columns x1, x2, x4 multiply all numbers of channels: the speed in *images* per second falls
to about a quarter each time, which leaves no other reading.
"""

from __future__ import annotations

import math
from typing import Final

from groundspeed.deploy.feedback.guidelines.experiment import (
    Arguments,
    Column,
    Experiment,
    Speeds,
    Variant,
)


def _variant(
    name: str,
    step: float,
    arm: Arguments,
    arm_speeds: Speeds,
    gpu: Arguments,
    gpu_speeds: Speeds,
    **both: int | bool | str,
) -> Variant:
    """Return a row of a table; ``both`` are arguments of the networks of both columns."""
    return Variant(
        name=name,
        step=step,
        arguments={Column.ARM: {**arm, **both}, Column.GPU: {**gpu, **both}},
        speeds={Column.ARM: arm_speeds, Column.GPU: gpu_speeds},
    )


def _ratio(ratio: int, arm: tuple[int, int], a: Speeds, gpu: tuple[int, int], g: Speeds) -> Variant:
    arguments = [{"first": first, "second": second} for first, second in (arm, gpu)]
    return _variant(f"1:{ratio}", math.log2(ratio), arguments[0], a, arguments[1], g)


def _groups(groups: int, arm: int, a: Speeds, gpu: int, g: Speeds) -> Variant:
    name = "1 group" if groups == 1 else f"{groups} groups"
    step = math.log2(groups)
    return _variant(name, step, {"channels": arm}, a, {"channels": gpu}, g, groups=groups)


def _fragments(name: str, a: Speeds, g: Speeds) -> Variant:
    count, _, arrangement = name.partition("-")
    both = {} if arrangement == "fragment" else {"arrangement": arrangement}
    step = math.log2(int(count))
    return _variant(name, step, {"channels": 64}, a, {"channels": 128}, g, count=int(count), **both)


def _bottleneck(name: str, relu: bool, shortcut: bool, a: Speeds, g: Speeds) -> Variant:
    channels = {"channels": 32}
    return _variant(name, relu + shortcut, channels, a, channels, g, relu=relu, shortcut=shortcut)


def _whole(value: int | bool | str) -> int:
    assert isinstance(value, int)
    return value


def _pair_weights(given: Arguments) -> int:
    return 2 * _whole(given["first"]) * _whole(given["second"])


def _group_weights(given: Arguments) -> int:
    channels, groups = _whole(given["channels"]), _whole(given["groups"])
    return (channels + -channels % groups) ** 2 // groups


def _fragment_weights(given: Arguments) -> int:
    count = _whole(given["count"])
    return count * round(_whole(given["channels"]) / math.sqrt(count)) ** 2


def _bottleneck_weights(given: Arguments) -> int:
    channels = _whole(given["channels"])
    inside = channels // 4
    return 2 * channels * inside + 9 * inside**2


EXPERIMENTS: Final = {
    "G1": Experiment(
        guideline="G1",
        table=1,
        advice="equal channel widths",
        step="each doubling of the ratio of widths",
        function="unbalanced_widths",
        scaled=("first", "second"),
        weights=_pair_weights,
        variants=(
            _ratio(1, (32, 32), (76.2, 21.7, 5.3), (128, 128), (1480, 723, 232)),
            _ratio(2, (22, 44), (72.9, 20.5, 5.1), (90, 180), (1296, 586, 206)),
            _ratio(6, (13, 78), (69.1, 17.9, 4.6), (52, 312), (876, 489, 189)),
            _ratio(12, (9, 108), (57.6, 15.1, 4.4), (36, 432), (748, 392, 163)),
        ),
    ),
    "G2": Experiment(
        guideline="G2",
        table=2,
        advice="few groups in convolutions",
        step="each doubling of the groups",
        function="group_convolutions",
        scaled=("channels",),
        weights=_group_weights,
        variants=(
            _groups(1, 64, (40.0, 10.2, 2.3), 128, (2451, 1289, 437)),
            _groups(2, 90, (35.0, 9.5, 2.2), 180, (1725, 873, 341)),
            _groups(4, 128, (32.9, 8.7, 2.1), 256, (1026, 644, 338)),
            _groups(8, 180, (27.8, 7.5, 1.8), 360, (634, 445, 230)),
        ),
    ),
    "G3": Experiment(
        guideline="G3",
        table=3,
        advice="few fragments",
        step="each doubling of the fragments",
        function="fragments",
        scaled=("channels",),
        weights=_fragment_weights,
        variants=(
            _fragments("1-fragment", (40.2, 10.1, 2.3), (2446, 1274, 434)),
            _fragments("2-series", (38.6, 10.1, 2.2), (1790, 909, 336)),
            _fragments("4-series", (38.4, 10.1, 2.3), (752, 745, 349)),
            _fragments("2-parallel", (33.4, 9.1, 2.2), (1537, 803, 320)),
            _fragments("4-parallel", (35.0, 8.4, 2.1), (691, 572, 292)),
        ),
    ),
    "G4": Experiment(
        guideline="G4",
        table=4,
        advice="few element-wise ops",
        step="each kind of element-wise op",
        function="bottlenecks",
        scaled=("channels",),
        weights=_bottleneck_weights,
        variants=(
            _bottleneck("neither", False, False, (66.3, 20.2, 5.4), (2842, 2376, 1782)),
            _bottleneck("shortcut", False, True, (57.3, 18.2, 5.1), (2672, 2121, 1458)),
            _bottleneck("ReLU", True, False, (61.9, 18.8, 5.2), (2647, 2256, 1735)),
            _bottleneck("both", True, True, (56.7, 16.9, 5.0), (2427, 2066, 1436)),
        ),
    ),
}
