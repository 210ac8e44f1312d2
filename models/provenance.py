"""Where in the user's code a node of an exported graph comes from."""

from __future__ import annotations

import re
from pathlib import Path

import torch
from torch.export.graph_signature import ExportGraphSignature
from torch.fx import Node

_FRAME = re.compile(r'File "([^"<]+)", line (\d+)')
_TORCH = str(Path(torch.__file__).parent)
# A program may have been exported on another machine, where torch lay elsewhere.
_TORCH_ELSEWHERE = re.compile(r"[\\/](site|dist)-packages[\\/]torch[\\/]")


def module_of(node: Node, signature: ExportGraphSignature) -> str:
    """Return the dotted path of the innermost module that a node was traced in, "" for the root.

    Where a pass has made the node and recorded none, the module that owns its weights is taken.
    """
    stack = node.meta.get("nn_module_stack")
    if stack:
        path, _ = list(stack.values())[-1]
        # Older versions of torch write the root as L['self']; a module's second call ends in @1.
        return re.sub(r"^L\['self'\]\.?|@\d+$", "", path)
    owned = {**signature.inputs_to_parameters, **signature.inputs_to_buffers}
    for source in node.all_input_nodes:
        if source.name in owned:
            return owned[source.name].rpartition(".")[0]
    return ""


def source_line(node: Node) -> str:
    """Return ``file:line`` of the innermost frame that is not torch's own, "" when unknown."""
    frames = _FRAME.findall(node.meta.get("stack_trace") or "")
    own = [frame for frame in frames if not _is_torch(frame[0])]
    file, line = (own or frames or [("", "")])[-1]
    return f"{file}:{line}" if file else ""


def _is_torch(file: str) -> bool:
    return file.startswith(_TORCH) or bool(_TORCH_ELSEWHERE.search(file))
