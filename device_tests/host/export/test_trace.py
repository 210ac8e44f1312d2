"""Networks become graphs, or one clear sentence; saved programs open only if they are data."""

import io
import json
import os
import pickle
import re
import zipfile

import pytest
import torch
from torch import nn

from groundspeed.errors import ExportError, InputError, SourceError
from groundspeed.export.graph import module_path
from groundspeed.export.trace import load_program, trace


class Branching(nn.Module):
    def forward(self, x):
        if x.sum() > 0:
            return x + 1
        return x


@pytest.fixture
def saved(tmp_path):
    module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU())
    path = tmp_path / "network.pt2"
    torch.export.save(trace(module, (torch.randn(1, 3, 8, 8),)), path)
    return path


def rewritten(path, change):
    """Copy an archive with every member passed through ``change(name, data)``; None drops it."""
    target = path.with_name("changed.pt2")
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(target, "w") as new:
        for name in old.namelist():
            data = change(name, old.read(name))
            if data is not None:
                new.writestr(name, data)
    return target


def test_nodes_know_their_module_and_dropout_is_off():
    module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Sequential(nn.ReLU(), nn.Dropout())).train()
    program = trace(module, (torch.ones(1, 3, 8, 8),))
    paths = {n.name: module_path(n) for n in program.graph.nodes if n.op == "call_function"}
    assert paths["conv2d"] == "0"
    assert paths["relu"] == "1.0"
    assert not module.training


def test_wrong_input_shape_is_about_the_input():
    with pytest.raises(InputError, match="does not run on inputs of 1x4x8x8"):
        trace(nn.Conv2d(3, 4, 3), (torch.randn(1, 4, 8, 8),))


def test_control_flow_on_values_names_the_users_line():
    with pytest.raises(ExportError, match=r"Branching cannot be traced at .*test_trace\.py:\d+"):
        trace(Branching(), (torch.randn(3),))


def test_saved_program_comes_back(saved):
    program = load_program(saved)
    x = torch.randn(1, 3, 8, 8)
    assert program.module()(x).shape == (1, 4, 6, 6)


@pytest.mark.parametrize("keep", [0, 100, 3000])
def test_truncated_file(saved, keep):
    saved.write_bytes(saved.read_bytes()[:keep])
    with pytest.raises(SourceError, match="cut short"):
        load_program(saved)


def test_missing_file(tmp_path):
    with pytest.raises(SourceError, match="there is no file"):
        load_program(tmp_path / "nothing.pt2")


class Evil:
    def __init__(self, witness):
        self.witness = witness

    def __reduce__(self):
        return os.mkdir, (str(self.witness),)


def test_pickle_in_the_example_inputs_is_not_run(saved, tmp_path):
    witness = tmp_path / "witness"
    buffer = io.BytesIO()
    torch.save(Evil(witness), buffer)
    swap = lambda name, data: buffer.getvalue() if "sample_inputs" in name else data  # noqa: E731
    with pytest.raises(SourceError, match="could run code"):
        load_program(rewritten(saved, swap))
    assert not witness.exists()


def test_weight_marked_as_pickle_is_not_run(saved, tmp_path):
    witness = tmp_path / "witness"

    def swap(name, data):
        if name.endswith("weights_config.json"):
            config = json.loads(data)
            config["config"]["0.weight"]["use_pickle"] = True
            return json.dumps(config)
        return pickle.dumps(Evil(witness)) if name.endswith("weight_0") else data

    with pytest.raises(SourceError, match=r"'0\.weight' is a pickled object"):
        load_program(rewritten(saved, swap))
    assert not witness.exists()


@pytest.mark.parametrize(
    "target", ["torch.os.system", "torch.ops.load_library", "torch.ops.aten.from_file.default"]
)
def test_call_of_anything_but_an_op_is_refused(saved, target):
    swap = lambda name, data: data.replace(b"torch.ops.aten.relu.default", target.encode())  # noqa: E731
    with pytest.raises(SourceError, match=f"it calls '{re.escape(target)}'"):
        load_program(rewritten(saved, swap))


def test_shape_expression_is_refused(saved):
    expression = b'"as_expr": {"expr_str": "__import__(\'os\').getcwd()", "hint": {"as_int": 4}}'
    swap = lambda name, data: data.replace(b'"as_int": 4', expression, 1)  # noqa: E731
    with pytest.raises(SourceError, match="expressions"):
        load_program(rewritten(saved, lambda n, d: swap(n, d) if "/models/" in n else d))
