"""Weights to a file and from one, without ever running what is in it.

A state dict of torchvision loads into the zoo's network of the same name as it is: the parameters
of those families bear torchvision's names. MobileNetV1, ShuffleNet V1 and the ``_paper`` networks
have no counterpart there.
"""

from __future__ import annotations

import pickle
import re
import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from groundspeed.documents import write_atomically
from groundspeed.errors import MissingExtra, SourceError

_SHOWN = 3  # names of each kind in a message; the count tells of the rest


def load_weights(module: nn.Module, path: Path) -> None:
    """Load a state dict into a network, all of it or nothing.

    The file is a ``.safetensors``, or what ``torch.save`` wrote (``.pt``, ``.pth``): a state dict,
    alone or as the entry "state_dict" of a checkpoint. The prefix "module." that data-parallel
    training leaves on every name is taken off.

    Raises:
        SourceError: the file is missing, damaged, holds no state dict or holds code, or its names
            or shapes are not the network's.
        MissingExtra: the package safetensors is needed and not installed.
    """
    if not path.is_file():
        raise SourceError(f"there is no file {path} to load weights from")
    content = _read_safetensors(path) if path.suffix == ".safetensors" else _read_torch(path)
    state = _state_dict(content, path)
    _check_fit(module.state_dict(), state, path)
    # Strict but for the batch counters, which only training reads and old files lack.
    module.load_state_dict(state, strict=False)


def save_weights(module: nn.Module, path: Path) -> None:
    """Write a network's state dict as a ``.safetensors`` file, whole or not at all.

    Raises:
        MissingExtra: the package safetensors is not installed.
    """
    try:
        from safetensors.torch import save
    except ModuleNotFoundError as error:
        raise _missing_safetensors("writing", path) from error
    # The format knows neither strides nor two names for one tensor, so each name gets a copy.
    state = {
        name: value.detach().clone(memory_format=torch.contiguous_format)
        for name, value in module.state_dict().items()
    }
    write_atomically(path, save(state))


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    try:
        from safetensors import SafetensorError
        from safetensors.torch import load_file
    except ModuleNotFoundError as error:
        raise _missing_safetensors("reading", path) from error
    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise SourceError(
            f"{path} is no whole .safetensors file ({error}); copy it anew"
        ) from error


def _missing_safetensors(doing: str, path: Path) -> MissingExtra:
    return MissingExtra(
        f"{doing} {path} needs the package safetensors: pip install 'groundspeed[models]'"
    )


def _read_torch(path: Path) -> Any:
    try:
        with warnings.catch_warnings():
            # A TorchScript archive is warned about and then refused: the refusal says enough.
            warnings.simplefilter("ignore", UserWarning)
            return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged pickle fails in any way there is
        refused = re.search(r"GLOBAL (\S+)", str(error))
        if isinstance(error, pickle.UnpicklingError) and refused:
            raise SourceError(
                f"{path} wants to run code ({refused[1]}), and was not read any further; where "
                "you trust it, save torch.save(network.state_dict(), ...) and load that"
            ) from error
        raise _damaged(path) from error


def _damaged(path: Path) -> SourceError:
    return SourceError(
        f"{path} cannot be read as weights: it is cut short, or torch.save did not write it; "
        "give a .pt, .pth or .safetensors file that holds a state dict"
    )


def _state_dict(content: Any, path: Path) -> dict[str, Tensor]:
    """Return the state dict in what a file holds, its names as the network has them."""
    if isinstance(content, Mapping) and isinstance(content.get("state_dict"), Mapping):
        content = content["state_dict"]
    if not isinstance(content, Mapping) or not content:
        raise SourceError(
            f"{path} holds {type(content).__name__}, no state dict; "
            "save one with torch.save(network.state_dict(), ...)"
        )
    for name, value in content.items():
        if not isinstance(name, str) or not isinstance(value, Tensor):
            raise SourceError(
                f"{path} holds no state dict: its entry {name!r} is of type "
                f"{type(value).__name__}; save one with torch.save(network.state_dict(), ...)"
            )
    state = dict(content)
    if all(name.startswith("module.") for name in state):
        state = {name.removeprefix("module."): value for name, value in state.items()}
    return state


def _check_fit(own: Mapping[str, Tensor], given: Mapping[str, Tensor], path: Path) -> None:
    """Raise unless names and shapes agree."""
    missing = [name for name in own.keys() - given.keys() if not _is_counter(name)]
    problems = [
        *_listed("missing", missing),
        *_listed("unexpected", given.keys() - own.keys()),
        *_listed(
            "of another shape",
            (
                f"{name} ({_shape(given[name])}, the network has {_shape(own[name])})"
                for name in own.keys() & given.keys()
                if own[name].shape != given[name].shape
            ),
        ),
    ]
    if problems:
        raise SourceError(
            f"{path} does not fit the network: {'; '.join(problems)}; "
            "load weights of this very network, built with the same options"
        )


def _is_counter(name: str) -> bool:
    return name.endswith("num_batches_tracked")


def _listed(problem: str, names: Iterable[str]) -> list[str]:
    found = sorted(names)
    if not found:
        return []
    shown = ", ".join(found[:_SHOWN]) + (", ..." if len(found) > _SHOWN else "")
    return [f"{len(found)} {problem}: {shown}"]


def _shape(tensor: Tensor) -> str:
    return "x".join(map(str, tensor.shape)) or "scalar"
