"""Engines for boards: what is said where there are none."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from groundspeed.deploy.agents.native import has_native_agent
from groundspeed.deploy.agents.wheels import bundle_for
from groundspeed.deploy.devices.state import State
from groundspeed.errors import DeviceRefused

# What pip prints for a 32-bit ARM board.
PIP = """#!/bin/sh
cat >&2 <<END
ERROR: Could not find a version that satisfies the requirement numpy<3,>=1.26 (from versions: none)
ERROR: No matching distribution found for numpy<3,>=1.26
END
exit 1
"""


def board(architecture: str) -> State:
    return State(
        name="pi",
        architecture=architecture,
        system="Linux",
        capacities={},
        parts={},
        temperatures_c={},
        cooling={},
        python="3.11.2",
        glibc_minor=36,
    )


def refusal(
    architecture: str, runtimes: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> str:
    pip = tmp_path / "pip"
    pip.write_text(PIP)
    pip.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(pip))
    with pytest.raises(DeviceRefused) as refused:
        bundle_for(board(architecture), runtimes, tmp_path, lambda sentence: None, name="pi")
    return str(refused.value)


def test_a_32_bit_board_is_told_what_the_native_agent_can_do_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = refusal("armv7l", ["onnxruntime", "litert", "ncnn"], tmp_path, monkeypatch)
    assert "the package index has no wheel of numpy for it" in said
    assert 'let the native agent measure ncnn (agent = "native" in groundspeed.toml)' in said
    assert said.endswith("for onnxruntime, litert there is no native agent either")


def test_a_board_that_no_agent_fits_is_told_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = refusal("riscv64", ["ncnn"], tmp_path, monkeypatch)
    assert said.endswith("measure on another device; for ncnn there is no native agent either")


def test_64_bit_boards_have_every_native_agent() -> None:
    for runtime in ("onnxruntime", "litert", "ncnn"):
        assert has_native_agent(runtime, "aarch64")
    assert not has_native_agent("tvm", "aarch64")
