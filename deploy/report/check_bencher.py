"""A gate's candidates as Bencher reads them: Bencher Metric Format.

Spec: https://bencher.dev/docs/reference/bencher-metric-format/. Latency is in nanoseconds there,
sizes in bytes. They are for a history; the verdict does not come from them.
"""

from __future__ import annotations

import json
from typing import Any

from groundspeed.deploy.gate.gate import Judged
from groundspeed.deploy.report.check_text import title
from groundspeed.deploy.statistics import estimate, interval


def bencher(judged: Judged) -> str:
    """Return latency (where it was measured) and size of each candidate."""
    found: dict[str, dict[str, Any]] = {}
    for one in judged.comparisons:
        files = one.contest.candidate.manifest.files
        measures: dict[str, Any] = {"file-size": {"value": sum(file.size_bytes for file in files)}}
        medians = list(one.result.cells[1].medians_ns.values()) if one.result else []
        if medians:
            measures["latency"] = {"value": estimate(medians)}
            if ends := interval(medians):
                measures["latency"] |= {"lower_value": ends.low_ns, "upper_value": ends.high_ns}
        found[title(one)] = measures
    return json.dumps(found, indent=1, allow_nan=False) + "\n"
