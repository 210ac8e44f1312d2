"""The room travels to devices: nothing heavy may be imported on the way."""

import importlib.util
import pkgutil
import subprocess
import sys

import pytest

from groundspeed import runtimes

BLOCKED = ("torch", "onnx", "sqlalchemy", "click", "rich", "psutil", "scipy")
MODULES = [module.name for module in pkgutil.iter_modules(runtimes.__path__)]
ENGINES = {"on_onnxruntime": "onnxruntime", "on_litert": "ai_edge_litert", "on_ncnn": "ncnn"}


@pytest.mark.parametrize("name", MODULES)
def test_a_module_of_the_room_needs_only_its_engine(name: str) -> None:
    if name in ENGINES and importlib.util.find_spec(ENGINES[name]) is None:
        pytest.skip(f"{ENGINES[name]} is not installed")
    others = [engine for module, engine in ENGINES.items() if module != name]
    engines = others if name in ENGINES else []
    code = (
        f"import sys; sys.modules.update(dict.fromkeys({[*BLOCKED, *engines]!r})); "
        f"import groundspeed.runtimes.{name}"
    )
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
