"""Integers as a user asks for them: one calibration, all formats, and what is refused."""

import json

import pytest

from groundspeed.artifact import Artifact
from groundspeed.quantization import DEFAULT_OBSERVER

NETWORK = """
import numpy as np
import torch
from torch import nn


def build():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 16, 3, stride=2, padding=1),
        nn.BatchNorm2d(16),
        nn.ReLU(),
        nn.Conv2d(16, 16, 3, padding=1, groups=16),
        nn.ReLU6(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(16, 10),
    )


def images():
    random = np.random.default_rng(0)
    return [random.standard_normal((3, 32, 32)).astype(np.float32) for _ in range(40)]


def dark():
    return [np.zeros((3, 32, 32), np.float32) for _ in range(40)]


def broken():
    return [np.full((3, 32, 32), np.nan, np.float32)]
"""
ONNX, TFLITE, NCNN = (f"network-{format}-int8" for format in ("onnx", "tflite", "ncnn"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("quantizing")
    (folder / "network.py").write_text(NETWORK)
    return folder


@pytest.fixture(scope="module")
def export(groundspeed, folder):
    """Return a function that exports the network as a user does."""

    def run(*arguments):
        return groundspeed(
            *("export", "network.py:build", "--input-shape", "1,3,32,32", *arguments), cwd=folder
        )

    return run


def test_one_calibration_serves_every_format(export, folder) -> None:
    done = export(
        *("--precision", "int8", "--data", "network.py:images", "--equalize", "--correct-bias"),
        *("-o", "artifacts", "--json"),
    )
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert answer["failures"] == []
    manifests = [Artifact.open(folder / each["folder"]).manifest for each in answer["artifacts"]]
    assert {each.format for each in manifests} == {"onnx", "tflite", "ncnn"}
    first = manifests[0].quantization
    assert first is not None
    assert first.calibration.samples == 40
    assert first.calibration.observer == DEFAULT_OBSERVER
    for manifest in manifests:
        assert manifest.quantization == first
        assert manifest.parity is not None
        assert manifest.parity.passed
        assert [loss.module for loss in manifest.losses] == ["0", "3", "7"]
        steps = {step.name: step for step in manifest.steps}
        assert any("simulated" in note for note in steps["equalize"].notes)
        assert any("simulated" in note for note in steps["correct_bias"].notes)
        assert "quantize" in steps


def test_weights_alone_need_no_data(export, folder) -> None:
    done = export("--to", "tflite", "--precision", "int8_weight_only", "-o", "weights", "--json")
    assert done.returncode == 0, done.stderr
    (made,) = json.loads(done.stdout)["artifacts"]
    manifest = Artifact.open(folder / made["folder"]).manifest
    assert manifest.precision == "int8_weight_only"
    assert manifest.inputs[0].dtype == "float32"


def test_layers_stay_float_by_the_name_of_their_module(export, folder) -> None:
    done = export(
        *("--to", "onnx", "--precision", "int8", "--data", "network.py:images"),
        *("--keep-float", "3", "-o", "kept", "--json"),
    )
    assert done.returncode == 0, done.stderr
    (made,) = json.loads(done.stdout)["artifacts"]
    quantization = Artifact.open(folder / made["folder"]).manifest.quantization
    assert set(quantization.float_ops.values()) == {"as asked for"}


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--precision", "int8"], "int8 needs data to calibrate on"),
        (["--precision", "int8", "--data", "nowhere"], "'nowhere' is no folder of images"),
        (["--precision", "int8", "--data", "network.py:broken"], "NaN"),
        (["--precision", "int4"], "there is no precision for onnx 'int4'"),
        (["--to", "ncnn", "--precision", "int8_dynamic"], "no precision for ncnn"),
        (
            ["--precision", "int8", "--data", "network.py:images", "--observer", "maxmin"],
            "no observer 'maxmin'",
        ),
        (
            ["--precision", "int8", "--data", "network.py:images", "--keep-float", "33"],
            "no layer '33'",
        ),
    ],
)
def test_what_cannot_be_done_is_told_before_anything_is_written(
    export, folder, arguments, sentence
) -> None:
    done = export(*arguments, "-o", "refused")
    assert done.returncode == 2
    assert sentence in " ".join(done.stderr.split())
    assert not (folder / "refused").exists()


def test_a_network_that_sees_only_zeros_is_still_written(export, folder) -> None:
    done = export(
        *("--to", "onnx", "--precision", "int8", "--data", "network.py:dark", "-o", "dark"),
        "--json",
    )
    assert done.returncode == 0, done.stderr
    (made,) = json.loads(done.stdout)["artifacts"]
    notes = Artifact.open(folder / made["folder"]).manifest.quantization.calibration.notes
    assert any("zero on every sample" in note for note in notes)
