"""A small network in every runtime: what each makes of its ops, told without looking at times."""

from __future__ import annotations

import contextlib

import pytest
import torch
from torch import nn

from groundspeed.deploy.exporting import Exporter
from groundspeed.deploy.feedback.across import Across, Fate, across
from groundspeed.deploy.feedback.breakdown import Breakdown, break_down
from groundspeed.deploy.sources import Network
from groundspeed.export.formats import FORMATS
from groundspeed.measurement import Options
from groundspeed.runtimes.catalog import RUNTIMES
from groundspeed.runtimes.feeds import random_feeds


class Mixed(nn.Module):
    """One of everything: fused and unfused activations, a residual, a gate, a shuffle."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 16, 3, padding=1), nn.BatchNorm2d(16), nn.SiLU())
        self.residual = nn.Conv2d(16, 16, 3, padding=1)
        self.relu = nn.ReLU()
        self.gate = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(16, 16, 1), nn.Sigmoid())
        self.branch = nn.Sequential(nn.Conv2d(8, 8, 3, padding=1, groups=8), nn.ReLU())
        self.head = nn.Linear(16, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.stem(x)
        x = self.relu(self.residual(x) + x)
        x = x * self.gate(x)
        left, right = x.chunk(2, dim=1)
        x = torch.cat((left, self.branch(right)), dim=1)
        n, c, h, w = x.shape
        x = x.view(n, 2, c // 2, h, w).transpose(1, 2).reshape(n, c, h, w)
        return self.head(x.mean((2, 3)))


@pytest.fixture(scope="module")
def breakdowns(tmp_path_factory: pytest.TempPathFactory) -> tuple[Across, dict[str, Breakdown]]:
    torch.manual_seed(0)
    network = Network(
        name="mixed", spec="mixed", module=Mixed().eval(), inputs=(torch.randn(1, 3, 32, 32),)
    )
    exporter = Exporter(network, tmp_path_factory.mktemp("mixed"))
    found = {}
    for format in FORMATS:
        artifact = exporter.export(format, "fp32")
        manifest = artifact.manifest
        engine = RUNTIMES.load(manifest.runtime)()
        with contextlib.closing(engine.open(artifact.paths, Options(), manifest.inputs)) as session:
            profile = session.profile(random_feeds(session.inputs, seed=0), 2)
        found[manifest.runtime] = (manifest, break_down(manifest, profile))
    return across(found), {name: breakdown for name, (_, breakdown) in found.items()}


Found = tuple[Across, dict[str, Breakdown]]


def fates(table: Across, runtime: str) -> dict[str, tuple[Fate, str]]:
    """Return op -> what a runtime made of it, and the op that it was fused into."""
    column = table.columns.index(runtime)
    made = {one.op.name: one.made[column] for row in table.rows for one in row.ops}
    return {name: (one.fate, one.into) for name, one in made.items()}


@pytest.mark.parametrize("runtime", ["onnxruntime", "litert", "ncnn"])
def test_every_executed_op_is_tied_and_no_layer_is_lost(breakdowns: Found, runtime: str) -> None:
    breakdown = breakdowns[1][runtime]
    assert [row.op.executed for row in breakdown.ops if not row.op.tied] == [
        row.op.executed for row in breakdown.ops if row.op.executed.stage
    ]
    assert breakdown.uncharged == ()
    assert breakdown.coverage == 1


@pytest.mark.parametrize("runtime", ["onnxruntime", "litert", "ncnn"])
def test_layers_are_computed_in_modules_of_the_users(breakdowns: Found, runtime: str) -> None:
    layers = [(row.op.module, row.op.macs) for row in breakdowns[1][runtime].ops if row.op.macs]
    assert layers == [
        ("stem.0", 3 * 9 * 16 * 32 * 32),
        ("residual", 16 * 9 * 16 * 32 * 32),
        ("gate.1", 16 * 16),
        ("branch.0", 9 * 8 * 32 * 32),
        ("head", 16 * 10),
    ]


def test_each_runtime_has_its_way_with_a_silu(breakdowns: Found) -> None:
    made = {runtime: fates(breakdowns[0], runtime)["silu"][0] for runtime in breakdowns[1]}
    assert made == {
        "onnxruntime": Fate.COMPUTED,  # fused from a sigmoid and a product when the file is opened
        "litert": Fate.SPLIT,  # a sigmoid and a product
        "ncnn": Fate.COMPUTED,
    }


def test_a_relu_behind_a_convolution_is_fused_into_it_everywhere(breakdowns: Found) -> None:
    for runtime in breakdowns[1]:
        assert fates(breakdowns[0], runtime)["relu_1"] == (Fate.FUSED, "conv2d_3")


def test_onnxruntime_fuses_the_residual_into_its_convolution_and_others_do_not(
    breakdowns: Found,
) -> None:
    fused = {runtime: fates(breakdowns[0], runtime)["add"] for runtime in breakdowns[1]}
    assert fused["onnxruntime"] == (Fate.FUSED, "conv2d_1")
    assert fused["litert"][0] == fused["ncnn"][0] == Fate.COMPUTED


def test_a_shuffle_is_nowhere_part_of_a_layer(breakdowns: Found) -> None:
    shuffle = {"view", "transpose", "contiguous", "view_1"}
    for breakdown in breakdowns[1].values():
        touching = [row.op for row in breakdown.ops if {op.name for op in row.op.covers} & shuffle]
        assert touching
        assert all({op.name for op in row.covers} <= shuffle for row in touching)
