"""What must hold on every device, real or emulated, whatever the link and the agent.

A folder of tests derives from :class:`AnyDevice` and has the fixtures ``link`` and ``target``.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from device_tests.emulation.equality import check_equal, job
from groundspeed.artifact import Artifact
from groundspeed.deploy.devices.state import read_state
from groundspeed.deploy.evaluating import evaluate
from groundspeed.deploy.targets.cache import Cache
from groundspeed.deploy.targets.jobs import Holder, Jobs, new_id
from groundspeed.deploy.targets.link import Link
from groundspeed.deploy.targets.target import Target
from groundspeed.errors import DeviceRefused


def artifact(folder: Path, format: str, precision: str) -> Artifact:
    """Return one of the fixture's artifacts."""
    return Artifact.open(folder / f"tiny-{format}-{precision}")


class AnyDevice:
    """The tests; pytest collects those of the classes that derive from this one."""

    @pytest.mark.parametrize("precision", ["fp32", "int8"])
    @pytest.mark.parametrize("format", ["onnx", "tflite", "ncnn"])
    def test_a_file_computes_there_what_it_computes_here(
        self, target: Target, artifacts: Path, tmp_path: Path, format: str, precision: str
    ) -> None:
        check_equal(artifact(artifacts, format, precision), target, tmp_path)

    def test_a_file_is_as_right_there_as_it_is_here(
        self, target: Target, artifacts: Path, tmp_path: Path
    ) -> None:
        generator = np.random.default_rng(3)
        images = generator.standard_normal((5, 3, 32, 32)).astype(np.float32)
        np.savez(tmp_path / "samples.npz", x=images, y=np.zeros(5, np.int64))
        # Not ONNX, whose integers saturate here where this processor has no VNNI, and not there.
        files = {name: artifact(artifacts, "tflite", name) for name in ("fp32", "int8")}
        there = evaluate(files, str(tmp_path / "samples.npz"), target=target)
        here = evaluate(files, str(tmp_path / "samples.npz"))
        assert there.device == target.name
        assert there.rows[0].top1 == here.rows[0].top1
        assert there.rows[1].sqnr_db == pytest.approx(here.rows[1].sqnr_db, abs=3)

    def test_it_says_what_it_is(self, link: Link, target: Target) -> None:
        state = read_state(link)
        assert state.architecture
        assert len(state.cpus) >= 1
        assert target.facts().cpus >= len(state.cpus)
        assert target.facts().architecture == state.architecture

    def test_a_second_launch_pushes_nothing(
        self, target: Target, artifacts: Path, tmp_path: Path
    ) -> None:
        heard: list[str] = []
        for _ in range(2):
            heard.clear()
            target.run(job(artifact(artifacts, "ncnn", "fp32"), tmp_path, "out.npz"), heard.append)
        assert not [sentence for sentence in heard if sentence.startswith("pushing")]

    def test_a_push_arrives_whole_and_under_its_own_name(self, link: Link, tmp_path: Path) -> None:
        file = tmp_path / "weights; $(reboot).bin"
        file.write_bytes(os.urandom(3_000_000))
        there = Cache(link).ensure([file])[file]
        back = tmp_path / "back"
        link.pull(str(there), back, timeout_s=60)
        link.run('rm -rf "$1"', [str(there.parent)])
        assert there.name == file.name
        assert back.read_bytes() == file.read_bytes()

    def test_another_holders_job_is_refused_while_one_runs(self, link: Link) -> None:
        mine, theirs = Jobs(link, Holder(name="mine")), Jobs(link, Holder(name="theirs"))
        refused: list[DeviceRefused] = []

        def meanwhile(line: str) -> None:
            try:
                theirs.run(new_id(), ["true"], "", timeout_s=20, **_deaf)
            except DeviceRefused as error:
                refused.append(error)

        id = new_id()
        command = ["sh", "-c", "echo running; sleep 3"]
        mine.run(id, command, "", timeout_s=60, on_line=meanwhile, on_progress=print)
        mine.cancel(id)
        (error,) = refused
        assert "busy with a job of mine" in str(error)


_deaf = {"on_line": lambda line: None, "on_progress": lambda sentence: None}
