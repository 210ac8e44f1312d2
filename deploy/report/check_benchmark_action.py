"""A gate's candidates as github-action-benchmark reads them with ``customSmallerIsBetter``.

Spec: https://github.com/benchmark-action/github-action-benchmark#examples. It draws a history; its
own alarm compares yesterday's number with today's, so leave it off and let the gate judge.
"""

from __future__ import annotations

import json
from typing import Any

from groundspeed.deploy.gate.gate import Judged
from groundspeed.deploy.report.check_text import ratio, title
from groundspeed.deploy.statistics import estimate, interval


def benchmark_action(judged: Judged) -> str:
    """Return the latency of each candidate that was measured, and the size of each."""
    found: list[dict[str, Any]] = []
    for one in judged.comparisons:
        medians = list(one.result.cells[1].medians_ns.values()) if one.result else []
        if medians:
            entry = {"name": title(one), "unit": "ms", "value": estimate(medians) / 1e6}
            if ends := interval(medians):
                entry["range"] = f"{ends.low_ns / 1e6:.4g} to {ends.high_ns / 1e6:.4g}"
            entry["extra"] = f"{one.verdict}: candidate ÷ baseline {ratio(one)}"
            found.append(entry)
        size = sum(file.size_bytes for file in one.contest.candidate.manifest.files)
        found.append({"name": f"{title(one)}, files", "unit": "bytes", "value": size})
    return json.dumps(found, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
