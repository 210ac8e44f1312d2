"""A campaign from nothing: devices, a file to measure, an adb server of its own."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from device_tests.campaign.audit import ROUNDS, Findings
from device_tests.campaign.campaign import Campaign
from device_tests.campaign.farm import farm
from device_tests.host.stand_ins.adb import own_adb_server


def campaign(
    folder: Path, *, jobs: int, boards: int, at_once: int, every_s: float, seed: int
) -> Findings:
    """Make a campaign.

    Args:
        folder: an empty folder for everything.
        jobs: how many launches.
        boards: how many boards there are beside one phone.
        at_once: commands that run at the same time.
        every_s: seconds from one fault to the next, about.
        seed: of faults and their moments.
    """
    adb = folder / "adb"
    adb.mkdir()
    with own_adb_server(adb), farm(folder, boards) as (made, phone):
        project = folder / "project"
        for number in range(-(-jobs // ROUNDS)):
            _network(project / f"net{number}.onnx", number)
        environment = {**os.environ, "PATH": f"{folder / 'bin'}:{os.environ['PATH']}"}
        commands = Campaign(made, phone, project, environment, seed)
        return commands.run(jobs, at_once=at_once, every_s=every_s)


def _network(path: Path, number: int) -> None:
    """Write a network that no other command has, so that no two commands share a run."""
    shift = numpy_helper.from_array(np.array(number, np.float32), "shift")
    node = helper.make_node("Add", ["x", "shift"], ["y"])
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 3, 8, 8]) for name in "xy"]
    graph = helper.make_graph([node], path.stem, ends[:1], ends[1:], [shift])
    opset = [helper.make_opsetid("", 18)]
    onnx.save(helper.make_model(graph, ir_version=10, opset_imports=opset), path)
