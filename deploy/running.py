"""The main job: networks in, a stored run and its report out."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from groundspeed.artifact import Source
from groundspeed.deploy import pipeline, sources
from groundspeed.deploy.events import OnEvent
from groundspeed.deploy.exporting import DEFAULT_TIMEOUT_S, Exporter
from groundspeed.deploy.making import Maker
from groundspeed.deploy.plan import Settings
from groundspeed.deploy.quantizing import Quantizing
from groundspeed.deploy.results import RunResult
from groundspeed.deploy.scoring import Scorer
from groundspeed.deploy.store.store import Store
from groundspeed.deploy.targets.target import Target
from groundspeed.documents import dump
from groundspeed.runtimes.catalog import RUNTIMES

SECONDS_PER_CELL = 20.0


@dataclass(frozen=True, kw_only=True)
class Work:
    """What a run is asked to do, with everything loaded that can be wrong.

    Attributes:
        exporters: for each network, what writes its files.
        scorers: for each network, what evaluates its files; none without test data.
        runtimes: names of the runtimes to measure in.
        precisions: what to compute with.
        threads: numbers of threads.
        exporting: what else decides which files are made, as JSON.
    """

    exporters: dict[Source, Exporter]
    scorers: dict[Source, Scorer]
    runtimes: tuple[str, ...]
    precisions: tuple[str, ...]
    threads: tuple[int, ...]
    exporting: str

    @functools.cached_property
    def maker(self) -> Maker:
        """What makes each file once, for however many devices measure it."""
        return Maker(self.exporters)


def prepare(
    networks: Sequence[str],
    *,
    runtimes: Sequence[str],
    precisions: Sequence[str] = ("fp32",),
    threads: Sequence[int] = (1,),
    folder: Path,
    input_shapes: Sequence[tuple[int, ...]] = (),
    weights: Path | None = None,
    layout: str | None = None,
    timeout_s: float = DEFAULT_TIMEOUT_S,
    quantizing: Quantizing | None = None,
    test: str | None = None,
    test_samples: int | None = None,
    on_progress: Callable[[str], None] = lambda words: None,
) -> Work:
    """Load networks and read data, so that what is wrong costs no time and leaves nothing.

    Args:
        networks: as in :func:`groundspeed.deploy.sources.load`.
        runtimes: names of the runtimes to measure in.
        precisions: what to compute with.
        threads: numbers of threads.
        folder: where files are made; not a temporary one, for the log of a converter that failed
            stays there.
        input_shapes: shape of each input of every network; by default each network's own.
        weights: state dict that every network gets.
        layout: layout of TFLite's image inputs.
        timeout_s: longest time that one converter may take.
        quantizing: what is asked of precisions of integers.
        test: data to evaluate every file on; None evaluates none.
        test_samples: how many samples of them at most; None for all.
        on_progress: called with sentences about what is loaded.

    Raises:
        DataError: the data to calibrate or to evaluate on cannot be used.
        GroundspeedError: as in ``sources.load``.
    """
    from groundspeed.export.formats import check_precisions, format_for

    formats = [format_for(runtime) for runtime in runtimes]
    for runtime in runtimes:
        RUNTIMES.load(runtime)
    check_precisions(tuple(formats), tuple(precisions))
    exporters: dict[Source, Exporter] = {}
    scorers: dict[Source, Scorer] = {}
    for spec in networks:
        on_progress(f"loading {spec}")
        network = sources.load(spec, input_shapes=input_shapes, weights=weights)
        exporter = Exporter(
            network, folder, layout=layout, timeout_s=timeout_s, quantizing=quantizing
        )
        exporter.check_data(precisions)
        exporters[exporter.source] = exporter
        if test is not None:
            on_progress(f"reading {test}")
            scorers[exporter.source] = Scorer(
                network, test, samples=test_samples, threads=threads[0]
            )
    return Work(
        exporters=exporters,
        scorers=scorers,
        runtimes=tuple(runtimes),
        precisions=tuple(precisions),
        threads=tuple(threads),
        exporting=dump([layout, quantizing]),
    )


def run(
    work: Work,
    *,
    store: Store,
    target: Target,
    settings: Settings | None = None,
    report: Path | None = None,
    fresh: bool = False,
    command: str = "",
    on_event: OnEvent | None = None,
) -> tuple[RunResult, Path]:
    """Export, measure, profile and evaluate networks, and write the report.

    Args:
        work: what to do.
        store: where results go.
        target: the machine to measure on.
        settings: how to measure.
        report: where the page goes; by default ``report-<run>.html`` in the store.
        fresh: begin anew even if an unfinished run of the same plan exists.
        command: the command line that makes the run again.
        on_event: called with everything that the run does.

    Returns:
        The run, and the path of its report.

    Raises:
        GroundspeedError: as in ``pipeline.run``.
    """
    result = measure(
        work,
        store=store,
        target=target,
        settings=settings,
        fresh=fresh,
        command=command,
        on_event=on_event,
    )
    return result, write_report(result, report or store.folder / f"report-{result.run.id}.html")


def measure(
    work: Work,
    *,
    store: Store,
    target: Target,
    settings: Settings | None = None,
    fresh: bool = False,
    command: str = "",
    on_event: OnEvent | None = None,
) -> RunResult:
    """Do the same without a report; see :func:`run`."""
    settings = settings or Settings()
    tests = [scorer.asked for scorer in work.scorers.values()]
    return pipeline.run(
        work.exporters,
        work.runtimes,
        work.precisions,
        work.threads,
        store=store,
        target=target,
        export_one=partial(
            work.maker.make,
            store=store,
            target=target,
            threads=work.threads[0],
            cpus=settings.cpus,
        ),
        settings=replace(settings, exporting=work.exporting, test=dump(tests) if tests else ""),
        command=command,
        fresh=fresh,
        on_event=on_event,
        scorers=work.scorers,
    )


def write_report(result: RunResult, path: Path) -> Path:
    """Write a run's report page and return its path."""
    from groundspeed.deploy.report.from_run import report_data
    from groundspeed.deploy.report.page import write_page

    write_page(report_data(result), path)
    return path
