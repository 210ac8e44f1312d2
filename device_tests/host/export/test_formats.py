"""The table of formats: importable without torch, and every name it knows leads somewhere."""

import subprocess
import sys

import pytest

from groundspeed.errors import UnknownName, UsageError
from groundspeed.export.formats import FORMATS, check_precisions, format_for, runtime_of
from groundspeed.runtimes.catalog import RUNTIMES


def test_the_table_is_read_without_torch_or_a_converter():
    code = (
        "import sys, groundspeed.export.formats, groundspeed.export.writer;"
        "sys.exit(bool({'torch', 'onnx', 'ncnn', 'litert_torch'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-P", "-c", code], check=False).returncode == 0


def test_every_format_has_a_runtime_that_opens_it_and_back():
    for format in FORMATS:
        assert runtime_of(format) in RUNTIMES
        assert format_for(runtime_of(format)) == format


def test_precisions_that_are_known_pass():
    check_precisions(["onnx", "tflite", "ncnn"], ["fp32", "fp16"])


def test_an_unknown_precision_is_told_with_the_nearest():
    with pytest.raises(UsageError, match="no precision for onnx 'fp61'; did you mean fp16"):
        check_precisions(["onnx"], ["fp32", "fp61"])


@pytest.mark.parametrize("ask", [runtime_of, lambda name: check_precisions([name], ["fp32"])])
def test_an_unknown_format_is_told_with_the_nearest(ask):
    with pytest.raises(UnknownName, match="no format 'onx'; did you mean onnx"):
        ask("onx")


def test_a_runtime_without_a_format_is_told():
    with pytest.raises(UnknownName, match="no runtime 'tensorrt'"):
        format_for("tensorrt")
