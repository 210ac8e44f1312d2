"""An ONNX file that cannot become a torch module stays a graph, for ONNX Runtime alone."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import onnx

from groundspeed.artifact import Step
from groundspeed.errors import UnsupportedOp
from groundspeed.export.from_onnx import example_inputs
from groundspeed.export.prepare import BY

FORMAT = "onnx"


@dataclass(frozen=True)
class OnnxGraph:
    """A model with an op that :mod:`groundspeed.export.from_onnx` does not know.

    ONNX Runtime may know it all the same. What is made of the torch program of a network is
    missing: other formats, costs on paper, and the ties of executed ops to modules.

    Attributes:
        model: the model, its weights inside.
        reason: why it could not be imported, one sentence.
    """

    model: onnx.ModelProto
    reason: str

    @property
    def steps(self) -> tuple[Step, ...]:
        """How the network was read, for the manifest."""
        _, notes = example_inputs(self.model)
        note = f"kept as an ONNX graph: no other formats, no costs of its ops, as {self.reason}"
        return (Step(name="read_onnx", by=BY, notes=(note, *notes)),)

    @property
    def digest(self) -> str:
        """The sha256 over the graph and its weights."""
        return hashlib.sha256(self.model.SerializeToString(deterministic=True)).hexdigest()

    def check_format(self, format: str) -> None:
        """Make sure that a format can be made of a graph.

        Raises:
            UnsupportedOp: it is made of torch programs.
        """
        if format != FORMAT:
            raise UnsupportedOp(
                f"{format} cannot be written from this ONNX file, only {FORMAT} can: {self.reason}"
            )
