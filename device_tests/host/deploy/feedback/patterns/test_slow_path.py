"""Ways in which runtimes are slow at something, by what they execute."""

from __future__ import annotations

import dataclasses

import ncnn
import pytest
import torch
from torch import nn

from device_tests.host.deploy.feedback.splice import called, inserted
from device_tests.host.deploy.feedback.stage import stage, takes
from groundspeed.deploy.feedback.detect import Detected, detect
from groundspeed.deploy.feedback.scene import Scene
from groundspeed.deploy.vocabulary import kind_of
from groundspeed.ops import Op, OpKind

IMAGE = torch.zeros(1, 3, 16, 16)


def network() -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(3, 16, 3, padding=1),
        nn.Sigmoid(),
        nn.Conv2d(16, 16, 3, padding=1),
        nn.SiLU(),
        nn.Conv2d(16, 16, 3, padding=1),
    )


def found(scene: Scene) -> Detected:
    (one,) = detect(scene, ["slow path"])
    return one


@pytest.mark.parametrize("runtime", ["onnxruntime", "litert", "ncnn"])
def test_what_every_runtime_has_a_kernel_for_is_not_slow(runtime: str) -> None:
    words = {OpKind.CONVOLUTION: "Convolution (NHWC, F32) IGEMM", OpKind.ACTIVATION: "Sigmoid (NC)"}
    scene = called(stage(network(), IMAGE, runtime=runtime), lambda op: words.get(op.kind))
    assert detect(scene, ["slow path"]) == ()


def test_an_op_that_litert_computes_itself_can_be_left_out() -> None:
    def own(op: Op) -> str:
        return "LOGISTIC" if op.name == "sigmoid" else "Convolution (NHWC, F32) IGEMM"

    scene = called(stage(network(), IMAGE, runtime="litert"), own)
    one = found(scene)
    assert [place.module for place in one.finding.places] == ["1"]
    changed = one.pattern.change(scene, one.sightings)
    assert changed is not None
    assert "sigmoid" not in str(changed.after.module.graph)
    assert "silu" in str(changed.after.module.graph)


def test_a_plain_convolution_is_slow_only_beside_blocked_ones() -> None:
    scene = stage(network(), IMAGE)
    assert detect(scene, ["slow path"]) == ()
    ops = [
        dataclasses.replace(op, name=f"{op.name}_nchwc") if op.name != "conv2d_1" else op
        for op in scene.profile.ops
    ]
    profile = dataclasses.replace(scene.profile, ops=tuple(ops))
    some = dataclasses.replace(scene, profile=profile)
    assert [place.module for place in found(some).finding.places] == ["2"]


def test_a_slow_convolution_is_charged_by_what_the_others_would_take() -> None:
    def slow(op: Op) -> int:
        return takes(op) * (4 if op.name == "conv2d_1" else 1)

    scene = stage(network(), IMAGE, takes=slow)
    ops = [
        dataclasses.replace(op, name=f"{op.name}_nchwc") if op.name != "conv2d_1" else op
        for op in scene.profile.ops
    ]
    some = dataclasses.replace(scene, profile=dataclasses.replace(scene.profile, ops=tuple(ops)))
    (sighting,) = found(some).sightings
    ((share,),) = [tuple(sighting.charges.values())]
    assert share == pytest.approx(0.75, abs=0.05)


def test_a_part_of_an_op_is_found_with_the_op_that_it_is_a_part_of() -> None:
    scene = inserted(stage(network(), IMAGE), "conv2d_1", "Sigmoid", 5_000, inserted=False)
    one = found(scene)
    assert [place.ops for place in one.finding.places] == [("silu",)]
    assert one.finding.attributed.time.ns == pytest.approx(5_000)
    # Without the op, its other part would go as well: that is no measure of this one.
    assert one.pattern.change(scene, one.sightings) is None


def test_the_padding_of_a_pooling_is_found_in_litert() -> None:
    scene = inserted(stage(network(), IMAGE, runtime="litert"), "conv2d", "Constant Pad (ND, X32)")
    assert "pool without padding" in found(scene).finding.advice


@pytest.mark.parametrize("layer", ["Reduction", "InstanceNorm", "Softplus"])
def test_ncnn_says_itself_which_layers_take_no_packed_maps(layer: str) -> None:
    assert not ncnn.create_layer(layer).support_packing
    scene = stage(network(), IMAGE, runtime="ncnn")
    slow = called(scene, lambda op: layer if op.name == "sigmoid" else None)
    assert [place.module for place in found(slow).finding.places] == ["1"]


@pytest.mark.parametrize("layer", ["Convolution", "ConvolutionDepthWise", "Pooling", "Swish"])
def test_ncnn_packs_what_convolutional_networks_are_made_of(layer: str) -> None:
    assert ncnn.create_layer(layer).support_packing
    scene = stage(network(), IMAGE, runtime="ncnn")
    assert detect(called(scene, lambda op: layer), ["slow path"]) == ()
    assert kind_of(layer) is not OpKind.DATA_MOVEMENT
