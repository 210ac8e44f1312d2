"""A network as one runtime executes it here, for the benchmarks of feedback."""

from __future__ import annotations

from groundspeed.artifact import Artifact
from groundspeed.deploy.exporting import Exporter
from groundspeed.deploy.feedback.scene import Scene
from groundspeed.deploy.plan import Cell, Settings, job
from groundspeed.deploy.targets.local import LocalTarget
from groundspeed.export.prepare import Prepared


def scene_of(exporter: Exporter, original: Artifact, threads: int) -> Scene:
    """Return the scene of a profiled launch."""
    manifest = original.manifest
    cell = Cell(
        network=manifest.source,
        runtime=manifest.runtime,
        precision=manifest.precision,
        threads=threads,
    )
    launch = LocalTarget().run(job("profile", cell, original, Settings()))
    assert isinstance(exporter.prepared, Prepared)
    return Scene.of(exporter.prepared.program, manifest, launch, threads)
