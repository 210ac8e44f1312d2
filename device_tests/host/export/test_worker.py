"""What the converting process does with writers that are wrong, and with files that are."""

import os

import pytest
import torch

from groundspeed.errors import ConverterFailed, ExportError
from groundspeed.export import worker
from groundspeed.export.worker import Request, carry_out
from groundspeed.export.writer import Written


class WritesNothing:
    def write(self, *arguments, **options):
        return Written(files=(), inputs=(), outputs=())


class FillsTheDisk:
    def write(self, *arguments, **options):
        with open("/dev/full", "wb", buffering=0) as file:  # noqa: PTH123
            file.write(b"weights")


class IsBroken:
    def write(self, *arguments, **options):
        raise FileNotFoundError("a tool that it needs")


class Table:
    """Stands in for the registry of formats."""

    def __init__(self, writer):
        self._writer = writer

    def load(self, name):
        return self._writer


@pytest.fixture
def request_to(tmp_path, small, monkeypatch):
    """Return a function that gives the request for a format that ``writer`` writes."""
    torch.export.save(small.program, tmp_path / "program.pt2")
    torch.export.save(small.traced, tmp_path / "reference.pt2")

    def make(writer, format="mine"):
        if writer is not None:
            monkeypatch.setattr(worker, "FORMATS", Table(writer))
        return Request(
            format=format,
            precision="fp32",
            layout=None,
            runtime="onnxruntime",
            program=tmp_path / "program.pt2",
            reference=tmp_path / "reference.pt2",
            folder=tmp_path,
            answer=tmp_path / "answer.json",
            parent=os.getppid(),
        )

    return make


def test_a_writer_that_writes_nothing_has_failed(request_to):
    with pytest.raises(ConverterFailed, match="writer of mine wrote no files"):
        carry_out(request_to(WritesNothing))


def test_a_full_disk_is_told_as_such(request_to):
    with pytest.raises(ExportError, match="no space left for mine files"):
        carry_out(request_to(FillsTheDisk))


def test_other_system_errors_are_bugs_and_keep_their_traceback(request_to):
    with pytest.raises(FileNotFoundError, match="a tool that it needs"):
        carry_out(request_to(IsBroken))


def test_a_good_file_is_checked_and_tied_to_the_network(request_to, small):
    answer = carry_out(request_to(None, format="onnx"))
    assert answer.parity.passed
    assert answer.tensors["conv2d"] == "conv2d"
    assert set(answer.tensors.values()) <= {node.name for node in small.program.graph.nodes}
