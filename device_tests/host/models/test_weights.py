"""Weights load from torchvision's and others' files, whole or not at all, and never as code."""

from __future__ import annotations

import os
import pickle
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from groundspeed.errors import SourceError
from groundspeed.models import zoo
from groundspeed.models.initialization import initialize
from groundspeed.models.weights import load_weights

# Networks that torchvision knows by another name, with an option.
OPTIONS = {"mobilenet_v2_x0_5": ("mobilenet_v2", {"width_mult": 0.5})}
OF_TORCHVISION = [
    name
    for name in zoo.names()
    if not name.endswith("_paper") and zoo.family_of(name) not in ("mobilenet_v1", "shufflenet_v1")
]


def tiny() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 4, 1, bias=False), nn.BatchNorm2d(4))


def load(content: object, folder: Path) -> nn.Module:
    path = folder / "weights.pt"
    torch.save(content, path)
    network = tiny()
    load_weights(network, path)
    return network


def equal(one: nn.Module, other: nn.Module) -> bool:
    pairs = zip(one.state_dict().values(), other.state_dict().values(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


@pytest.mark.parametrize("name", OF_TORCHVISION)
def test_torchvisions_weights_give_torchvisions_outputs(
    name: str, torchvision_models: ModuleType, tmp_path: Path
) -> None:
    torch.manual_seed(0)
    known_as, options = OPTIONS.get(name, (name, {}))
    theirs = torchvision_models.get_model(known_as, weights=None, num_classes=100, **options).eval()
    initialize(theirs, (1, 3, 64, 64))
    torch.save(theirs.state_dict(), tmp_path / "weights.pth")
    ours = zoo.create(name, num_classes=100)
    load_weights(ours, tmp_path / "weights.pth")
    images = torch.randn(2, 3, 96, 96)
    with torch.no_grad():
        torch.testing.assert_close(ours(images), theirs(images), rtol=1e-5, atol=1e-5)


def test_safetensors_load(tmp_path: Path) -> None:
    source, network = tiny(), tiny()
    save_file(source.state_dict(), tmp_path / "weights.safetensors")
    load_weights(network, tmp_path / "weights.safetensors")
    assert equal(network, source)


def test_a_checkpoint_of_data_parallel_training_loads(tmp_path: Path) -> None:
    source = tiny()
    state = {f"module.{name}": value for name, value in source.state_dict().items()}
    assert equal(load({"state_dict": state, "epoch": 90}, tmp_path), source)


def test_a_file_from_before_batches_were_counted_loads(tmp_path: Path) -> None:
    source = tiny()
    state = source.state_dict()
    del state["1.num_batches_tracked"]
    assert equal(load(state, tmp_path), source)


def test_names_that_do_not_fit_are_listed_with_their_number(tmp_path: Path) -> None:
    state = {f"layer{i}.weight": torch.zeros(1) for i in range(5)}
    with pytest.raises(SourceError) as caught:
        load(state, tmp_path)
    message = str(caught.value)
    assert "5 missing: 0.weight, 1.bias, 1.running_mean, ..." in message
    assert "5 unexpected: layer0.weight, layer1.weight, layer2.weight, ..." in message


def test_shapes_that_do_not_fit_are_listed_and_nothing_is_loaded(tmp_path: Path) -> None:
    network = tiny()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    torch.save({**tiny().state_dict(), "0.weight": torch.zeros(4, 5, 1, 1)}, tmp_path / "w.pt")
    with pytest.raises(
        SourceError, match=r"1 of another shape: 0\.weight \(4x5x1x1, the network has 4x3x1x1\)"
    ):
        load_weights(network, tmp_path / "w.pt")
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([1, 2], "holds list, no state dict"),
        ({}, "holds dict, no state dict"),
        ({"epoch": 3}, "its entry 'epoch' is of type int"),
        (torch.zeros(3), "holds Tensor, no state dict"),
    ],
)
def test_what_is_no_state_dict_is_refused(content: object, message: str, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=message):
        load(content, tmp_path)


class Malicious:
    """What an attacker would pickle: unpickling it runs a command."""

    def __init__(self, evidence: Path) -> None:
        self.evidence = evidence

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {self.evidence}",)


def test_code_in_a_file_is_named_and_not_run(tmp_path: Path) -> None:
    evidence = tmp_path / "ran"
    with pytest.raises(SourceError, match=r"wants to run code \(posix\.system\)"):
        load({**tiny().state_dict(), "extra": Malicious(evidence)}, tmp_path)
    assert not evidence.exists()


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_code_in_a_bare_pickle_is_not_run(protocol: int, tmp_path: Path) -> None:
    evidence, path = tmp_path / "ran", tmp_path / "weights.pt"
    path.write_bytes(pickle.dumps(Malicious(evidence), protocol=protocol))
    with pytest.raises(SourceError):
        load_weights(tiny(), path)
    assert not evidence.exists()


def test_a_whole_pickled_network_is_refused_with_the_way_out(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"save torch\.save\(network\.state_dict\(\), \.\.\.\)"):
        load(tiny(), tmp_path)


@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
@pytest.mark.parametrize("kept", [0, 7, 200, -50])
def test_a_truncated_file_is_refused(suffix: str, kept: int, tmp_path: Path) -> None:
    path = tmp_path / f"weights{suffix}"
    (save_file if suffix == ".safetensors" else torch.save)(tiny().state_dict(), path)
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(SourceError, match=str(path)):
        load_weights(tiny(), path)


@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
@pytest.mark.parametrize("text", ["hello, I am no model", "<html>404</html>"])
def test_another_kind_of_file_is_refused(suffix: str, text: str, tmp_path: Path) -> None:
    path = tmp_path / f"weights{suffix}"
    path.write_text(text)
    with pytest.raises(SourceError, match=str(path)):
        load_weights(tiny(), path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="there is no file"):
        load_weights(tiny(), tmp_path / "nowhere.pt")
