"""What a file computes on a device, beside what it computes here."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from groundspeed.artifact import Artifact
from groundspeed.deploy.targets.local import LocalTarget
from groundspeed.deploy.targets.target import Target
from groundspeed.measurement import Job, Options
from groundspeed.runtimes.feeds import as_npz, random_feeds

# Kernels of another processor add in another order.
FLOATS = 1e-5
# Integers are exact up to the rounding at the end of a layer: a step of 127.
STEP = 0.009


def job(artifact: Artifact, folder: Path, outputs: str) -> Job:
    """Return a launch of a few inferences that keeps what it computed."""
    manifest = artifact.manifest
    inputs = folder / "inputs.npz"
    inputs.write_bytes(as_npz(random_feeds(manifest.inputs, 0)))
    return Job(
        action="measure",
        runtime=manifest.runtime,
        files=dict(artifact.paths),
        options=Options(precision=manifest.precision),
        min_samples=2,
        max_samples=3,
        min_seconds=0.0,
        max_warmup_seconds=0.1,
        specs=manifest.inputs,
        inputs=inputs,
        outputs=folder / outputs,
    )


def check_equal(artifact: Artifact, target: Target, folder: Path) -> None:
    """Fail unless a file computes on a target what it computes here."""
    target.run(job(artifact, folder, "there.npz"))
    LocalTarget().run(job(artifact, folder, "here.npz"))
    with np.load(folder / "there.npz") as there, np.load(folder / "here.npz") as here:
        assert set(there.files) == set(here.files)
        for name in here.files:
            peak = float(np.abs(here[name]).max())
            error = float(np.abs(there[name].astype(float) - here[name].astype(float)).max())
            if artifact.manifest.precision == "fp32":
                assert error <= FLOATS * peak, f"{name} is off by {error / peak:.2g} of its peak"
            else:
                assert error <= STEP * peak, f"{name} is off by {error / peak:.2g} of its peak"
