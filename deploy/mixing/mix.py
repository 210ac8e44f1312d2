"""From a calibrated network to a file in mixed precision, every step of the way measured."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from groundspeed.artifact import Artifact
from groundspeed.deploy.data import load_data
from groundspeed.deploy.mixing.choice import choose, finalists, layer_reason
from groundspeed.deploy.mixing.integers import Integers, as_many_as_possible
from groundspeed.deploy.mixing.judging import Accuracy, Judging
from groundspeed.deploy.mixing.search import SEARCHES, Search
from groundspeed.deploy.mixing.settings import MixSettings
from groundspeed.deploy.mixing.subject import Subject
from groundspeed.deploy.mixing.table import Table, layer_times, make_table
from groundspeed.deploy.mixing.trials import Trials
from groundspeed.deploy.quantizing import Quantizing
from groundspeed.deploy.targets.local import LocalTarget
from groundspeed.errors import DataError, ExportError, UsageError
from groundspeed.export.prepare import Prepared
from groundspeed.export.quantize.quantize import QuantizedNetwork
from groundspeed.export.write import place
from groundspeed.mixing import Candidate, Mixing, pareto_front
from groundspeed.quantization import LayerLoss, Quantization

# Makes a file in a scratch folder of this name; without a quantization, the float file.
MakeFile = Callable[[str, Quantization | None], Artifact]
OnProgress = Callable[[str], None]


def mixed(
    network: QuantizedNetwork,
    plain: Prepared,
    *,
    format: str,
    folder: Path,
    asked: Quantizing,
    make: MakeFile,
    on_progress: OnProgress | None = None,
) -> Artifact:
    """Write a network with integers in the layers where the target shows that they pay.

    Args:
        network: with ranges and losses.
        plain: the same without repairs.
        format: name of the format.
        folder: where the artifact goes.
        asked: what the user asks of integers.
        make: makes files.
        on_progress: called with a short sentence at each step.

    Raises:
        DataError: there are no data to judge accuracy on.
        UsageError: there is nothing to choose, or the network gives no scores of classes.
        ExportError: the float file cannot be written.
        LaunchError: a launch on the target failed.
    """
    if not asked.data:
        raise DataError(
            "auto needs data to judge accuracy on, also where ranges were learned in training; "
            "name some with --data"
        )
    if not network.losses:
        raise UsageError(
            "no layer of the network can compute with integers, or all were asked to stay in "
            "floating point, so that there is nothing to choose; export in fp32"
        )
    mixer = Mixer(
        Subject(
            program=network.prepared.program,
            untouched=plain.program,
            quantization=network.quantization,
            # ncnn computes what lies between layers in floating point, and knows no zero points.
            only_layers=format == "ncnn",
            symmetric=format == "ncnn",
        ),
        network.losses,
        data=asked.data,
        seed=asked.seed,
        settings=replace(asked.mixing, samples=max(asked.mixing.samples, asked.samples)),
        make=make,
        on_progress=on_progress or (lambda words: None),
    )
    artifact, quantization, mixing = mixer.mix()
    manifest = replace(
        artifact.manifest,
        precision="auto",
        quantization=quantization,
        losses=network.losses,
        mixing=mixing,
    )
    return place(artifact, folder, manifest)


class Mixer:
    """Chooses the layers of one network in one format that compute with integers.

    Args:
        subject: the network.
        losses: what quantization costs each layer that can be quantized, at least one.
        data: what accuracy is judged on, as the user named it.
        seed: of the choice among the data.
        settings: what the user asks.
        make: makes files.
        on_progress: called with a short sentence at each step.
    """

    def __init__(
        self,
        subject: Subject,
        losses: Sequence[LayerLoss],
        *,
        data: str,
        seed: int,
        settings: MixSettings,
        make: MakeFile,
        on_progress: OnProgress,
    ) -> None:
        self._subject = subject
        self._losses = losses
        self._data = data
        self._seed = seed
        self._settings = settings
        self._make = make
        self._tell = on_progress

    def mix(self) -> tuple[Artifact, Quantization, Mixing]:
        """Return the file that is chosen, what is quantized in it, and how it came about.

        Raises:
            ExportError: the float file cannot be written.
            UsageError: the network gives no scores of classes.
            LaunchError: a launch on the target failed.
        """
        # Names that are wrong are told before anything takes time.
        search: Search = SEARCHES.load(self._settings.search)
        target = self._settings.target or LocalTarget()
        trials = Trials(target, self._settings, data=self._data, seed=self._seed)
        data = load_data(
            self._data,
            shape=self._subject.input_shape,
            limit=self._settings.samples,
            seed=self._seed,
        )
        accuracy = Accuracy(self._subject, data)
        table = self._table(trials)
        judged = self._judged(search, table, accuracy)
        files, errors = self._made(judged)
        candidates = trials.tried(judged, files, errors, self._tell)
        chosen, why = choose(candidates, self._settings.max_drop)
        told = (why if table.choosable else "", self._integers.note)
        mixing = Mixing(
            search=self._settings.search,
            target=target.name,
            threads=self._settings.threads,
            max_drop=self._settings.max_drop,
            judged_by=accuracy.measure,
            judged_on=data.name,
            samples=data.count,
            float_ns=table.float_ns,
            int8_ns=table.int8_ns,
            layers=table.layers,
            others=table.others,
            candidates=candidates,
            front=pareto_front(candidates),
            chosen=chosen,
            why="; ".join(filter(None, told)),
        )
        return files[chosen], self._quantization(mixing), mixing

    @functools.cached_property
    def _float(self) -> Artifact:
        return self._make("float", None)

    @functools.cached_property
    def _integers(self) -> Integers:
        tries = itertools.count()
        return as_many_as_possible(
            frozenset(loss.op for loss in self._losses),
            lambda layers: self._make(f"int8-{next(tries)}", self._subject.mixed(layers)),
            self._tell,
        )

    def _table(self, trials: Trials) -> Table:
        """Return what integers save in each layer, from profiles of both files."""
        files = [self._float]
        if self._integers.artifact is not None:
            files.append(self._integers.artifact)
        self._tell("profiling the float and the integer file")
        floats, *integers = (
            [layer_times(file.manifest, launch, self._subject.owners) for launch in launches]
            for file, launches in zip(files, trials.profiles(files), strict=True)
        )
        return make_table(
            self._losses,
            floats,
            integers[0] if integers else (),
            broken=self._integers.broken,
        )

    def _judged(self, search: Search, table: Table, accuracy: Accuracy) -> tuple[Candidate, ...]:
        """Return what the search proposes; the first has no layer in integers."""
        judge = Judging(accuracy, table)

        def told(chosen: frozenset[str]) -> Candidate:
            self._tell(f"accuracy with {len(chosen)} of {len(self._losses)} layers in integers")
            return judge(chosen)

        told(frozenset())
        if table.choosable:
            told(self._integers.layers)
            search(table.choosable, told, self._settings.max_drop)
        return judge.candidates

    def _made(self, candidates: Sequence[Candidate]) -> tuple[dict[int, Artifact], dict[int, str]]:
        """Return the files by position, the float file first, and why others cannot be made."""
        files, errors = {0: self._float}, {}
        for position in finalists(candidates, self._settings.max_drop):
            chosen = frozenset(candidates[position].layers)
            try:
                files[position] = (
                    self._integers.artifact
                    if self._integers.artifact and chosen == self._integers.layers
                    else self._make(f"mixed-{position}", self._subject.mixed(chosen))
                )
            except ExportError as error:
                errors[position] = str(error)
        return files, errors

    def _quantization(self, mixing: Mixing) -> Quantization:
        """Return what is quantized in the chosen file, with the measured reasons."""
        layers = {layer.op: layer for layer in mixing.layers}
        broken = {op: f"auto: {reason}" for op, reason in self._integers.broken.items()}
        return self._subject.mixed(
            frozenset(mixing.candidates[mixing.chosen].layers),
            lambda op: (
                broken.get(op)
                or layer_reason(
                    layers[op], mixing.candidates, mixing.chosen, self._settings.max_drop
                )
            ),
        )
