"""Files without launches in the store: exported once, found again by whoever needs the same."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from groundspeed import __version__
from groundspeed.artifact import Artifact, Manifest, Source
from groundspeed.deploy import revision, running
from groundspeed.deploy.packages import installed
from groundspeed.deploy.plan import Cell, Plan, Settings, Stop, product
from groundspeed.deploy.running import Work
from groundspeed.deploy.store.rows import StoredRun
from groundspeed.deploy.store.store import Store
from groundspeed.deploy.targets.local import LocalTarget


def files_of(
    subjects: Sequence[str],
    *,
    runtimes: Sequence[str],
    precisions: Sequence[str],
    input_shapes: tuple[tuple[int, ...], ...],
    weights: Path | None,
    store: Store,
    on_progress: Callable[[str], None],
) -> list[Artifact]:
    """Return the files that somebody names: those in folders, and those of networks as they are.

    Args:
        subjects: folders of artifacts, and networks.
        runtimes: of the networks' files.
        precisions: of the networks' files.
        input_shapes: of networks; none leaves them to the network.
        weights: state dict of networks.
        store: where the files are, or go.
        on_progress: called with a sentence about what takes long.

    Raises:
        ArtifactError: a folder is no artifact.
        UsageError: there is no such network.
        ExportError: a file cannot be made.
    """
    folders = [subject for subject in subjects if Path(subject).is_dir()]
    found = [store.keep(Artifact.open(Path(folder))) for folder in folders]
    networks = [subject for subject in subjects if subject not in folders]
    if networks:
        work = running.prepare(
            networks,
            runtimes=tuple(runtimes),
            precisions=tuple(precisions),
            folder=store.folder / "exports",
            input_shapes=input_shapes,
            weights=weights,
            on_progress=on_progress,
        )
        found += candidates(work, store=store, on_progress=on_progress)
    return found


def candidates(
    work: Work, *, store: Store, on_progress: Callable[[str], None] = lambda words: None
) -> list[Artifact]:
    """Return the files of networks as they are now; what is stored is not exported again.

    Args:
        work: the networks, loaded, and which files of them.
        store: where the files are, or go.
        on_progress: called with a sentence about what takes long.

    Raises:
        ExportError: a file cannot be made.
    """
    found, made = [], []
    for cell in product(work.exporters, work.runtimes, work.precisions, (1,)):
        artifact = _stored(cell.network, cell.runtime, cell.precision, work.exporting, store)
        if artifact is None:
            on_progress(f"exporting {cell.network.name} for {cell.runtime}, {cell.precision}")
            artifact = work.maker.make(cell, store=store, target=LocalTarget(), threads=1, cpus=())
            made.append(artifact)
        found.append(artifact)
    if made:
        remember(made, revision.current(), store, exporting=work.exporting)
    return found


def remember(
    artifacts: Sequence[Artifact], commit: str | None, store: Store, *, exporting: str = ""
) -> None:
    """Store kept files as those of a commit: a run that measured nothing.

    Args:
        artifacts: the files, kept.
        commit: of the user's repository.
        store: where.
        exporting: what else decided how they were made, as JSON.
    """
    cells = tuple(
        Cell(
            network=one.manifest.source,
            runtime=one.manifest.runtime,
            precision=one.manifest.precision,
            threads=1,
            artifact_id=one.id,
        )
        for one in artifacts
    )
    settings = Settings(min_rounds=0, max_rounds=0, profile_runs=0, exporting=exporting)
    run = store.add_run(Plan(cells=cells, settings=settings, target="", machine_id=""), "", commit)
    for stored, artifact in zip(store.cells(run), artifacts, strict=True):
        store.set_artifact([stored.id], artifact.id)
    store.finish_run(run.id, Stop.NOTHING)


def made_files(run: StoredRun) -> bool:
    """Return whether a run is about files that were made of networks, and not about any files."""
    cells = run.plan.cells
    return not run.plan.target or all(cell.artifact_id is None for cell in cells)


def _stored(
    network: Source, runtime: str, precision: str, exporting: str, store: Store
) -> Artifact | None:
    """Return the file that the same network was exported to by the same tools, if there is one."""
    for run in reversed(store.runs()):
        if (run.plan.version, run.plan.settings.exporting) != (__version__, exporting):
            continue
        for stored in store.cells(run):
            cell = stored.cell
            if (cell.network.digest, cell.runtime, cell.precision) != (
                network.digest,
                runtime,
                precision,
            ) or stored.artifact_id is None:
                continue
            artifact = store.artifact(stored.artifact_id)
            if artifact.manifest.source == network and _is_of_today(artifact.manifest):
                return artifact
    return None


def _is_of_today(manifest: Manifest) -> bool:
    """Return whether the packages that made a file are those that are installed."""
    return all(installed(package) == version for package, version in manifest.packages.items())
