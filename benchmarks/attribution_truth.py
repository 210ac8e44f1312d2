"""Whether what a profile blames on a pattern is what taking it out saves.

For networks of the zoo, in each format: the patterns that are found, the share of the end-to-end
time that the profile attributes to the places that were taken out, and the share that was measured
by counterfactual. Shares, because profile and counterfactuals are measured minutes apart, and the
machine is not as fast at all times. At the end, over all patterns of all networks: the median
absolute disagreement, and Spearman's rank correlation; and the median over networks of the
correlation within each that has at least three patterns.

    python benchmarks/attribution_truth.py [--formats NAMES] [--threads N] [--budget SECONDS]
        [--store FOLDER] [--json] [NETWORK ...]

With --store the launches are kept, an interrupted benchmark goes on, and what is already measured
there is not measured again: the figures follow from stored profiles and launches with the patterns
as they are now.
"""

from __future__ import annotations

import argparse
import contextlib
import statistics
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from rows import show
from scipy.stats import spearmanr

from groundspeed.deploy.exporting import Exporter
from groundspeed.deploy.feedback.detect import Detected, detect
from groundspeed.deploy.feedback.experiment import Experiment
from groundspeed.deploy.feedback.explain import SETTINGS, explain
from groundspeed.deploy.feedback.finding import Counterfactual
from groundspeed.deploy.feedback.notes import Notes
from groundspeed.deploy.feedback.scene import Scene
from groundspeed.deploy.feedback.variants import Variant, vary
from groundspeed.deploy.results import CellResult, RunResult, read
from groundspeed.deploy.running import Work, prepare
from groundspeed.deploy.store.store import Store
from groundspeed.deploy.targets.local import LocalTarget
from groundspeed.errors import ExportError
from groundspeed.export.formats import FORMATS, runtime_of

NETWORKS = (
    *("shufflenet_v2_x1_0", "squeezenet1_1", "mobilenet_v3_small", "shufflenet_v1_x1_0_g3"),
    "mobilenet_v2",
)

# Profiles are all that is needed of the network itself; counterfactuals measure it again.
ASKED = replace(SETTINGS, min_rounds=0, max_rounds=0, min_seconds=0.3)

Shares = tuple[float, float]


def rows(asked: argparse.Namespace, folder: Path) -> Iterator[dict[str, object]]:
    """Yield a row for each finding, and one for all of them."""
    seen: list[list[Shares]] = []
    runtimes = [runtime_of(format) for format in asked.formats.split(",")]
    for name in asked.networks:
        work = prepare(
            [name], runtimes=runtimes, threads=(asked.threads,), folder=folder / "exports"
        )
        (exporter,) = work.exporters.values()
        with Store(folder / name) as store:
            run, proofs = measured(work, store, asked.budget * len(runtimes))
            for cell, proof in zip(run.cells, proofs, strict=True):
                if proof is None:
                    yield {"network": name, "runtime": cell.cell.runtime, "found": "nothing"}
                    continue
                seen.append([])
                for pattern, shown in outcomes(exporter, cell, read(store, proof)):
                    row = {"network": name, "runtime": cell.cell.runtime, "pattern": pattern}
                    if isinstance(shown, str):
                        yield row | {"not measured": shown}
                        continue
                    yield row | figures(shown)
                    seen[-1].append((shown.attributed.share, shown.measured.share))
    yield summary(seen)


def measured(work: Work, store: Store, budget_s: float) -> tuple[RunResult, list[int | None]]:
    """Return the profiles of a network, and for each the run of its counterfactuals, if any."""
    for run in store.runs():
        known = Notes.of(store, run.id).cells
        if len(known) == len(work.runtimes):
            return read(store, run.id), [one.run for one in known]
    explained = explain(work, store=store, target=LocalTarget(), settings=ASKED, budget_s=budget_s)
    return explained.result, [one.run for one in explained.cells]


def outcomes(
    exporter: Exporter, cell: CellResult, proof: RunResult
) -> Iterator[tuple[str, Counterfactual | str]]:
    """Yield each pattern that is found now with what its launches showed, or why there are none."""
    assert cell.artifact is not None
    assert cell.profile is not None
    program = exporter.canonical(cell.cell.precision)
    scene = Scene.of(program, cell.artifact.manifest, cell.profile, cell.cell.threads)
    launched = {one.cell.network.digest: one for one in proof.cells}
    seed = proof.run.plan.settings.seed
    variants, others = [], dict[str, str]()
    for found in detect(scene):
        variant = varied(scene, found, exporter, seed)
        if isinstance(variant, str):
            others[found.pattern.name] = variant
        elif any(each.source.digest not in launched for each in variant.exporters):
            others[found.pattern.name] = "its counterfactual was not launched"
        else:
            variants.append(variant)
    experiment = Experiment(scene, cell.artifact, variants)
    cells = tuple(launched[one.network.digest] for one in experiment.cells)
    yield from experiment.outcomes(replace(proof, cells=cells)).items()
    yield from others.items()


def varied(scene: Scene, found: Detected, exporter: Exporter, seed: int) -> Variant | str:
    """Return the networks that show a pattern's cost, or why there are none."""
    try:
        return vary(scene, found, exporter, seed=seed)
    except ExportError as error:
        return str(error)


def figures(shown: Counterfactual) -> dict[str, object]:
    """Return what both ways say of a pattern, as shares of the end-to-end time."""
    measured = shown.measured
    total_ns = measured.time.ns / measured.share if measured.share else float("nan")
    return {
        "attributed": shown.attributed.share,
        "measured": measured.share,
        "low": measured.time.low_ns / total_ns,
        "high": measured.time.high_ns / total_ns,
        "rounds": shown.rounds,
    }


def summary(seen: Sequence[Sequence[Shares]]) -> dict[str, object]:
    """Return how attributed and measured shares agree, over all networks and within each."""
    shares = [one for network in seen for one in network]
    within = [correlation(network) for network in seen if len(network) >= 3]
    return {
        "patterns measured": len(shares),
        "median disagreement": statistics.median(abs(one - two) for one, two in shares),
        "rank correlation": correlation(shares),
        "within a network": statistics.median(within) if within else "none has three patterns",
    }


def correlation(shares: Sequence[Shares]) -> float:
    """Return Spearman's rank correlation."""
    attributed, measured = zip(*shares, strict=True)
    return float(spearmanr(attributed, measured).statistic)


def main() -> int:
    """Print a row for each finding as soon as its network is measured."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("networks", nargs="*", default=NETWORKS)
    parser.add_argument("--formats", default=",".join(FORMATS))
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--budget", type=float, default=300.0, help="seconds for each file")
    parser.add_argument("--store", type=Path, help="a folder that keeps what was measured")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    asked = parser.parse_args()
    with contextlib.ExitStack() as until_the_end:
        folder = asked.store or until_the_end.enter_context(tempfile.TemporaryDirectory())
        show(rows(asked, Path(folder)), as_json=asked.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
