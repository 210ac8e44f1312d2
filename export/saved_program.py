"""Check of a ``.pt2`` file before it is opened: does it hold data only?

``torch.export.load`` is not made for files of unknown origin: it unpickles weights that are marked
so, legacy files and custom objects, evaluates shape expressions, and calls functions by name. A
file that ``torch.export.save`` wrote for a network of fixed shapes needs none of that: its weights
are raw bytes, its graph is JSON that calls aten ops. Such a file passes, any other is refused.
"""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch._ops import OpOverload

from groundspeed.errors import SourceError

# Members of the archive that are read as raw bytes or text, tensors, and JSON.
_RAW = re.compile(r"/data/(weights/weight_\d+|constants/tensor_\d+)$")
_INPUTS = re.compile(r"/data/sample_inputs/[^/]+\.pt$")
_PAYLOADS = re.compile(r"/data/(weights|constants)/[^/]+_config\.json$")
_GRAPH = re.compile(r"/models/[^/]+\.json$")
_MARKS = re.compile(
    r"/(archive_format|archive_version|byteorder|extra/.+|\.data/(version|serialization_id))$"
)
_ATEN = re.compile(r"torch\.ops\.aten\.([A-Za-z]\w*)\.([A-Za-z]\w*)")
_PYTHON = ("_operator.getitem",)


def check_is_data(path: Path) -> None:
    """Raise unless the program in ``path`` can be opened without running code that it brings.

    Raises:
        SourceError: it is no such file, or damaged, or it needs more than data.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()
            if damaged:
                raise SourceError(
                    f"{path} is damaged: '{damaged}' in it has changed; save it again"
                )
            names = archive.namelist()
            if len(set(names)) < len(names):
                raise _refused(path, "two members of it have the same name")
            for name in names:
                _check_member(path, archive, name)
    except (zipfile.BadZipFile, OSError, ValueError, KeyError) as error:
        raise SourceError(
            f"{path} is no program that torch.export.save wrote, or was cut short ({error}); "
            "save it again"
        ) from error


def _check_member(path: Path, archive: zipfile.ZipFile, name: str) -> None:
    if _RAW.search(name) or _MARKS.search(name):
        return
    if _PAYLOADS.search(name):
        for key, payload in json.loads(archive.read(name))["config"].items():
            if payload["use_pickle"] or not payload["path_name"].startswith(("weight_", "tensor_")):
                raise _refused(path, f"'{key}' is a pickled object")
    elif _INPUTS.search(name):
        _check_inputs(path, archive, name)
    elif _GRAPH.search(name):
        _check_graph(path, json.loads(archive.read(name)))
    else:
        raise _refused(path, f"it holds '{name}'")


def _check_inputs(path: Path, archive: zipfile.ZipFile, name: str) -> None:
    with archive.open(name) as file:
        try:
            torch.load(file, weights_only=True)
        except Exception as error:
            raise _refused(path, f"its example inputs are more than tensors ({error})") from error


def _check_graph(path: Path, graph: dict[str, Any]) -> None:
    if graph.get("guards_code"):
        raise _refused(path, "it brings checks of its inputs as Python code")
    for key, value in _items(graph):
        if key == "expr_str":
            raise _refused(path, f"its shapes are expressions ('{value}'); save it with fixed ones")
        if key == "target" and isinstance(value, str) and not _is_known(value):
            raise _refused(path, f"it calls '{value}'")


def _items(value: Any) -> Iterator[tuple[str, Any]]:
    """Yield every key and value in nested JSON."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield key, item
            yield from _items(item)
    elif isinstance(value, list):
        for item in value:
            yield from _items(item)


def _is_known(target: str) -> bool:
    """Whether ``target`` names one of torch's own ops, and nothing else that torch can reach."""
    if target in _PYTHON:
        return True
    match = _ATEN.fullmatch(target)
    if match is None or match[1] == "from_file":
        return False
    packet = getattr(torch.ops.aten, match[1], None)
    return isinstance(getattr(packet, match[2], None), OpOverload)


def _refused(path: Path, reason: str) -> SourceError:
    return SourceError(
        f"{path} is not opened, since that could run code that it brings: {reason}; give the "
        "network's Python source instead (file.py:callable)"
    )
