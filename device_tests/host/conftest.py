"""Fixtures that several rooms' tests share."""

from __future__ import annotations

import importlib
from types import ModuleType

import pytest


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
