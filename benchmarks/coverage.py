"""How much of the time of a profile is tied to the user's network.

coverage = time of the executed ops that are tied (they compute ops of the network, or move a value
that is known; see ``deploy/feedback/align.py``), divided by the time of all executed ops. What is
not tied is listed by the engine's word with its share, and so are layers without an executed op.
``by_value`` is the part of it that the values of the ops' own outputs tell; the flow of data tells
the rest. ``unlike`` counts ops whose word is not that of what they compute, such as the product
that a hard swish ends with: what is there should make sense to a reader.
Stages of a runtime's own run are no ops; their share of the end-to-end time stands beside.

The weights are random, and integers are calibrated on noise: neither changes which ops are
executed. ``light`` stands for every ``light_*`` network of the onnx package.

    python benchmarks/coverage.py [NETWORK …] [--formats FORMAT …] [--precisions PRECISION …]
        [--input-shape N C H W] [--threads N] [--runs N] [--json]

Without a NETWORK, all of the zoo. The exit code is 1 if a coverage is below the goal, or if a file
could not be had for another reason than that its format has no way to say what the network does.
"""

from __future__ import annotations

import argparse
import itertools
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import onnx
from light_models import FOLDER, with_random_weights
from rows import Row, judge
from subjects import Subject

from groundspeed.artifact import Artifact
from groundspeed.deploy import sources
from groundspeed.deploy.exporting import Exporter
from groundspeed.deploy.feedback.breakdown import Breakdown, break_down
from groundspeed.deploy.quantizing import Quantizing
from groundspeed.deploy.targets.local import LocalTarget
from groundspeed.deploy.vocabulary import sort_of, word_of
from groundspeed.errors import ExportError, LaunchError, SourceError, UnsupportedOp
from groundspeed.export.formats import FORMATS
from groundspeed.models import zoo

GOALS = {"fp32": 0.97, "fp16": 0.97, "int8": 0.90}
LIGHT = "light"
SAMPLES = 8
EXCUSE = UnsupportedOp.__name__


def rows(asked: argparse.Namespace) -> Iterator[dict[str, object]]:
    """Yield a row for each network, format and precision."""
    with tempfile.TemporaryDirectory() as name:
        for spec in _specs(asked.networks or zoo.names(), Path(name)):
            try:
                yield from _of_network(spec, asked, Path(name))
            except SourceError as error:
                yield {"network": spec, "reason": f"{type(error).__name__}: {error}"}


def _specs(named: Sequence[str], folder: Path) -> Iterator[str]:
    for spec in named:
        if spec != LIGHT:
            yield spec
            continue
        for light in sorted(FOLDER.glob("light_*.onnx")):
            path = folder / f"{light.stem}.onnx"
            onnx.save(with_random_weights(onnx.load(light), seed=0), path)
            yield str(path)
            path.unlink()


def _of_network(spec: str, asked: argparse.Namespace, folder: Path) -> Iterator[dict[str, object]]:
    shapes = [tuple(asked.input_shape)] if asked.input_shape else []
    network = sources.load(spec, input_shapes=shapes)
    noise = folder / f"{network.name}.npz"
    shape = (SAMPLES, *network.inputs[0].shape[1:])
    np.savez(noise, x=np.random.default_rng(0).standard_normal(shape, np.float32))
    quantizing = Quantizing(data=str(noise), samples=SAMPLES)
    exporter = Exporter(network, folder / "exports", quantizing=quantizing)
    for format, precision in itertools.product(asked.formats, asked.precisions):
        row: dict[str, object] = {"network": network.name, "format": format, "precision": precision}
        try:
            yield row | measure(exporter.export(format, precision), asked.threads, asked.runs)
        except (ExportError, LaunchError) as error:
            yield row | {"reason": f"{type(error).__name__}: {error}"}
    noise.unlink()


def measure(artifact: Artifact, threads: int, runs: int) -> dict[str, object]:
    """Profile an artifact in a fresh process, and return what of it is tied."""
    manifest = artifact.manifest
    model = Subject(manifest.source.name, manifest.runtime, artifact.paths, manifest.inputs)
    job = model.job("profile", threads, profile_runs=runs, min_samples=runs, min_seconds=0.0)
    profile = LocalTarget().run(job).profile
    assert profile is not None
    breakdown = break_down(manifest, profile)
    return {
        "coverage": breakdown.coverage,
        "ops": len(breakdown.ops),
        "tied": sum(op.op.tied for op in breakdown.ops),
        "by_value": _share_by_value(breakdown),
        "unlike": _unlike(breakdown),
        "not_tied": _not_tied(breakdown),
        "stages": _stages(breakdown),
        "uncharged": " ".join(op.name for op in breakdown.uncharged),
    }


def _share_by_value(breakdown: Breakdown) -> float:
    told = [op.time.ns for op in breakdown.ops if not op.op.executed.stage and op.op.by_value]
    return sum(told) / sum(op.time.ns for op in breakdown.ops if not op.op.executed.stage)


def _unlike(breakdown: Breakdown) -> str:
    pairs = Counter(
        (op.op.executed.type, op.op.main.name.rstrip("_0123456789"))
        for op in breakdown.ops
        if op.op.main is not None
        and sort_of(word_of(op.op.executed)) is not sort_of(op.op.main.kind)
    )
    return ", ".join(f"{word} → {op} ({count})" for (word, op), count in pairs.most_common())


def _stages(breakdown: Breakdown) -> float:
    """Return what the stages of the runtime's own run take, as a share of the end-to-end time."""
    return sum(op.share for op in breakdown.ops if op.op.executed.stage)


def _not_tied(breakdown: Breakdown) -> str:
    shares: Counter[str] = Counter()
    for op in breakdown.ops:
        if not op.op.tied and not op.op.executed.stage:
            shares[op.op.executed.type] += op.time.ns / breakdown.ops_total.ns
    return ", ".join(f"{word} {share:.2%}" for word, share in shares.most_common())


def is_good(row: Row) -> bool:
    """Return whether a row reaches the goal, or is none that could."""
    if "reason" in row:
        return str(row["reason"]).startswith(EXCUSE)
    return float(str(row["coverage"])) >= GOALS[str(row["precision"])] and not row["uncharged"]


def main() -> int:
    options = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    options.add_argument("networks", nargs="*", metavar="NETWORK")
    options.add_argument("--formats", nargs="+", default=list(FORMATS))
    options.add_argument("--precisions", nargs="+", default=["fp32", "int8"], choices=GOALS)
    options.add_argument("--input-shape", type=int, nargs="+")
    options.add_argument("--threads", type=int, default=1)
    options.add_argument("--runs", type=int, default=10)
    options.add_argument("--json", action="store_true")
    asked = options.parse_args()
    return judge(rows(asked), is_good, as_json=asked.json)


if __name__ == "__main__":
    sys.exit(main())
