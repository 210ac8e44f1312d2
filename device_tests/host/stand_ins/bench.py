"""A device on which files take what is written in them: verdicts are known beforehand."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np

from groundspeed.deploy.targets.target import OnProgress
from groundspeed.errors import DeviceLost, GroundspeedError
from groundspeed.measurement import Job, Launch, Machine


class Bench:
    """A device on which files take what is written in them, with scatter from launch to launch."""

    name = "bench"

    def __init__(self, template: Launch, *, scatter: float = 0.02, seed: int = 0) -> None:
        self.template = template
        self.scatter = scatter
        self.random = np.random.default_rng(seed)
        self.order: list[str] = []
        self.load: Callable[[int], float] = lambda launch: 1.0
        self.lost_at: int | None = None

    def facts(self) -> Machine:
        return self.template.machine

    def run(self, job: Job, on_progress: OnProgress | None = None) -> Launch:
        if len(self.order) == self.lost_at:
            self.lost_at = None
            raise DeviceLost("the cable was pulled")
        assert job.files is not None
        said = job.files["model"].read_text().split()
        self.order.append(said[0])
        if "crash" in said:
            raise GroundspeedError("the process died")
        factor = self.load(len(self.order)) * np.exp(self.scatter * self.random.standard_normal())
        return dataclasses.replace(
            self.template,
            runtime=job.runtime,
            options=job.options,
            samples_ns=(round(float(said[1]) * factor),) * 3,
        )
