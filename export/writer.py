"""What every writer of a format implements: one protocol, one file for each writer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from groundspeed.artifact import File, Step, TensorSpec

if TYPE_CHECKING:
    import torch
    from torch.fx import GraphModule

NCHW, NHWC = "NCHW", "NHWC"


@dataclass(frozen=True, kw_only=True)
class Written:
    """What a writer made.

    Attributes:
        files: every file that the runtime opens.
        inputs: in the order of the network's, under the names that the runtime shows.
        outputs: likewise.
        steps: what was done to the graph for this format, and by which package.
    """

    files: tuple[File, ...]
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    steps: tuple[Step, ...] = ()


class Writer(Protocol):
    """Writes the canonical graph in one format."""

    def write(
        self,
        graph_module: GraphModule,
        inputs: Sequence[torch.Tensor],
        folder: Path,
        *,
        precision: str,
        layout: str | None,
    ) -> Written:
        """Write the files of a network.

        Args:
            graph_module: the canonical graph with this format's rewrites done; the writer may
                change it.
            inputs: example inputs, in order, laid out as PyTorch does (NCHW).
            folder: where the files go; it exists and is empty.
            precision: "fp32" or "fp16".
            layout: "NCHW" or "NHWC" for image inputs, None for what suits the format.

        Raises:
            UnsupportedOp: the format has no way to say an op; the message names the op.
            ExportError: it cannot be written for another reason.
        """
        ...


def layout_of(shape: Sequence[int], image_layout: str = NCHW) -> str:
    """Return the layout of a tensor of this shape: "" unless it is an image or feature map."""
    return image_layout if len(shape) == 4 else ""
