"""Every file of verdicts, read as those read it for whom it is made."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from device_tests.host.stand_ins.bench import Bench
from groundspeed.artifact import Artifact
from groundspeed.deploy.gate.budgets import Budget
from groundspeed.deploy.gate.comparing import Comparison, Contest, compare
from groundspeed.deploy.gate.decision import Rules, Verdict
from groundspeed.deploy.gate.gate import Judged, gather, held_to
from groundspeed.deploy.report.check_files import FILES
from groundspeed.deploy.report.check_plain import plain
from groundspeed.deploy.store.store import Store
from groundspeed.documents import to_plain

RULES = Rules()
NET = """
WIDTH = 3

def build():
    return WIDTH
"""


def named(artifact: Artifact, spec: str) -> Artifact:
    source = dataclasses.replace(artifact.manifest.source, spec=spec)
    return dataclasses.replace(
        artifact, manifest=dataclasses.replace(artifact.manifest, source=source)
    )


@pytest.fixture
def slower(contest: Callable[..., Contest], store: Store, bench: Bench) -> Comparison:
    one = contest(0.1)
    one = dataclasses.replace(one, candidate=named(one.candidate, "net.py:build"))
    found = compare(one, store=store, target=bench, rules=RULES, command="groundspeed check again")
    return held_to(found, Budget(max_ms=100, max_mb=1e-9), store, RULES)


@pytest.fixture
def judged(slower: Comparison) -> Judged:
    return gather([slower], RULES, missing=["new_net in ncnn, fp32"])


def test_bencher_reads_nanoseconds_with_their_limits(judged: Judged) -> None:
    (measures,) = json.loads(FILES["bencher"](judged)).values()
    latency = measures["latency"]
    assert latency["lower_value"] < latency["value"] < latency["upper_value"]
    assert latency["value"] == pytest.approx(1.1e6, rel=0.03)
    assert measures["file-size"]["value"] > 0


def test_github_action_benchmark_reads_what_should_be_small(judged: Judged) -> None:
    """Its reader wants a list of entries with a name, a unit and a number."""
    entries = json.loads(FILES["benchmark_action"](judged))
    assert {entry["unit"] for entry in entries} == {"ms", "bytes"}
    assert len({entry["name"] for entry in entries}) == len(entries)
    (latency,) = [entry for entry in entries if entry["unit"] == "ms"]
    assert latency["value"] == pytest.approx(1.1, rel=0.03)
    low, high = map(float, re.findall(r"[\d.]+", latency["range"]))
    assert low < latency["value"] < high


def test_sarif_points_at_the_line_that_makes_the_network(
    judged: Judged, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "net.py").write_text(NET)
    monkeypatch.chdir(tmp_path)
    log = json.loads(FILES["sarif"](judged))
    assert log["version"] == "2.1.0"
    (run,) = log["runs"]
    rules = {rule["id"] for rule in run["tool"]["driver"]["rules"]}
    assert [(one["ruleId"], one["level"]) for one in run["results"]] == [
        ("latency", "error"),
        ("budget", "error"),
    ]
    for result in run["results"]:
        assert result["ruleId"] in rules
        place = result["locations"][0]["physicalLocation"]
        assert place["artifactLocation"]["uri"] == "net.py"
        assert NET.splitlines()[place["region"]["startLine"] - 1] == "def build():"


def test_sarif_is_silent_about_what_has_no_place(
    judged: Judged, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert json.loads(FILES["sarif"](judged))["runs"][0]["results"] == []


def test_junit_counts_every_comparison_budget_and_missing_file(judged: Judged) -> None:
    suite = ElementTree.fromstring(FILES["junit"](judged))
    assert (suite.get("tests"), suite.get("failures"), suite.get("errors")) == ("4", "2", "1")
    assert len(suite.findall("testcase")) == 4
    assert len(suite.findall("testcase/failure")) == 2


def test_markdown_is_one_table_with_a_row_for_each_verdict(judged: Judged) -> None:
    rows = [line for line in FILES["markdown"](judged).splitlines() if line.startswith("| ")]
    assert len(rows) == 2 + 4
    assert {row.replace("\\|", "").count("|") for row in rows} == {7}


def test_the_page_has_a_picture_of_every_pair_and_the_command(judged: Judged) -> None:
    page = FILES["report"](judged)
    (comparison,) = judged.comparisons
    assert comparison.evidence is not None
    figures = re.findall(r'<script type="application/json">(.*?)</script>', page, re.DOTALL)
    (figure,) = map(json.loads, figures)
    pairs, looks = figure["data"][:2]
    assert len(pairs["x"]) == comparison.evidence.pairs
    assert looks["x"] == [comparison.evidence.pairs]
    assert "groundspeed check again" in page
    assert "<script src" not in page


def test_machines_get_every_pair(judged: Judged) -> None:
    text = json.dumps(to_plain(plain(judged)), allow_nan=False)
    (one,) = json.loads(text)["comparisons"]
    assert one["evidence"]["estimate"] == pytest.approx(np.mean(one["pairs"]))
    assert one["budget"][0]["verdict"] == "pass"


@pytest.mark.parametrize("name", FILES)
def test_what_was_not_measured_is_written_too(
    make_artifact: Callable[..., Artifact], name: str
) -> None:
    same = make_artifact("same")
    comparison = Comparison(
        contest=Contest(baseline=same, candidate=same),
        device="local",
        verdict=Verdict.PASS,
        problem="candidate and baseline are the same file",
    )
    text = FILES[name](gather([comparison], RULES))
    assert "NaN" not in text or name == "report"  # the page carries a library of pictures
    assert "Infinity" not in text or name == "report"
