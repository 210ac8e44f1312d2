"""``groundspeed guidelines`` from end to end, on networks of one small block."""

from __future__ import annotations

import json
from pathlib import Path

from device_tests.host.conftest import Groundspeed

SMALL = ("--runtimes", "ncnn", "--blocks", "1", "--size", "8", "--rounds", "1")


def test_networks_are_measured_and_judged(groundspeed: Groundspeed, tmp_path: Path) -> None:
    done = groundspeed("guidelines", "g4", *SMALL, "--markdown", "m.md", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    (table,) = document["tables"]
    assert (table["guideline"], table["runtime"], table["width"]) == ("G4", "ncnn", 1)
    assert [row["variant"] for row in table["variants"]] == ["neither", "shortcut", "ReLU", "both"]
    # 1x1 from 32 to 8 channels, 3x3, 1x1 back, on 8 x 8 positions.
    assert {row["macs"] for row in table["variants"]} == {(2 * 32 * 8 + 9 * 8 * 8) * 64}
    assert all(row["latency"]["estimate_ns"] > 0 for row in table["variants"])
    assert table["rounds"] == 1
    assert table["verdict"] == "inconclusive"  # one round decides nothing
    assert "A verdict needs 5 rounds" in Path(tmp_path, "m.md").read_text()
    assert 'class="figure"' in Path(tmp_path, document["report"]).read_text()


def test_what_the_paper_does_not_have_is_bad_use(groundspeed: Groundspeed, tmp_path: Path) -> None:
    assert groundspeed("guidelines", "G5", cwd=tmp_path).returncode == 2
    done = groundspeed("guidelines", "--widths", "3", cwd=tmp_path)
    assert done.returncode == 2
    assert "its widths are 1, 2 and 4" in done.stderr
    done = groundspeed("guidelines", "--precision", "fp32,int8", cwd=tmp_path)
    assert done.returncode == 2
    assert "int8 needs data" in done.stderr
    assert not list(tmp_path.iterdir())


def test_one_device_at_a_time(groundspeed: Groundspeed, tmp_path: Path) -> None:
    done = groundspeed("guidelines", "--on", "local,pi5", cwd=tmp_path)
    assert done.returncode == 2
    assert "one device is judged at a time" in done.stderr
