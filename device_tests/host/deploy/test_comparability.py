"""Which launches may be compared: what stays put decides, what varies by itself does not."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest

from groundspeed.artifact import Artifact
from groundspeed.deploy.comparability import differences, digest, key
from groundspeed.deploy.targets.local import LocalTarget
from groundspeed.measurement import Conditions, Job, Launch, Options


@pytest.fixture
def launch(fake_target: LocalTarget) -> Launch:
    return fake_target.run(Job(action="measure", runtime="ncnn"))


def test_clocks_temperatures_load_and_times_do_not_matter(
    launch: Launch, make_artifact: Callable[..., Artifact]
) -> None:
    manifest = make_artifact().manifest
    hot = Conditions(at="later", frequencies_hz={"0": 1e9}, temperatures_c={"cpu": 90.0}, load=7.0)
    other = dataclasses.replace(launch, before=hot, after=hot, samples_ns=(1,), load_ns=99)
    assert digest(key(other, manifest)) == digest(key(launch, manifest))


@pytest.mark.parametrize(
    "change",
    [
        {"runtime_version": "2"},
        {"runtime_build": "with AVX-512"},
        {"options": Options(threads=2)},
        {"options": Options(precision="fp16")},
        {"cpus_granted": (0,)},
        {"agent_version": "another"},
    ],
)
def test_what_decides_a_latency_tells_launches_apart(
    launch: Launch, make_artifact: Callable[..., Artifact], change: dict[str, Any]
) -> None:
    manifest = make_artifact().manifest
    old, new = key(launch, manifest), key(dataclasses.replace(launch, **change), manifest)
    assert digest(old) != digest(new)
    assert " was " in differences(old, new)


def test_another_governor_or_input_shape_tells_launches_apart(
    launch: Launch, make_artifact: Callable[..., Artifact]
) -> None:
    manifest = make_artifact().manifest
    machine = dataclasses.replace(launch.machine, governor="powersave")
    saving = dataclasses.replace(launch, machine=machine)
    wide = dataclasses.replace(manifest.inputs[0], shape=(1, 3, 16, 16))
    wider = dataclasses.replace(manifest, inputs=(wide,))
    keys = [key(launch, manifest), key(saving, manifest), key(launch, wider)]
    assert len({digest(one) for one in keys}) == 3
