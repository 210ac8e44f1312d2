"""Whether what a profile blames on a pattern is what taking it out saves.

For networks of the zoo, in each format: the patterns that are found, the share of the end-to-end
time that the profile attributes to the places that were taken out, and the share that was measured
by counterfactual. Shares, because profile and counterfactuals are measured minutes apart, and the
machine is not as fast at all times. At the end, over all patterns of all networks: the median
absolute disagreement, and Spearman's rank correlation; and the median over networks of the
correlation within each that has at least three patterns.

    python benchmarks/attribution_truth.py [--formats NAMES] [--threads N] [--budget SECONDS]
        [--json] [NETWORK ...]
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from rows import show
from scenes import scene_of
from scipy.stats import spearmanr

from groundspeed.deploy import sources
from groundspeed.deploy.exporting import Exporter
from groundspeed.deploy.feedback.counterfactual import Proof, prove
from groundspeed.deploy.feedback.detect import detect
from groundspeed.deploy.feedback.finding import Finding
from groundspeed.deploy.results import RunResult
from groundspeed.deploy.store.store import Store
from groundspeed.deploy.targets.local import LocalTarget

NETWORKS = ("shufflenet_v2_x1_0", "mobilenet_v2", "mobilenet_v3_small", "squeezenet1_1", "resnet18")
FORMATS = ("onnx", "tflite", "ncnn")

Shares = tuple[float, float]


def proof_of(name: str, format: str, asked: argparse.Namespace) -> Proof:
    """Return what is found in a network, measured."""
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        exporter = Exporter(sources.load(name), folder / "exports")
        original = exporter.export(format, "fp32")
        scene = scene_of(exporter, original, asked.threads)
        with Store(folder / "store") as store:
            return prove(
                scene,
                detect(scene),
                exporter=exporter,
                original=original,
                store=store,
                target=LocalTarget(),
                budget_s=asked.budget,
            )


def row(finding: Finding, run: RunResult | None) -> dict[str, object]:
    """Return one finding as a row."""
    shown, latency = finding.counterfactual, run and run.cells[0].latency
    if shown is None or latency is None:
        return {"attributed": finding.attributed.share, "not measured": finding.untried}
    return {
        "attributed": shown.attributed.share,
        "measured": shown.measured.share,
        "low": shown.measured.time.low_ns / latency.estimate_ns,
        "high": shown.measured.time.high_ns / latency.estimate_ns,
        "rounds": shown.rounds,
    }


def rows(asked: argparse.Namespace) -> Iterator[dict[str, object]]:
    """Yield a row for each finding, and one for all of them."""
    seen: list[list[Shares]] = []
    for name in asked.networks:
        for format in asked.formats.split(","):
            seen.append([])
            proof = proof_of(name, format, asked)
            for finding in proof.findings:
                where = {"network": name, "format": format, "pattern": finding.pattern}
                yield {**where, **row(finding, proof.run)}
                if shown := finding.counterfactual:
                    seen[-1].append((shown.attributed.share, shown.measured.share))
    yield summary(seen)


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
    """Print a row for each finding as soon as it exists."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("networks", nargs="*", default=NETWORKS)
    parser.add_argument("--formats", default=",".join(FORMATS))
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--budget", type=float, default=300.0, help="seconds for each network")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    asked = parser.parse_args()
    show(rows(asked), as_json=asked.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
