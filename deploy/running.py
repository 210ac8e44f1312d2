"""The main job: networks in, a stored run and its report out."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from groundspeed.artifact import Artifact, Source
from groundspeed.deploy import pipeline, sources
from groundspeed.deploy.events import OnEvent
from groundspeed.deploy.exporting import DEFAULT_TIMEOUT_S, Exporter
from groundspeed.deploy.plan import Cell, Settings
from groundspeed.deploy.quantizing import Quantizing
from groundspeed.deploy.results import RunResult
from groundspeed.deploy.scoring import Scorer
from groundspeed.deploy.store.store import Store, machine_id
from groundspeed.deploy.targets.catalog import open_target
from groundspeed.documents import dump
from groundspeed.runtimes.catalog import RUNTIMES

SECONDS_PER_CELL = 20.0


def run(
    networks: Sequence[str],
    *,
    runtimes: Sequence[str],
    precisions: Sequence[str] = ("fp32",),
    threads: Sequence[int] = (1,),
    settings: Settings | None = None,
    store_folder: Path,
    report: Path | None = None,
    input_shapes: Sequence[tuple[int, ...]] = (),
    weights: Path | None = None,
    layout: str | None = None,
    timeout_s: float = DEFAULT_TIMEOUT_S,
    quantizing: Quantizing | None = None,
    test: str | None = None,
    test_samples: int | None = None,
    fresh: bool = False,
    command: str = "",
    on_event: OnEvent | None = None,
    on_progress: Callable[[str], None] | None = None,
) -> tuple[RunResult, Path]:
    """Export, measure, profile and evaluate networks, and write the report.

    Data are read before anything else, so that bad ones cost no time.

    Args:
        networks: as in :func:`groundspeed.deploy.sources.load`.
        runtimes: names of the runtimes to measure in.
        precisions: what to compute with.
        threads: numbers of threads.
        settings: how to measure.
        store_folder: where results go.
        report: where the page goes; by default ``report-<run>.html`` in the store.
        input_shapes: shape of each input of every network; by default each network's own.
        weights: state dict that every network gets.
        layout: layout of TFLite's image inputs.
        timeout_s: longest time that one converter may take.
        quantizing: what is asked of precisions of integers.
        test: data to evaluate every file on; None evaluates none.
        test_samples: how many samples of them at most; None for all.
        fresh: begin anew even if an unfinished run of the same plan exists.
        command: the command line that makes the run again.
        on_event: called with everything that the run does.
        on_progress: called with sentences about loading and exporting.

    Returns:
        The run, and the path of its report.

    Raises:
        DataError: the data to calibrate or to evaluate on cannot be used.
        GroundspeedError: as in ``sources.load`` and ``pipeline.run``.
    """
    from groundspeed.export.formats import check_precisions, format_for

    formats = {runtime: format_for(runtime) for runtime in runtimes}
    for runtime in runtimes:
        RUNTIMES.load(runtime)
    check_precisions(tuple(formats.values()), tuple(precisions))
    tell = on_progress or (lambda words: None)
    asked = _mixed_as_measured(quantizing or Quantizing(), threads, settings)
    # Not a temporary folder: the log of a converter that failed stays here.
    exports = store_folder / "exports"
    target = open_target()
    exporters: dict[Source, Exporter] = {}
    scorers: dict[Source, Scorer] = {}
    for spec in networks:
        tell(f"loading {spec}")
        network = sources.load(spec, input_shapes=input_shapes, weights=weights)
        exporter = Exporter(network, exports, layout=layout, timeout_s=timeout_s, quantizing=asked)
        exporter.check_data(precisions)
        exporters[exporter.source] = exporter
        if test is not None:
            tell(f"reading {test}")
            scorers[exporter.source] = Scorer(
                network,
                test,
                machine=machine_id(target.facts()),
                samples=test_samples,
                threads=threads[0],
            )
    tests = [scorer.digest(s, r) for s, scorer in scorers.items() for r in runtimes]
    made: list[Path] = []

    def export_one(cell: Cell) -> Artifact:
        artifact = exporters[cell.network].export(formats[cell.runtime], cell.precision)
        made.append(artifact.folder)
        return artifact

    try:
        with Store(store_folder) as store:
            result = pipeline.run(
                exporters,
                runtimes,
                precisions,
                threads,
                store=store,
                target=target,
                export_one=export_one,
                settings=replace(
                    settings or Settings(),
                    exporting=dump([layout, quantizing]),
                    test=dump(tests) if tests else "",
                ),
                command=command,
                fresh=fresh,
                on_event=on_event,
                scorers=scorers,
            )
    finally:
        # The store has copies of them, by content.
        for folder in made:
            shutil.rmtree(folder, ignore_errors=True)
    return result, write_report(result, report or store_folder / f"report-{result.run.id}.html")


def _mixed_as_measured(
    quantizing: Quantizing, threads: Sequence[int], settings: Settings | None
) -> Quantizing:
    """Let mixed precision be chosen under the conditions that are measured, the first of them."""
    cpus = settings.cpus if settings else ()
    mixing = dataclasses.replace(quantizing.mixing, threads=threads[0], cpus=cpus)
    return dataclasses.replace(quantizing, mixing=mixing)


def write_report(result: RunResult, path: Path) -> Path:
    """Write a run's report page and return its path."""
    from groundspeed.deploy.report.from_run import report_data
    from groundspeed.deploy.report.page import write_page

    write_page(report_data(result), path)
    return path
