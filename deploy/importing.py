"""The user's own Python: a callable named by file or module, its arguments, and its failures."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from groundspeed.errors import GroundspeedError, SourceError


def split_arguments(spec: str) -> tuple[str, dict[str, Any]]:
    """Return ``spec`` without its arguments, and the arguments: ``NAME:width=0.5,depth=3``.

    Raises:
        SourceError: what stands behind the last colon has an equals sign and is no argument.
    """
    head, _, tail = spec.rpartition(":")
    if not head or "=" not in tail:
        return spec, {}
    arguments = {}
    for item in tail.split(","):
        key, equals, text = item.partition("=")
        if not equals or not key.isidentifier():
            raise SourceError(
                f"'{item}' in '{spec}' is no argument; write them as name=value, "
                "separated by commas"
            )
        try:
            arguments[key] = ast.literal_eval(text)
        except (ValueError, SyntaxError):
            arguments[key] = text
    return head, arguments


def user_callable(target: str, *, returns: str) -> Callable[..., Any]:
    """Import what ``path/to/file.py:name`` or ``package.module:name`` names.

    Args:
        target: where it is.
        returns: what it is expected to return, for the message ("a torch.nn.Module").

    Raises:
        SourceError: it is not there, it is not callable, or importing it failed.
    """
    place, _, attribute = target.rpartition(":")
    module = _import_file(Path(place)) if place.endswith(".py") else _import_module(place)
    found = getattr(module, attribute, None)
    if not callable(found):
        raise SourceError(
            f"{place} has no callable '{attribute}'; name a function or class that returns "
            f"{returns}"
        )
    return found  # type: ignore[no-any-return]


def call_user(call: Callable[[], Any], what: str) -> Any:
    """Run the user's code; its failure becomes one sentence with their file and line.

    Raises:
        SourceError: it raised an exception.
    """
    try:
        return call()
    except GroundspeedError:
        raise
    except Exception as error:
        frames = traceback.extract_tb(error.__traceback__)
        own = [frame for frame in frames if frame.filename != __file__] or list(frames)
        place = f"{own[-1].filename}:{own[-1].lineno}"
        raise SourceError(f"{what} failed at {place}: {type(error).__name__}: {error}") from error


def _import_file(path: Path) -> ModuleType:
    if not path.is_file():
        raise SourceError(f"there is no file {path}")
    specification = importlib.util.spec_from_file_location(f"_user_{path.stem}", path)
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    # Dataclasses and pickles in the user's file look their module up by name.
    sys.modules[module.__name__] = module
    folder = str(path.resolve().parent)
    if folder not in sys.path:
        sys.path.insert(0, folder)
    loader = specification.loader
    call_user(lambda: loader.exec_module(module), str(path))
    return module


def _import_module(name: str) -> ModuleType:
    try:
        found = importlib.util.find_spec(name)
    except (ImportError, ValueError):
        found = None
    if found is None:
        raise SourceError(
            f"there is no module '{name}' to import here; for a file write path/to/file.py:callable"
        )
    module = call_user(lambda: importlib.import_module(name), name)
    assert isinstance(module, ModuleType)
    return module
