"""A network as one runtime executes it here, for the benchmarks of feedback."""

from __future__ import annotations

from groundspeed.artifact import Artifact
from groundspeed.deploy.exporting import Exporter
from groundspeed.deploy.feedback.explain import SETTINGS
from groundspeed.deploy.feedback.scene import Scene
from groundspeed.deploy.plan import Cell, job
from groundspeed.deploy.results import calmest
from groundspeed.deploy.targets.local import LocalTarget
from groundspeed.export.prepare import Prepared


def scene_of(exporter: Exporter, original: Artifact, threads: int) -> Scene:
    """Return the scene of the calmest of as many profiled launches as ``explain`` makes."""
    manifest = original.manifest
    cell = Cell(
        network=manifest.source,
        runtime=manifest.runtime,
        precision=manifest.precision,
        threads=threads,
    )
    asked = job("profile", cell, original, SETTINGS)
    launch = calmest(LocalTarget().run(asked) for _ in range(SETTINGS.profile_rounds))
    assert launch is not None
    assert isinstance(exporter.prepared, Prepared)
    return Scene.of(exporter.prepared.program, manifest, launch, threads)
