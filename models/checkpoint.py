"""The state of a training in a file, written whole or not at all, and read without running code."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from groundspeed.documents import write_atomically
from groundspeed.errors import SourceError, UsageError


@dataclass(frozen=True, kw_only=True)
class Epoch:
    """What one epoch gave, on augmented images and in training mode.

    Attributes:
        loss: its mean over the steps.
        accuracy: share of the images that were classified right when they were seen.
    """

    loss: float
    accuracy: float


@dataclass
class State:
    """All that the rest of a training depends on, beside torch's global generator.

    Attributes:
        network: what is trained.
        optimizer: its optimizer.
        schedule: the schedule of the learning rate.
        step: steps done.
        loss_sum: sum of the losses of this epoch's steps.
        right: this epoch's images that were classified right.
        history: epochs done.
    """

    network: nn.Module
    optimizer: Optimizer
    schedule: LRScheduler
    step: int = 0
    loss_sum: float = 0.0
    right: int = 0
    history: list[Epoch] = field(default_factory=list)


def save(state: State, path: Path, identity: Mapping[str, Any]) -> None:
    """Write a state, with the state of torch's global generator.

    Args:
        state: what to keep.
        path: the file.
        identity: what must be equal for a training to go on from here.
    """
    buffer = io.BytesIO()
    content = {
        "identity": dict(identity),
        "network": state.network.state_dict(),
        "optimizer": state.optimizer.state_dict(),
        "schedule": state.schedule.state_dict(),
        "random": torch.get_rng_state(),
        "step": state.step,
        "loss_sum": state.loss_sum,
        "right": state.right,
        "history": [asdict(epoch) for epoch in state.history],
    }
    torch.save(content, buffer)
    write_atomically(path, buffer.getvalue())


def restore(state: State, path: Path, identity: Mapping[str, Any]) -> None:
    """Set a state, and torch's global generator, to what a file holds.

    Raises:
        SourceError: the file is damaged, holds code, or is of another network.
        UsageError: its identity is another one.
    """
    content = _read(path)
    _check_identity(content["identity"], identity, path)
    try:
        state.network.load_state_dict(content["network"])
    except RuntimeError as error:
        raise SourceError(
            f"the checkpoint {path} is of another network; delete it to begin anew"
        ) from error
    state.optimizer.load_state_dict(content["optimizer"])
    state.schedule.load_state_dict(content["schedule"])
    torch.set_rng_state(content["random"])
    state.step, state.loss_sum = content["step"], content["loss_sum"]
    state.right = content["right"]
    state.history = [Epoch(**epoch) for epoch in content["history"]]


def _read(path: Path) -> dict[str, Any]:
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged pickle fails in any way there is
        raise SourceError(
            f"the checkpoint {path} cannot be read: it is damaged, or holds code; delete it to "
            "begin anew"
        ) from error
    if not isinstance(content, dict) or "identity" not in content:
        raise SourceError(f"{path} is no checkpoint of a training; name another file")
    return content


def _check_identity(kept: Mapping[str, Any], wanted: Mapping[str, Any], path: Path) -> None:
    different = [
        f"{key} {kept.get(key)}, not {value}"
        for key, value in wanted.items()
        if kept.get(key) != value
    ]
    if different:
        raise UsageError(
            f"the checkpoint {path} is of a training with {'; '.join(different)}; ask for the "
            "same, or delete it to begin anew"
        )
