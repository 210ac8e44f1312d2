"""Planted faults as a runtime really executes them."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from unittest import mock

from torch import nn

from device_tests.host.deploy.feedback.planted.planting import Planted, framed
from groundspeed.deploy.exporting import Exporter
from groundspeed.deploy.feedback.scene import Scene
from groundspeed.deploy.plan import Cell, Settings, job
from groundspeed.deploy.sources import Network
from groundspeed.deploy.targets.local import LocalTarget
from groundspeed.documents import dump, from_plain
from groundspeed.export import convert
from groundspeed.export.formats import format_for
from groundspeed.export.worker import Request, carry_out

CALIBRATION_IMAGES = 8

Part = Callable[[], nn.Module]


class Scenes:
    """Exports networks and profiles them, each once, however many faults share a twin.

    Args:
        folder: where their files go.
        settings: how to launch.
    """

    def __init__(self, folder: Path, settings: Settings) -> None:
        self._folder = folder
        self._settings = settings
        self._exporters: dict[tuple[Part, int], Exporter] = {}
        self._scenes: dict[tuple[Part, int, str, str, int], Scene] = {}

    def fault(self, planted: Planted, runtime: str) -> Scene:
        """Return the scene of the network with the fault."""
        return self._scene(planted.fault, planted, runtime)

    def twin(self, planted: Planted, runtime: str) -> Scene:
        """Return the scene of the network without it."""
        return self._scene(planted.twin, planted, runtime)

    def _scene(self, part: Part, planted: Planted, runtime: str) -> Scene:
        key = (part, planted.size, runtime, planted.precision, planted.threads)
        if key not in self._scenes:
            self._scenes[key] = self._profiled(self._exporter(part, planted), planted, runtime)
        return self._scenes[key]

    def _exporter(self, part: Part, planted: Planted) -> Exporter:
        key = (part, planted.size)
        if key not in self._exporters:
            name = f"network_{len(self._exporters)}"
            image, *_ = planted.images(1)
            self._exporters[key] = Exporter(
                Network(name=name, spec=name, module=framed(part), inputs=image),
                self._folder,
                samples=planted.images(CALIBRATION_IMAGES),
            )
        return self._exporters[key]

    def _profiled(self, exporter: Exporter, planted: Planted, runtime: str) -> Scene:
        with mock.patch.object(convert, "_run", _convert_here):
            artifact = exporter.export(format_for(runtime), planted.precision)
        cell = Cell(
            network=artifact.manifest.source,
            runtime=runtime,
            precision=planted.precision,
            threads=planted.threads,
        )
        launch = LocalTarget().run(job("profile", cell, artifact, self._settings))
        program = exporter.canonical(planted.precision)
        return Scene.of(program, artifact.manifest, launch, planted.threads)


def _convert_here(request: Path, *, log: Path, **_: object) -> None:
    """Convert in this process; to start one for each of many small files takes much longer."""
    asked = from_plain(Request, json.loads(request.read_text()))
    with _told_to(log), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        asked.answer.write_text(dump(carry_out(asked)))


@contextlib.contextmanager
def _told_to(log: Path) -> Iterator[None]:
    """Have all that this process and its native libraries print go to a file."""
    sys.stdout.flush()
    streams = {stream: os.dup(stream) for stream in (1, 2)}
    try:
        with log.open("w") as file:
            for stream in streams:
                os.dup2(file.fileno(), stream)
        yield
    finally:
        sys.stdout.flush()
        for stream, saved in streams.items():
            os.dup2(saved, stream)
            os.close(saved)
