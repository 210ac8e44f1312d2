"""Other versions of packages: named exactly, found first, beside what is installed."""

from __future__ import annotations

import subprocess
import sys

import pytest

from groundspeed.deploy import packages
from groundspeed.errors import UsageError


def test_a_requirement_is_a_name_and_a_version() -> None:
    assert packages.name_and_version("onnxruntime==1.31.0") == ("onnxruntime", "1.31.0")
    assert packages.name_and_version(" AI_Edge_LiteRT==2.2.0 ") == ("ai-edge-litert", "2.2.0")


@pytest.mark.parametrize(
    "text", ["onnxruntime", "onnxruntime>=1.31", "onnxruntime==", "-r file", "a==1; os_name", ""]
)
def test_what_could_not_be_made_again_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="names no package in an exact version"):
        packages.name_and_version(text)


def test_a_process_finds_them_first_and_all_else_as_before() -> None:
    # A package without anything compiled, which is installed here in another version.
    variables = packages.environment(["colorama==0.4.5"])
    look = "import colorama, groundspeed, numpy; print(colorama.__version__)"
    said = subprocess.run(
        [sys.executable, "-P", "-c", look], env=variables, capture_output=True, text=True
    )
    assert said.stdout.strip() == "0.4.5", said.stderr
    assert packages.fetched(["colorama==0.4.5"], pytest.fail).is_dir()  # not fetched again


def test_without_requirements_nothing_changes() -> None:
    assert packages.environment([]) is None
