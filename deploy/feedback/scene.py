"""A Scene: a network beside what one runtime made of it, which is what patterns look at."""

from __future__ import annotations

import functools
from collections.abc import Collection
from dataclasses import dataclass

from torch.export import ExportedProgram
from torch.fx import GraphModule, Node

from groundspeed.artifact import Manifest
from groundspeed.deploy.feedback.breakdown import Breakdown, OpRow, break_down
from groundspeed.errors import LaunchError
from groundspeed.export.graph import editable
from groundspeed.measurement import Launch, OpProfile
from groundspeed.models.calls import Call
from groundspeed.ops import Op


@dataclass(frozen=True, kw_only=True)
class Scene:
    """A network beside a profiled launch of a file that was made from it.

    Attributes:
        program: the canonical graph.
        manifest: of the file.
        profile: of the launch.
        threads: that it computed with.
    """

    program: ExportedProgram
    manifest: Manifest
    profile: OpProfile
    threads: int

    @staticmethod
    def of(program: ExportedProgram, manifest: Manifest, launch: Launch, threads: int) -> Scene:
        """Return the scene of a launch.

        Raises:
            LaunchError: the launch has no profile.
        """
        if launch.profile is None:
            raise LaunchError(f"{manifest.runtime} gave no times of its ops; nothing can be blamed")
        return Scene(program=program, manifest=manifest, profile=launch.profile, threads=threads)

    @functools.cached_property
    def breakdown(self) -> Breakdown:
        """Where the time of the launch goes."""
        return break_down(self.manifest, self.profile)

    @functools.cached_property
    def ops(self) -> dict[str, Op]:
        """Name -> canonical op, in order of computation."""
        return {op.name: op for op in self.manifest.ops}

    @functools.cached_property
    def nodes(self) -> dict[str, Node]:
        """Name -> node of the canonical graph."""
        return {node.name: node for node in self.program.graph.nodes}

    @functools.cached_property
    def graph(self) -> GraphModule:
        """The canonical graph with its weights as attributes; to be read, not to be changed."""
        return editable(self.program)

    def call(self, op: str) -> Call:
        """Return a canonical op with its arguments and the shapes of its tensors."""
        return Call(self.nodes[op])

    @property
    def executed(self) -> tuple[OpRow, ...]:
        """What the runtime executed, in order."""
        return self.breakdown.ops

    def owner(self, op: str) -> int | None:
        """Return the position among ``executed`` of what computed a canonical op, if known."""
        return self._owners.get(op)

    def alone(self, ops: Collection[str]) -> tuple[int, ...]:
        """Return the positions of what the runtime executed for these canonical ops alone.

        What it fused with others is not among them: without these ops, the others would still
        take their time.
        """
        wanted = frozenset(ops)
        return tuple(
            position
            for position, row in enumerate(self.executed)
            if row.op.covers and all(op.name in wanted for op in row.op.covers)
        )

    @functools.cached_property
    def _owners(self) -> dict[str, int]:
        return {
            op.name: position
            for position, row in enumerate(self.executed)
            for op in row.op.covers
            if not row.op.part
        }
