"""A module that was made slower is named first, by real profiles; what changed, by manifests."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn

from groundspeed.artifact import Artifact
from groundspeed.deploy.exporting import Exporter
from groundspeed.deploy.feedback.breakdown import Time
from groundspeed.deploy.gate.comparing import Contest
from groundspeed.deploy.gate.culprits import Culprits, Moved, culprits
from groundspeed.deploy.report.check_culprits import sentences
from groundspeed.deploy.sources import Network
from groundspeed.deploy.store.store import Store
from groundspeed.deploy.targets.local import LocalTarget

MakeArtifact = Callable[..., Artifact]
LOCAL = LocalTarget()


class Net(nn.Module):
    """Three stages; the width of the middle one is what is planted."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 16, 3, padding=1)
        self.middle = nn.Sequential(
            nn.Conv2d(16, width, 3, padding=1), nn.ReLU(), nn.Conv2d(width, 16, 3, padding=1)
        )
        self.head = nn.Conv2d(16, 16, 3, padding=1)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.head(self.middle(self.stem(image)))


def exported(width: int, folder: Path) -> Artifact:
    torch.manual_seed(0)
    inputs = (torch.randn(1, 3, 48, 48),)
    network = Network(name="net", spec="net", module=Net(width).eval(), inputs=inputs)
    return Exporter(network, folder / str(width)).export("onnx", "fp32")


def test_the_module_that_was_made_slower_is_named_first(tmp_path: Path, store: Store) -> None:
    contest = Contest(
        baseline=store.keep(exported(16, tmp_path)), candidate=store.keep(exported(128, tmp_path))
    )
    found = culprits(contest, store=store, target=LOCAL)
    assert found.changed == ("the network",)
    assert found.problem == ""
    first, second = found.moved[:2]
    assert {first.module, second.module} == {"middle.0", "middle.2"}
    assert first.difference.low_ns > 0
    assert first.new_ns > 2 * first.old_ns
    assert "test_culprits.py" in first.line
    assert found.slower_ns > 0
    assert sentences(found)[0] == "only the network changed, so that is to blame"


def with_(artifact: Artifact, **values: object) -> Artifact:
    manifest = dataclasses.replace(artifact.manifest, **values)  # type: ignore[arg-type]
    return dataclasses.replace(artifact, manifest=manifest)


def test_a_module_that_is_new_came_from_nothing() -> None:
    moved = Moved(
        module="gate",
        line="net.py:7",
        old_ns=0.0,
        new_ns=2e6,
        difference=Time(ns=2e6, low_ns=1.9e6, high_ns=2.1e6),
    )
    *_, last = sentences(Culprits(changed=("the network",), moved=(moved,), slower_ns=2e6))
    assert last == "+2.00 [+1.90, +2.10] ms in gate (net.py:7): nothing → 2.00"


def test_profiles_that_fail_are_a_reason() -> None:
    found = Culprits(changed=("the network",), problem="the files cannot be profiled: no timer")
    assert sentences(found)[-1] == "the files cannot be profiled: no timer"
