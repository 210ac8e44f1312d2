"""The whole product in one small test: a network in a user's file, measured in every runtime."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

from groundspeed.artifact import Artifact

Groundspeed = Callable[..., subprocess.CompletedProcess[str]]

NETWORK = f"{Path(__file__).with_name('user_networks.py')}:tiny"


def test_from_a_users_network_to_a_report(groundspeed: Groundspeed, tmp_path: Path) -> None:
    done = groundspeed("run", NETWORK, "--rounds", "2", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)

    cells = {cell["runtime"]: cell for cell in result["cells"]}
    assert set(cells) == {"onnxruntime", "litert", "ncnn"}
    for cell in cells.values():
        assert cell["latency"]["estimate_ns"] > 0
        assert cell["launches"] == 2
        # Every multiplication of the network was seen to run: the stem's, the unit's, the head's.
        macs = sum(kind["macs"] for kind in cell["breakdown"]["kinds"])
        assert macs == 8 * 27 * 16**2 + 4 * (4 + 9) * 16**2 + 8 * 10

        kept = Artifact.open(tmp_path / "groundspeed-results" / "artifacts" / cell["artifact"])
        assert kept.manifest.parity is not None
        assert kept.manifest.parity.passed

    page = (tmp_path / result["report"]).read_text()
    assert all(runtime in page for runtime in cells)
    assert "<script src=" not in page

    history = json.loads(groundspeed("history", "--json", cwd=tmp_path).stdout)
    assert len(history) == 3
