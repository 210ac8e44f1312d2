"""From a network's name and labelled data to a file that exports; as a user runs it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from groundspeed.deploy import sources
from groundspeed.deploy.training import train_network
from groundspeed.errors import DataError, UsageError
from groundspeed.export.prepare import prepare
from groundspeed.models.train import Progress, Settings, accuracy

NETWORK = """
from torch import nn
def build(classes=3):
    return nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU(),
        nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Linear(128, classes),
    )
"""
SHAPE = ((1, 1, 8, 8),)
SETTINGS = Settings(epochs=4, batch=20, learning_rate=0.02, flip=False)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A network, and pictures of three classes: bright at the top, in the middle, at the bottom."""
    (tmp_path / "net.py").write_text(NETWORK)
    random = np.random.default_rng(0)
    for part in ("train", "test"):
        labels = random.integers(0, 3, 200)
        images = random.standard_normal((200, 1, 8, 8)).astype(np.float32)
        images[np.arange(200), 0, 3 * labels] += 3.0
        np.savez(tmp_path / f"{part}.npz", x=images, y=labels)
    np.savez(tmp_path / "unlabelled.npz", x=images)
    return tmp_path


def arguments(folder: Path, **changed: Any) -> dict[str, Any]:
    given = {
        "spec": f"{folder / 'net.py'}:build",
        "output": folder / "weights.safetensors",
        "data": str(folder / "train.npz"),
        "settings": SETTINGS,
        "input_shapes": SHAPE,
    }
    return {**given, **changed}


def test_weights_are_written_and_load(folder: Path) -> None:
    training = train_network(**arguments(folder, test=str(folder / "test.npz")))
    assert training.top1 is not None
    assert training.top1 > 0.9
    assert len(training.history) == SETTINGS.epochs
    assert not list(folder.glob("*.checkpoint"))
    network = sources.load(training.network, input_shapes=SHAPE, weights=training.output).module
    test = np.load(folder / "test.npz")
    again = accuracy(network, torch.from_numpy(test["x"]), torch.from_numpy(test["y"]))
    assert again == training.top1


def test_a_quantized_network_carries_its_ranges_to_export(folder: Path) -> None:
    first = train_network(**arguments(folder))
    training = train_network(
        **arguments(
            folder,
            output=folder / "network.pt2",
            quantize=True,
            weights=first.output,
            test=str(folder / "test.npz"),
        )
    )
    assert training.top1 is not None
    assert training.top1 > 0.9
    network = sources.load(str(training.output))
    prepared = prepare(network.module, network.inputs)
    assert {"relu", "linear"} < prepared.learned.keys()
    assert prepared.learned["relu"].low == 0.0


def test_an_interrupted_training_goes_on(folder: Path) -> None:
    def interrupt(progress: Progress) -> None:
        if progress.ends_epoch:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt, match=r"go on from .*weights\.safetensors\.checkpoint"):
        train_network(**arguments(folder, on_progress=interrupt))
    assert not (folder / "weights.safetensors").exists()
    training = train_network(**arguments(folder))
    assert training.resumed_at == 10
    whole = train_network(**arguments(folder, output=folder / "whole.safetensors"))
    assert training.history == whole.history
    assert (folder / "weights.safetensors").read_bytes() == whole.output.read_bytes()


def test_the_zoos_networks_begin_with_weights_that_train(folder: Path) -> None:
    random = np.random.default_rng(0)
    np.savez(
        folder / "small.npz",
        x=random.standard_normal((8, 3, 32, 32)).astype(np.float32),
        y=np.arange(8) % 2,
    )
    training = train_network(
        "shufflenet_v2_x0_5:num_classes=2,stem_stride=1",
        folder / "zoo.safetensors",
        data=str(folder / "small.npz"),
        settings=Settings(epochs=1, batch=4),
        input_shapes=((1, 3, 32, 32),),
    )
    # Fresh batch normalizations scale by 1, and one step changes that by little.
    from safetensors.torch import load_file

    assert (load_file(training.output)["conv1.1.weight"] - 1).abs().max() < 0.1


@pytest.mark.parametrize(
    ("changed", "error", "message"),
    [
        ({"output": Path("weights.pt")}, UsageError, "should end in .safetensors"),
        ({"quantize": True}, UsageError, "should end in .pt2"),
        ({"data": "unlabelled.npz"}, DataError, "has no labels, and training needs them"),
        ({"spec": "net.py:build:classes=2"}, UsageError, "has 3 classes and the network answers"),
    ],
)
def test_what_cannot_be_trained_is_refused(
    changed: dict[str, Any],
    error: type[Exception],
    message: str,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(folder)
    with pytest.raises(error, match=message):
        train_network(**arguments(folder, **changed))


def test_the_command_trains_and_says_so(folder: Path, groundspeed: Callable[..., Any]) -> None:
    options = ["net.py:build", "--input-shape", "1,1,8,8", "--data", "train.npz", "--epochs", "2"]
    options += ["--batch", "20", "-o", "weights.safetensors", "--test", "test.npz"]
    done = groundspeed("train", *options, "--json", cwd=folder)
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert (folder / answer["output"]).is_file()
    assert len(answer["history"]) == 2
    assert 0 <= answer["top1"] <= 1
    assert "epoch 2 of 2: loss" in done.stderr
