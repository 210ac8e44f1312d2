from __future__ import annotations

from dataclasses import replace

import pytest

from groundspeed.deploy.report import tables
from groundspeed.deploy.report.conditions import UNKNOWN, about, around, machines, warnings
from groundspeed.deploy.report.content import ReportData, networks


def test_cells_are_compared_with_the_fastest(data: ReportData) -> None:
    (network,) = networks(data)
    assert [cell.label for cell in network.cells] == ["onnxruntime", "ncnn"]
    assert [cell.ratio for cell in network.cells] == pytest.approx([1.0, 1.5], rel=1e-4)
    assert network.fastest is network.cells[0]
    assert not network.cells[0].overlaps(network.cells[1])


def test_the_shares_of_all_patterns_and_the_rest_add_up_to_one(data: ReportData) -> None:
    (network,) = networks(data)
    rows = tables.patterns(network)
    named = {row.name: row.entries[0] for row in rows}
    shares = {name: entry.share for name, entry in named.items() if entry is not None}
    assert shares == pytest.approx(
        {
            "pointwise convolution": 0.5,
            "data movement": 0.25,
            "linear": 0.125,
            tables.REST: 0.125,
        }
    )


def test_modules_are_those_of_the_users_source(data: ReportData) -> None:
    (network,) = networks(data)
    rows = tables.modules(network)
    assert [row.path for row in rows] == ["", "stage", "stage.0", "stage.0.conv", "head"]
    assert [row.depth for row in rows] == [0, 1, 2, 3, 1]
    assert rows[3].line == "/home/someone/net.py:10"
    first = rows[2].entries[0]
    assert first is not None
    assert first.ns == pytest.approx(1.5e6)


def test_a_network_without_any_measurement_is_still_listed(data: ReportData) -> None:
    (network,) = networks(ReportData(measured=(), failures=data.failures))
    assert (network.name, network.cells, len(network.failures)) == ("net<1>", (), 1)


def test_a_busy_machine_is_warned_about(data: ReportData, busy: ReportData) -> None:
    assert warnings(data) == ()
    (sentence,) = warnings(busy)
    assert "load average up to 9.0 on 4 CPUs" in sentence


def test_one_sentence_stands_for_many_of_its_sort(data: ReportData) -> None:
    one = data.measured[0]
    hot = replace(one.launches[0], after=replace(one.launches[0].after, throttled=True))
    throttled = replace(one, launches=(hot, *one.launches[1:]))
    (sentence,) = warnings(replace(data, measured=(throttled,) * 6))
    launches = 6 * len(one.launches)
    assert f"6 of 6 measured files: 6 of {launches} launches were throttled" in sentence
    few = warnings(replace(data, measured=(throttled,) * 3))
    assert len(few) == 3
    assert all(one.network in each for each in few)


def test_what_could_not_be_read_says_so(data: ReportData) -> None:
    (machine,) = machines(data)
    assert dict(about(machine))["frequency governor"] == UNKNOWN
    states = dict(around(data.measured[0].launches))
    assert states["clock"] == UNKNOWN
    assert states["temperature"] == "51 °C"


def test_what_makes_a_latency_less_than_it_seems_stands_in_its_name(data: ReportData) -> None:
    one, other = data.measured
    hot = replace(one.launches[0], after=replace(one.launches[0].after, throttled=True))
    virtual = [
        replace(launch, machine=replace(launch.machine, emulated=True)) for launch in other.launches
    ]
    marked = replace(
        data,
        measured=(
            replace(one, launches=(hot, *one.launches[1:])),
            replace(other, launches=tuple(virtual)),
        ),
    )
    (network,) = networks(marked)
    assert [cell.label for cell in network.cells] == ["onnxruntime · throttled", "ncnn · emulated"]
    sentences = " ".join(warnings(marked))
    assert "1 of" in sentences
    assert "held its clocks down" in sentences
