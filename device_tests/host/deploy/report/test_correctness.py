"""Accuracy in a report: intervals, failures, and the picture."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest
from rich.console import Console

from groundspeed.deploy.accuracy import Proportion
from groundspeed.deploy.evaluation import Evaluation, Scored
from groundspeed.deploy.report.accuracy_chart import against_latency, drawn
from groundspeed.deploy.report.content import ReportData, networks
from groundspeed.deploy.report.correctness import judged_by, scored_cells, share
from groundspeed.deploy.report.page import page
from groundspeed.deploy.report.terminal import summary
from groundspeed.deploy.store.rows import StoredEvaluation


def evaluated(right: int, *, labelled: bool = True) -> StoredEvaluation:
    network = Scored(
        name="net in PyTorch",
        runtime="pytorch",
        precision="fp32",
        size_bytes=None,
        top1=Proportion.of(93, 100) if labelled else None,
    )
    row = Scored(
        name="net in ncnn",
        runtime="ncnn",
        precision="fp32",
        size_bytes=1,
        top1=Proportion.of(right, 100) if labelled else None,
        agreement=Proportion.of(98, 100),
        lost=3 if labelled else None,
        gained=1 if labelled else None,
        sqnr_db=31.25,
    )
    evaluation = Evaluation(
        data="100 pictures",
        samples=100,
        labelled=labelled,
        reference=network.name,
        rows=(network, row),
        notes=("prepared as usual",),
    )
    return StoredEvaluation(evaluated_at="2026-11-22T20:05:00+00:00", evaluation=evaluation)


def with_evaluations(data: ReportData, *found: StoredEvaluation) -> ReportData:
    """Return a report of one cell for each evaluation."""
    template = data.measured[1]
    cells = [
        replace(template, threads=1 + place, evaluation=one) for place, one in enumerate(found)
    ]
    return replace(data, measured=tuple(cells))


def printed(data: ReportData) -> str:
    output = io.StringIO()
    Console(file=output, width=160).print(summary(data))
    return output.getvalue()


@pytest.mark.parametrize("show", [printed, page])
def test_accuracy_stands_beside_latency_and_size(data: ReportData, show) -> None:
    text = show(with_evaluations(data, evaluated(91)))
    low, high = Proportion.of(91, 100).low, Proportion.of(91, 100).high
    assert f"91.0 % [{100 * low:.1f}, {100 * high:.1f}]" in text
    assert "98.0 % [" in text
    assert "100 pictures, compared with net in PyTorch, whose top-1 is 93.0 %" in " ".join(
        text.split()
    )
    line = next(line for line in text.splitlines() if "9.22 MB" in line and "3.00" in line)
    assert line


@pytest.mark.parametrize("show", [printed, page])
def test_a_failed_evaluation_says_why_beside_those_that_worked(data: ReportData, show) -> None:
    failed = StoredEvaluation(evaluated_at="", error="it answered NaN")
    text = show(with_evaluations(data, evaluated(91), failed))
    assert "91.0 %" in text
    assert "it answered NaN" in text or "failed" in text


def test_without_test_data_nothing_is_said(data: ReportData) -> None:
    assert "Accuracy" not in printed(data)
    assert "<h3>Accuracy</h3>" not in page(data)


def test_it_says_where_the_files_were_computed(data: ReportData) -> None:
    here = evaluated(91)
    assert here.evaluation is not None
    there = replace(here, evaluation=replace(here.evaluation, device="pi5"))
    assert "computed on this machine" in page(with_evaluations(data, here))
    assert "computed on pi5" in page(with_evaluations(data, there))


def test_three_points_make_a_picture(data: ReportData) -> None:
    two = with_evaluations(data, evaluated(91), evaluated(92))
    three = with_evaluations(data, evaluated(91), evaluated(92), evaluated(80))
    assert "Accuracy against latency" not in page(two)
    assert "Accuracy against latency" in page(three)
    (network,) = networks(three)
    cells = scored_cells(network)
    points = against_latency(cells).data
    assert [point.y[0] for point in points] == pytest.approx([91, 92, 80])
    assert points[0].x[0] == pytest.approx(3.0, rel=1e-3)
    wilson = Proportion.of(80, 100)
    assert points[2].error_y.array[0] == pytest.approx(100 * (wilson.high - 0.8))
    assert points[2].error_y.arrayminus[0] == pytest.approx(100 * (0.8 - wilson.low))


def test_without_labels_the_picture_is_of_agreement(data: ReportData) -> None:
    cells = with_evaluations(data, *[evaluated(0, labelled=False)] * 3)
    (network,) = networks(cells)
    scored = scored_cells(network)
    assert judged_by(scored).startswith("same best class")
    assert [point.y[0] for point in against_latency(scored).data] == pytest.approx([98] * 3)
    assert share(None) == "\N{EN DASH}"


def test_a_failed_cell_has_no_point(data: ReportData) -> None:
    failed = StoredEvaluation(evaluated_at="", error="it crashed")
    (network,) = networks(with_evaluations(data, *[evaluated(91)] * 3, failed))
    assert len(drawn(scored_cells(network))) == 3


def test_cells_that_share_a_color_differ_in_their_symbol(data: ReportData) -> None:
    (network,) = networks(with_evaluations(data, *[evaluated(91)] * 12))
    markers = [point.marker for point in against_latency(scored_cells(network)).data]
    assert len({(marker.color, marker.symbol) for marker in markers}) == 12


def test_a_wide_interval_does_not_squeeze_the_others(data: ReportData) -> None:
    report = with_evaluations(data, evaluated(91), evaluated(92), evaluated(80))
    *tame, wild = report.measured
    once = wild.launches[0]
    slower = replace(once, samples_ns=tuple(20 * each for each in once.samples_ns))
    wild = replace(wild, launches=(once, slower))
    (network,) = networks(replace(report, measured=(*tame, wild)))
    figure = against_latency(scored_cells(network))
    slowest = max(point.x[0] for point in figure.data)
    assert max(point.x[0] + point.error_x.array[0] for point in figure.data) > 100 * slowest
    assert slowest < figure.layout.xaxis.range[1] < 2 * slowest
