"""Fixtures that several rooms' tests share."""

from __future__ import annotations

import importlib
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

Groundspeed = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def groundspeed() -> Groundspeed:
    """Return a function that runs the command as a user does, who never sees a traceback."""

    def run(
        *arguments: str | Path, cwd: Path | None = None, timeout_s: float = 300
    ) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [sys.executable, "-m", "groundspeed", *map(str, arguments)],
            capture_output=True,
            text=True,
            cwd=cwd,
            timeout=timeout_s,
        )
        assert "Traceback" not in done.stderr
        return done

    return run


@pytest.fixture(scope="session")
def torchvision_models() -> ModuleType:
    """``torchvision.models``, an oracle, on a torch that lacks its compiled operators.

    The wheel's operators need CUDA, and torchvision describes two of them to torch while it is
    imported: so these two are declared first, without bodies. Nothing here calls them.
    """
    import torch

    operators = torch.library.Library("torchvision", "DEF")
    for name in ("nms", "qnms"):
        operators.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    models = importlib.import_module("torchvision.models")
    models.operators_kept_alive = operators  # type: ignore[attr-defined]
    return models
