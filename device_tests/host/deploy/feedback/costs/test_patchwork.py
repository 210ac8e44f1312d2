"""Ops cut out of networks: each computes what it did there, and each distinct one is there once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.fx import Interpreter, Node

from groundspeed.deploy import sources
from groundspeed.deploy.exporting import Exporter
from groundspeed.deploy.feedback.costs import patchwork
from groundspeed.deploy.feedback.costs.example import PATCHWORK
from groundspeed.export.graph import editable, value_name
from groundspeed.ops import OpKind

# Shuffles, splits and joins; gates and hard activations; branches; residual additions and groups.
NETWORKS = ("shufflenet_v2_x0_5", "mobilenet_v3_small", "squeezenet1_1", "shufflenet_v1_x0_25_g3")
SIZE = 64


@pytest.fixture(scope="module", params=NETWORKS)
def exporter(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Exporter:
    return of(request.param, tmp_path_factory.mktemp("exports"))


def of(name: str, folder: Path) -> Exporter:
    return Exporter(sources.load(name, input_shapes=[(1, 3, SIZE, SIZE)]), folder)


class Values(Interpreter):
    """Remembers what every node computed."""

    def run_node(self, n: Node) -> Any:
        value = super().run_node(n)
        self.seen[value_name(n)] = value
        return value

    def __init__(self, exporter: Exporter) -> None:
        super().__init__(editable(exporter.canonical("fp32")))
        self.seen: dict[str, Any] = {}
        self.run(*exporter.network.inputs)


@torch.no_grad()
def test_an_op_computes_what_it_computed_in_its_network(exporter: Exporter) -> None:
    values = Values(exporter).seen
    for _, patch in patchwork.cut(exporter):
        results = patch.module(*(values[name] for name in patch.reads))
        for name, result in zip(patch.computes, results, strict=True):
            torch.testing.assert_close(result, values[name], msg=f"{patch.computes} is another")


def test_all_arithmetic_of_a_network_is_in_its_patches(exporter: Exporter) -> None:
    macs = sum(op.macs for op in exporter.ops)
    assert sum(patch.macs for _, patch in patchwork.cut(exporter)) == macs


def test_data_movement_and_additions_are_measured_too(exporter: Exporter) -> None:
    cut = {name for _, patch in patchwork.cut(exporter) for name in patch.computes}
    for op in exporter.ops:
        # Those in the midst of a patch have no end of their own.
        if op.kind is OpKind.ELEMENTWISE or op.name.startswith("cat"):
            readers = [each for each in exporter.ops if op.name in each.inputs]
            assert op.name in cut or any(each.name in cut for each in readers)


def test_a_distinct_op_is_there_once(tmp_path: Path) -> None:
    exporter = of("shufflenet_v2_x0_5", tmp_path)
    once, twice = patchwork.patchworks([exporter]), patchwork.patchworks([exporter, exporter])
    assert patches(once) == patches(twice)
    assert patches(once) < len(list(patchwork.cut(exporter)))  # its blocks repeat
    assert patches(once) == len({signature for signature, _ in patchwork.cut(exporter)})
    other = of("shufflenet_v2_x1_0", tmp_path)
    both, alone = patchwork.patchworks([exporter, other]), patchwork.patchworks([other])
    assert patches(both) < patches(once) + patches(alone)  # both have the same stem


def patches(networks: list[sources.Network]) -> int:
    modules = [network.module for network in networks]
    assert all(isinstance(each, patchwork.Patchwork) for each in modules)
    return sum(len(each.patches) for each in modules)  # type: ignore[union-attr, arg-type, misc]


@torch.no_grad()
def test_a_patchwork_runs_and_keeps_its_bounds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patchwork, "OPS", 10)
    networks = patchwork.patchworks([of("mobilenet_v3_small", tmp_path)])
    assert len(networks) > 2
    for network in networks:
        assert isinstance(network.module, patchwork.Patchwork)
        assert len(network.module.patches) <= 10
        assert network.spec.startswith(PATCHWORK)
        (means,) = [network.module(*network.inputs)]
        assert means.dim() == 2
        assert means.isfinite().all()


def test_the_same_ops_make_the_same_files(tmp_path: Path) -> None:
    """Else an interrupted command would not know its own run again."""
    exporter = of("shufflenet_v2_x0_5", tmp_path)
    first, second = (patchwork.patchworks([exporter]) for _ in range(2))
    for one, other in zip(first, second, strict=True):
        assert exporter.beside(one).source == exporter.beside(other).source


class Encoder(nn.Module):
    """Layers between which there are no maps."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 8))

    def forward(self, words: torch.Tensor) -> torch.Tensor:
        return self.layers(words).argmax(-1)


@pytest.mark.parametrize(
    ("module", "inputs"),
    [
        (Encoder(), torch.zeros(1, 4, 8)),
        (nn.Conv2d(3, 4, 3), torch.zeros(2, 3, 8, 8)),  # two images
        (nn.Embedding(5, 8), torch.zeros(1, 4, dtype=torch.int64)),
    ],
)
def test_what_is_not_over_maps_of_one_image_is_left_out(
    tmp_path: Path, module: nn.Module, inputs: torch.Tensor
) -> None:
    network = sources.Network(name="n", spec="n", module=module.eval(), inputs=(inputs,))
    assert patchwork.patchworks([Exporter(network, tmp_path)]) == []
