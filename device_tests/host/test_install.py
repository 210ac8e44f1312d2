"""The light install, as a board or a CI host has it: wheel, runtimes, no torch."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def run(*command: str | Path, cwd: Path) -> str:
    # The suite's own checkout must not be what the fresh environment imports.
    environment = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "VIRTUAL_ENV")}
    process = subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, cwd=cwd, env=environment
    )
    assert process.returncode == 0, process.stderr[-3000:]
    return process.stdout


@pytest.fixture(scope="module")
def light(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh environment with the wheel and its runtimes; the path of its bin folder."""
    folder = tmp_path_factory.mktemp("light")
    wheels, checkout = folder / "wheels", folder / "checkout"
    # A build leaves its folder behind, and the next one takes deleted modules from there.
    ignored = shutil.ignore_patterns(".*", "build", "__pycache__", "groundspeed-results")
    shutil.copytree(ROOT, checkout, symlinks=True, ignore=ignored)
    run(sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", wheels, checkout, cwd=folder)
    (wheel,) = wheels.glob("groundspeed-*.whl")
    venv.create(folder / "venv", with_pip=True)
    binaries = folder / "venv" / "bin"
    constraints = ROOT / "constraints.txt"
    run(binaries / "pip", "install", "-q", "-c", constraints, f"{wheel}[runtimes]", cwd=folder)
    return binaries


def test_it_measures_without_torch(light: Path, tmp_path: Path) -> None:
    assert "torch" not in run(light / "pip", "list", cwd=tmp_path).lower().split()
    (tmp_path / "net.param").write_text(
        "7767517\n2 2\nInput in0 0 1 in0 0=8 1=8 2=3\nReLU relu 1 1 in0 out0\n"
    )
    (tmp_path / "net.bin").write_bytes(b"")
    result = run(light / "groundspeed", "bench", "net.param", "--json", cwd=tmp_path)
    (cell,) = json.loads(result)["cells"]
    assert cell["runtime"] == "ncnn"
    assert cell["launches"] >= 1


def test_every_module_that_it_needs_is_in_the_wheel(light: Path, tmp_path: Path) -> None:
    names = run(
        light / "python",
        "-c",
        "import pkgutil, groundspeed;"
        "print(*(m.name for m in pkgutil.walk_packages(groundspeed.__path__, 'groundspeed.')))",
        cwd=tmp_path,
    ).split()
    modules = {
        ".".join(("groundspeed", *path.relative_to(ROOT).with_suffix("").parts))
        for room in ("deploy", "export", "models", "runtimes")
        for path in (ROOT / room).rglob("*.py")
        if path.name != "__init__.py"
    }
    assert modules <= set(names)


def test_what_needs_an_extra_says_which(light: Path, tmp_path: Path) -> None:
    process = subprocess.run(
        [light / "groundspeed", "run", "squeezenet1_1"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert process.returncode == 2
    assert "pip install 'groundspeed[" in process.stderr
    assert "Traceback" not in process.stderr
