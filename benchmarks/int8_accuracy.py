"""What integers cost a trained network: float, and int8 in every format, on the same test data.

For each network: top-1 of the float file and of the three int8 files from one calibration, how far
each falls below the float one, and on how many samples the int8 files agree with each other.

    python benchmarks/int8_accuracy.py NETWORK --weights FILE --calibrate DATA --test DATA
        [--input-shape N C H W] [--samples N] [--observer NAME] [--json]

The networks of docs/figures.md were trained with ``groundspeed train SPEC --input-shape 1,3,32,32
--data fashion_mnist:train --test fashion_mnist:test -o FILE``, where SPEC is
shufflenet_v2_x0_5:num_classes=10,stem_stride=1 or mobilenet_v2_x0_5:num_classes=10.
A program that ``groundspeed train --quantize`` saved (``.pt2``) brings its ranges: leave out
``--weights`` and ``--calibrate``.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from itertools import combinations
from pathlib import Path

from rows import show

from groundspeed.artifact import Artifact
from groundspeed.deploy import sources
from groundspeed.deploy.evaluating import evaluate
from groundspeed.deploy.exporting import Exporter
from groundspeed.deploy.quantizing import Quantizing
from groundspeed.quantization import DEFAULT_OBSERVER, Settings

FORMATS = ("onnx", "tflite", "ncnn")


def rows(asked: argparse.Namespace, folder: Path) -> list[dict[str, object]]:
    """Return a row for each file, and one for each pair of int8 files."""
    shapes = [tuple(asked.input_shape)] if asked.input_shape else []
    network = sources.load(asked.network, weights=asked.weights, input_shapes=shapes)
    quantizing = Quantizing(
        data=asked.calibrate,
        samples=asked.calibration_samples,
        settings=Settings(observer=asked.observer),
    )
    exporter = Exporter(network, folder, quantizing=quantizing)
    artifacts: dict[str, Artifact] = {"float": exporter.export("onnx", "fp32")}
    artifacts |= {format: exporter.export(format, "int8") for format in FORMATS}
    size = {name: artifact.size_bytes for name, artifact in artifacts.items()}
    found = evaluate(artifacts, asked.test, reference="float", samples=asked.samples)
    scored = {row.name: row for row in found.rows}
    exact = scored["float"].top1
    table: list[dict[str, object]] = []
    for name, row in scored.items():
        top1, agreement = row.top1, row.agreement
        table.append(
            {
                "network": network.name,
                "file": name,
                "top1": top1.value if top1 else None,
                "points_lost": 100 * (exact.value - top1.value) if exact and top1 else None,
                "agreement_with_float": agreement.value if agreement else None,
                "size_ratio": size[name] / size["float"],
                "error": row.error,
            }
        )
    for one, other in combinations(FORMATS, 2):
        pair = {name: artifacts[name] for name in (one, other)}
        compared = evaluate(pair, asked.test, reference=one, samples=asked.samples)
        agreement = compared.rows[1].agreement
        table.append(
            {
                "network": network.name,
                "file": f"{one} and {other}",
                "agreement": agreement.value if agreement else None,
            }
        )
    return table


def main() -> int:
    """Print a row for each file."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("network")
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--input-shape", type=int, nargs="+", help="by default the network's own")
    parser.add_argument("--calibrate", default="", help="data to calibrate on")
    parser.add_argument("--calibration-samples", type=int, default=256)
    parser.add_argument("--test", required=True, help="data to compare on")
    parser.add_argument("--samples", type=int, help="test samples at most")
    parser.add_argument("--observer", default=DEFAULT_OBSERVER)
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        show(rows(asked, Path(folder)), as_json=asked.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
