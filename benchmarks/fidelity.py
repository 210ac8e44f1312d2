"""Whether Groundspeed's latency is that of the bare engine.

For each network: pairs of fresh processes that take turns (``pairs.py``), one Groundspeed launch
and one bare loop. Printed is the ratio of their medians, the median over pairs, with a 95 %
bootstrap interval.

Bare loops: InferenceSession with I/O binding; ``litert-benchmark``, which ships with
ai-edge-litert; an ncnn extractor loop.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

from pairs import Way, compare, launch
from rows import show
from subjects import Subject, parser, subject

WARMUP = 100  # a loop that is still getting faster is no yardstick
_LOOP = """
import statistics, sys, time
import numpy as np
{setup}
times = []
for _ in range({warmup} + {runs}):
    begin = time.perf_counter_ns()
    {call}
    times.append(time.perf_counter_ns() - begin)
print(statistics.median(times[{warmup}:]))
"""
_ONNXRUNTIME = """
import onnxruntime
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = {threads}
session = onnxruntime.InferenceSession({files[model]!r}, options, ["CPUExecutionProvider"])
binding = session.io_binding()
for value in session.get_inputs():
    array = np.random.default_rng(0).standard_normal(value.shape, np.float32)
    binding.bind_ortvalue_input(value.name, onnxruntime.OrtValue.ortvalue_from_numpy(array))
for value in session.get_outputs():
    binding.bind_output(value.name)
"""
_NCNN = """
import ncnn
net = ncnn.Net()
net.opt.num_threads = {threads}
net.opt.use_fp16_packed = net.opt.use_fp16_storage = net.opt.use_fp16_arithmetic = False
net.opt.use_bf16_packed = net.opt.use_bf16_storage = False
assert net.load_param({files[param]!r}) == 0 and net.load_model({files[bin]!r}) == 0
array = np.random.default_rng(0).standard_normal({shape}, np.float32)
mat = ncnn.Mat(array).clone()
output = net.output_names()[0]
def once():
    extractor = net.create_extractor()
    extractor.input("in0", mat)
    extractor.extract(output)
"""


def bare(model: Subject, threads: int, runs: int, scratch: Path) -> Way:
    """Return the bare loop of the runtime that opens the model."""
    if model.runtime == "litert":
        return _litert_benchmark(model, threads, runs, scratch)
    setup, call = {
        "onnxruntime": (_ONNXRUNTIME, "session.run_with_iobinding(binding)"),
        "ncnn": (_NCNN, "once()"),
    }[model.runtime]
    setup = setup.format(
        threads=threads,
        files={role: str(path) for role, path in model.files.items()},
        shape=model.specs[0].shape[1:] if model.specs else (),
    )
    code = _LOOP.format(setup=setup, call=call, warmup=WARMUP, runs=runs)
    return Way((sys.executable, "-P", "-c", code), lambda printed: float(printed.split()[-1]))


def _litert_benchmark(model: Subject, threads: int, runs: int, scratch: Path) -> Way:
    """Return ``litert-benchmark``, with the median that it reports itself."""
    result = scratch / "result.json"
    command = [
        *(sys.executable, "-P", "-m", "ai_edge_litert.tools.benchmark_litert_model"),
        *(f"--model={model.files['model']}", f"--num_threads={threads}"),
        *(f"--num_runs={runs}", f"--warmup_runs={WARMUP}", f"--result_json={result}"),
    ]

    def median_ns(printed: str) -> float:
        return float(json.loads(result.read_text())["latency"]["median_ms"]) * 1e6

    return Way(command, median_ns)


def measure(model: Subject, threads: int, pairs: int, runs: int) -> dict[str, object]:
    """Return the ratio of one network."""
    with tempfile.TemporaryDirectory() as folder:
        other = bare(model, threads, runs, Path(folder))
        ratio = compare(launch(model, threads, runs), other, pairs)
    return {"model": model.name, "runtime": model.runtime, "threads": threads, **ratio}


def main() -> int:
    options = parser(__doc__ or "")
    options.add_argument("--pairs", type=int, default=12)
    options.add_argument("--runs", type=int, default=400)
    asked = options.parse_args()
    models = (subject(path, tuple(asked.shape)) for path in asked.models)
    rows = (measure(model, asked.threads, asked.pairs, asked.runs) for model in models)
    show(rows, as_json=asked.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
