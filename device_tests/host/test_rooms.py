"""Which room may import which, and how light each is."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROOMS = ("deploy", "export", "models", "runtimes")
HEAVY = ("torch", "onnx", "litert_torch", "jax", "scipy", "sqlalchemy", "plotly")

# room -> rooms and packages that its files may not import, anywhere.
FORBIDDEN = {
    "groundspeed": (*(f"groundspeed.{room}" for room in ROOMS), *HEAVY),
    "runtimes": ("groundspeed.deploy", "groundspeed.export", "groundspeed.models", *HEAVY),
    "models": ("groundspeed.deploy", "groundspeed.export", "groundspeed.runtimes", "onnx"),
    "export": ("groundspeed.deploy", "groundspeed.models"),
    "deploy": (),
}


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def files(room: str) -> list[Path]:
    folder = ROOT / room
    # groundspeed/ also holds the links to the rooms; only its own files are leaves.
    return sorted(folder.glob("*.py") if room == "groundspeed" else folder.rglob("*.py"))


@pytest.mark.parametrize("room", FORBIDDEN)
def test_no_arrow_points_the_wrong_way(room: str) -> None:
    wrong = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in files(room)
        if path.name != "__main__.py"
        for name in imports(path)
        for forbidden in FORBIDDEN[room]
        if name == forbidden or name.startswith(f"{forbidden}.")
    ]
    assert not wrong


def test_nobody_imports_deploy_but_deploy() -> None:
    for room in ROOMS[1:]:
        for path in files(room):
            assert not [name for name in imports(path) if name.startswith("groundspeed.deploy")]


@pytest.mark.parametrize(
    "statement",
    [
        "import groundspeed",
        "import groundspeed.deploy, groundspeed.export, groundspeed.models, groundspeed.runtimes",
        "import groundspeed.runtimes.agent",
        "from groundspeed.deploy.cli import main",
        "from groundspeed.deploy.cli.main import group; group(['--help'], standalone_mode=False)",
    ],
)
def test_a_light_import_is_light(statement: str) -> None:
    check = f"import sys; print(sorted(set({HEAVY!r}) & set(sys.modules)))"
    process = subprocess.run(
        [sys.executable, "-c", f"{statement}\n{check}"], capture_output=True, text=True, check=True
    )
    assert process.stdout.splitlines()[-1] == "[]"


def test_no_file_wraps_a_package_of_its_own_name() -> None:
    wrapped = {"onnx", "onnxruntime", "ncnn", "pnnx", "tflite", "torch", "litert", "plotly"}
    assert not [path for room in ROOMS for path in files(room) if path.stem in wrapped]
