"""Accuracy within a run: test data are read once beforehand, then every file answers them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from groundspeed.artifact import Artifact, Source
from groundspeed.deploy.contestants import OpenNetwork
from groundspeed.deploy.data import Data, load_data
from groundspeed.deploy.evaluating import check_labels, evaluate
from groundspeed.deploy.events import Evaluated, Evaluating, Event, Progress
from groundspeed.deploy.plan import Cell
from groundspeed.deploy.sources import Network
from groundspeed.deploy.store.rows import StoredCell, StoredEvaluation, StoredRun, now
from groundspeed.deploy.store.store import Store
from groundspeed.deploy.targets.target import Target
from groundspeed.documents import dump
from groundspeed.errors import (
    DataError,
    DeviceLost,
    DeviceRefused,
    GroundspeedError,
    MissingExtra,
    UnknownName,
)


class Scorer:
    """Evaluates the files of one network on test data, which are read once to see that they fit.

    Args:
        network: the network, which the files are compared with.
        test: the data, as in :func:`groundspeed.deploy.data.load_data`.
        samples: how many samples at most; None for all.
        threads: threads for each runtime.

    Raises:
        DataError: the data cannot be used, or their classes are not the network's.
    """

    def __init__(
        self,
        network: Network,
        test: str,
        *,
        samples: int | None = None,
        threads: int = 1,
    ) -> None:
        from groundspeed.export.onnx_graph import OnnxGraph

        if len(network.inputs) != 1:
            raise DataError(
                f"{network.name} has {len(network.inputs)} inputs, and data hold one for each "
                "sample; leave out --test"
            )
        self._data = load_data(test, shape=tuple(network.inputs[0].shape), limit=samples)
        self._data_digest = _digest(self._data)
        # A graph that is no torch network can be run by its files only.
        self._network = None if isinstance(network.module, OnnxGraph) else network
        if self._network is not None and self._data.labels is not None:
            _check_classes(self._network, self._data)
        self._threads = threads

    @property
    def asked(self) -> str:
        """The sha256 over the samples and their labels."""
        return self._data_digest

    def digest(self, source: Source, runtime: str, *, engine: str, machine: str) -> str:
        """Return the sha256 over everything that decides an evaluation but the file.

        Args:
            source: the network.
            runtime: what runs the file.
            engine: version and build of the runtime there.
            machine: digest of where; integers may saturate on one machine and not on another.
        """
        decisive = [self._data_digest, source.digest, runtime, engine, machine]
        return hashlib.sha256(dump(decisive).encode()).hexdigest()

    def score(
        self,
        name: str,
        artifact: Artifact,
        on_progress: Callable[[int, int], None],
        *,
        target: Target | None = None,
        cpus: tuple[int, ...] = (),
        on_sentence: Callable[[str], None] = lambda sentence: None,
    ) -> StoredEvaluation:
        """Run a file on all samples; a failure is a result.

        Args:
            name: what to call it.
            artifact: the file.
            on_progress: called with how many samples are done, and how many there are.
            target: the machine that runs it; None is this one.
            cpus: CPUs to stay on there.
            on_sentence: called with what a device says meanwhile.
        """
        try:
            evaluation = evaluate(
                {name: artifact},
                self._data,
                network=self._network,
                threads=self._threads,
                target=target,
                cpus=cpus,
                on_progress=lambda _, done, total: on_progress(done, total),
                on_sentence=on_sentence,
            )
        except (MissingExtra, UnknownName, DeviceLost, DeviceRefused):
            raise  # nothing about the file: the run goes on when that is put right
        except GroundspeedError as error:
            return StoredEvaluation(evaluated_at=now(), error=str(error))
        return StoredEvaluation(
            evaluated_at=now(), evaluation=evaluation, error=evaluation.rows[-1].error
        )


def score(
    run: StoredRun,
    artifacts: Mapping[str, Artifact],
    scorers: Mapping[Source, Scorer],
    store: Store,
    target: Target,
    tell: Callable[[Event], None],
) -> None:
    """Evaluate each file of a run that was not evaluated yet, and store the result at once.

    Cells that differ in their threads share a file and its evaluation, and so do runs.

    Args:
        run: the run; its launches are over.
        artifacts: its files, by identity.
        scorers: what evaluates the files of each network; others are not evaluated.
        store: where results go.
        target: the machine that launched them.
        tell: called with what happens.
    """
    files: dict[tuple[Source, str, str], list[StoredCell]] = {}
    for stored in store.cells(run):
        network = stored.cell.network
        if network in scorers and stored.artifact_id and stored.evaluation_id is None:
            key = (network, stored.artifact_id, stored.cell.runtime)
            files.setdefault(key, []).append(stored)
    for (network, artifact_id, runtime), sharing in files.items():
        scorer, cell = scorers[network], sharing[0].cell
        digest = scorer.digest(
            network, runtime, engine=_engine(sharing, store), machine=run.plan.machine_id
        )
        known = store.known_evaluation(artifact_id, digest)
        if known is None:
            result = scorer.score(
                f"{cell.network.name} in {cell.runtime}, {cell.precision}",
                artifacts[artifact_id],
                _counting(tell, cell),
                target=target,
                cpus=run.plan.settings.cpus,
                on_sentence=_saying(tell, cell),
            )
            known = store.add_evaluation(artifact_id, digest, result)
        store.set_evaluation([stored.id for stored in sharing], known)
        tell(Evaluated(cell=cell, stored=store.evaluation(known)))


def _engine(cells: Sequence[StoredCell], store: Store) -> str:
    """Return what ran the launches of cells that share a file; "" when none succeeded."""
    for cell in cells:
        for one in store.launches(cell):
            if one.launch is not None:
                return f"{one.launch.runtime_version} {one.launch.runtime_build}"
    return ""


def _counting(tell: Callable[[Event], None], cell: Cell) -> Callable[[int, int], None]:
    return lambda done, total: tell(Evaluating(cell=cell, done=done, total=total))


def _saying(tell: Callable[[Event], None], cell: Cell) -> Callable[[str], None]:
    return lambda sentence: tell(Progress(cell=cell, sentence=sentence))


def _digest(data: Data) -> str:
    """Return the sha256 over all samples and labels; reading them finds what is broken."""
    hasher = hashlib.sha256(str(data.count).encode())
    for sample in data:
        hasher.update(f"{sample.dtype} {sample.shape}".encode())
        hasher.update(np.ascontiguousarray(sample).tobytes())
    if data.labels is not None:
        hasher.update(data.labels.tobytes())
    return hasher.hexdigest()


def _check_classes(network: Network, data: Data) -> None:
    """Refuse labels that the network does not know, before any file exists."""
    assert data.labels is not None
    contestant = OpenNetwork(network)
    contestant.ask(data[0][None])
    check_labels(data.labels, contestant.answers(), data.name)
