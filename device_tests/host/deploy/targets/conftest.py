"""Links to folders of this machine, in the shells and toolboxes that devices have."""

import importlib.util
import shutil
import sys
from pathlib import Path
from types import ModuleType

import pytest


def _beside(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


shell_link = _beside("shell_link")


@pytest.fixture(params=sorted(shell_link.TOOLBOXES))
def link(request: pytest.FixtureRequest, tmp_path: Path) -> "shell_link.ShellLink":
    shell, box = shell_link.TOOLBOXES[request.param]
    missing = [name for name in (shell, box) if name and shutil.which(name) is None]
    assert not missing, f"apt-get install {' '.join(missing)} ('./do test' does)"
    return shell_link.ShellLink(tmp_path, request.param)
