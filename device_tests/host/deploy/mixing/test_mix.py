"""Mixed precision from a network to a file in ncnn, with times that are planted."""

from __future__ import annotations

import contextlib
import random
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from groundspeed.artifact import Artifact
from groundspeed.deploy.exporting import Exporter
from groundspeed.deploy.mixing import integers
from groundspeed.deploy.mixing.settings import MixSettings
from groundspeed.deploy.quantizing import Quantizing
from groundspeed.deploy.sources import Network
from groundspeed.errors import DataError, UnknownName, UsageError
from groundspeed.export.parity import TOLERANCES
from groundspeed.measurement import Answered, Job, Launch, Machine, Options
from groundspeed.runtimes.answering import answer
from groundspeed.runtimes.measure import launch
from groundspeed.runtimes.ncnn_param import read_param
from groundspeed.runtimes.on_ncnn import Ncnn

SLOW_MODULE = "1"  # in integers, this convolution takes twice as long; the others half
INT8_TERM = 8


class PlantedTarget:
    """Runs jobs here, and says of each op and file how long it takes."""

    name = "planted"
    pace = 0.8  # of files with integers

    def run(self, job: Job, on_progress: object = None) -> Launch:
        job = replace(job, min_samples=1, max_samples=1, max_warmup_seconds=0.0, profile_runs=2)
        assert job.files is not None
        layers = {layer.name: layer for layer in read_param(job.files["param"])}
        rounded = any(layer.integer(INT8_TERM) for layer in layers.values())
        whole = round((self.pace if rounded else 1.0) * 1e6 * random.uniform(0.99, 1.01))
        done = launch(job, lambda words: None)
        profile = done.profile
        if profile is not None:
            weighted = [op.name for op in profile.ops if op.type.startswith("Convolution")]
            times = {op.name: 100 for op in profile.ops}
            for place, name in enumerate(weighted):
                in_integers = 200_000 if place == int(SLOW_MODULE) else 50_000
                times[name] = in_integers if layers[name].integer(INT8_TERM) else 100_000
            profile = replace(
                profile,
                times_ns=tuple((times[op.name],) * 2 for op in profile.ops),
                profiled_ns=(whole, whole),
                plain_ns=(whole, whole),
            )
        return replace(done, samples_ns=(whole,) * 3, profile=profile)

    def answer(self, job: Job, on_progress: object = None) -> Answered:
        return answer(job, lambda words: None)

    def facts(self) -> Machine:
        raise NotImplementedError


class SlowTarget(PlantedTarget):
    """One on which integers promise much, and hold nothing."""

    name = "slow"
    pace = 1.2

    def run(self, job: Job, on_progress: object = None) -> Launch:
        done = super().run(job, on_progress)
        if done.profile is None:
            return done
        return replace(done, profile=replace(done.profile, plain_ns=(500_000, 500_000)))


TARGETS = {"planted": PlantedTarget, "slow": SlowTarget}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("data") / "noise.npz"
    generator = np.random.default_rng(0)
    np.savez(path, images=generator.standard_normal((12, 3, 16, 16)).astype(np.float32))
    return str(path)


def exporter(folder: Path, data: str, target: str, module: nn.Module | None = None) -> Exporter:
    torch.manual_seed(0)
    small = nn.Sequential(
        nn.Conv2d(3, 8, 3, stride=2),
        nn.Conv2d(8, 16, 3),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(16, 4),
    )
    network = Network(
        name="small",
        spec="small",
        module=(module or small).eval(),
        inputs=(torch.randn(1, 3, 16, 16),),
    )
    mixing = MixSettings(max_drop=100.0, seconds=0.0, target=TARGETS[target]())
    return Exporter(network, folder, quantizing=Quantizing(data=data, mixing=mixing))


def in_integers(artifact: Artifact) -> set[str]:
    """Return the layers of the network whose weights are integers in the file."""
    ties = artifact.manifest.tensors or {}
    assert artifact.manifest.mixing is not None
    weighted = {each.op for each in artifact.manifest.mixing.layers}
    written = read_param(artifact.paths["param"])
    return {ties[layer.tops[0]] for layer in written if layer.integer(INT8_TERM)} & weighted


def test_layers_that_pay_are_integers_in_the_file_and_the_others_tell_why_not(
    tmp_path: Path, data: str
) -> None:
    made = exporter(tmp_path, data, "planted").export("ncnn", "auto")
    artifact = Artifact.open(made.folder)
    manifest, mixing = artifact.manifest, artifact.manifest.mixing
    assert mixing is not None
    assert manifest.quantization is not None
    floats = manifest.quantization.float_ops or {}
    chosen = mixing.candidates[mixing.chosen]
    slow = next(each for each in mixing.layers if each.module == SLOW_MODULE)

    assert manifest.precision == "auto"
    assert mixing.candidates[0].layers == ()
    assert chosen.measured is not None
    assert chosen.measured.ratio.high <= 1.0
    assert set(chosen.layers) == in_integers(artifact)
    assert {each.op for each in mixing.layers} - floats.keys() == set(chosen.layers)
    assert slow.gain_ns is not None
    assert slow.gain_ns.value < 0
    if slow.op not in chosen.layers:
        assert "slower in integers" in floats[slow.op]
    assert set(mixing.front) <= set(range(len(mixing.candidates)))
    assert [each.name for each in tmp_path.iterdir()] == ["small-ncnn-auto"]
    session = Ncnn().open(artifact.paths, Options(precision="auto"), manifest.inputs)
    with contextlib.closing(session):
        (answer,) = session.run(
            {manifest.inputs[0].name: np.zeros((1, 3, 16, 16), np.float32)}
        ).values()
    assert np.isfinite(answer).all()


def test_integers_that_turn_out_slower_leave_the_float_file_itself(
    tmp_path: Path, data: str
) -> None:
    auto = exporter(tmp_path, data, "slow").export("ncnn", "auto")
    mixing = auto.manifest.mixing
    assert mixing is not None
    assert mixing.chosen == 0
    assert any(each.measured is not None for each in mixing.candidates)
    assert in_integers(auto) == set()
    assert auto.manifest.parity is not None
    assert auto.manifest.parity.tolerance == TOLERANCES["fp32"]
    assert auto.manifest.quantization is not None
    floats = auto.manifest.quantization.float_ops or {}
    assert {each.op for each in mixing.layers} <= floats.keys()
    assert "of the float file's time" in floats[mixing.layers[0].op]


def test_a_network_without_classes_cannot_be_mixed(tmp_path: Path, data: str) -> None:
    maps = exporter(tmp_path, data, "planted", nn.Sequential(nn.Conv2d(3, 4, 3)))
    with pytest.raises(UsageError, match="no scores of classes"):
        maps.export("ncnn", "auto")
    assert list(tmp_path.iterdir()) == []


def test_a_search_that_nobody_knows_is_told_before_anything_is_made(
    tmp_path: Path, data: str
) -> None:
    asked = Quantizing(data=data, mixing=MixSettings(search="gredy", target=PlantedTarget()))
    network = exporter(tmp_path, data, "planted").network
    with pytest.raises(UnknownName, match="did you mean greedy"):
        Exporter(network, tmp_path, quantizing=asked).export("ncnn", "auto")
    assert list(tmp_path.iterdir()) == []


def test_without_data_there_is_nothing_to_judge_on(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="--data"):
        exporter(tmp_path, "", "planted").export("ncnn", "auto")


class Overflowing(nn.Module):
    """A linear layer whose sums of products leave 32 bits, between two that are harmless."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 1)
        self.wide = nn.Linear(4 * 200 * 200, 4)
        self.head = nn.Linear(4, 4)
        with torch.no_grad():
            self.stem.weight.fill_(0.33)
            self.stem.bias.zero_()
            self.wide.weight.fill_(1e-5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        answer: torch.Tensor = self.head(self.wide(self.stem(x).flatten(1)))
        return answer


def overflowing(folder: Path, said: list[str] | None = None) -> Exporter:
    """Return an exporter of the network above, with bright images."""
    torch.manual_seed(0)
    bright = np.random.default_rng(0).uniform(0.9, 1.0, (4, 3, 200, 200))
    np.savez(folder / "bright.npz", images=bright.astype(np.float32))
    return Exporter(
        Network(
            name="wide",
            spec="wide",
            module=Overflowing().eval(),
            inputs=(torch.rand(1, 3, 200, 200),),
        ),
        folder / "made",
        quantizing=Quantizing(
            data=str(folder / "bright.npz"),
            mixing=MixSettings(max_drop=100.0, seconds=0.0, target=PlantedTarget()),
        ),
        on_progress=said.append if said is not None else None,
    )


def test_a_layer_that_integers_break_stays_float_and_the_others_are_chosen_from(
    tmp_path: Path,
) -> None:
    said: list[str] = []
    manifest = overflowing(tmp_path, said).export("ncnn", "auto").manifest
    mixing, quantization = manifest.mixing, manifest.quantization
    assert mixing is not None
    assert quantization is not None
    broken = next(each for each in mixing.layers if each.module == "wide")

    assert {each.module for each in mixing.layers} == {"stem", "wide", "head"}
    assert broken.gain_ns is None
    assert all(broken.op not in each.layers for each in mixing.candidates)
    assert any(each.measured is not None for each in mixing.candidates)
    reason = (quantization.float_ops or {})[broken.op]
    assert "first at linear (module 'wide'), which is off by" in reason
    assert "integers come out wrong there: linear" in mixing.why
    assert any(each.startswith("linear stays in floating point") for each in said)
    assert manifest.parity is not None
    assert manifest.parity.passed


def test_where_no_file_with_integers_is_right_the_float_file_is_the_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(integers, "TRIES", 1)
    manifest = overflowing(tmp_path).export("ncnn", "auto").manifest
    mixing, quantization = manifest.mixing, manifest.quantization
    assert mixing is not None
    assert quantization is not None
    assert mixing.chosen == 0
    assert mixing.int8_ns is None
    assert mixing.why.startswith("no file with integers came out right")
    floats = quantization.float_ops or {}
    assert all("is off by" in floats[each.op] for each in mixing.layers)
    assert manifest.parity is not None
    assert manifest.parity.tolerance == TOLERANCES["fp32"]
