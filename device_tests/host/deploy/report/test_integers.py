"""What the report says of files with integers, beside the float file of the same runtime."""

from __future__ import annotations

import io
import re
from dataclasses import replace

import pytest
from rich.console import Console

from groundspeed.artifact import Manifest
from groundspeed.deploy.report import integer_charts, integers
from groundspeed.deploy.report.content import Measured, ReportData, networks
from groundspeed.deploy.report.page import page
from groundspeed.deploy.report.terminal import summary
from groundspeed.measurement import Launch, OpProfile, ProfiledOp
from groundspeed.mixing import Candidate, Counterfactual, Estimate, LayerGain, Mixing
from groundspeed.quantization import Calibration, LayerLoss, Quantization, Range

MS = 1_000_000
LOSSES = (
    LayerLoss(op="fc", module="head", sqnr_db=31.5, output_sqnr_db=42.25),
    LayerLoss(op="conv", module="stage.0.conv", sqnr_db=24.5, output_sqnr_db=26.75),
)


def integer_profile() -> OpProfile:
    """Two conversions of 0.5 ms, a reorder of 0.25, and a convolution that lost its activation.

    The float file takes 1 ms for the fused convolution; here it is 1.25 ms in two ops.
    """
    times = {
        ProfiledOp(name="q", type="QuantizeLinear", outputs=("q",)): MS // 2,
        ProfiledOp(name="n0", type="QLinearConv", outputs=("conv8",)): MS,
        ProfiledOp(name="n1", type="Relu", outputs=("a",)): MS // 4,
        ProfiledOp(name="r", type="ReorderOutput", inserted=True): MS // 4,
        ProfiledOp(name="n2", type="Transpose", outputs=("b",)): MS // 2,
        ProfiledOp(name="n3", type="QLinearMatMul", outputs=("c",)): MS // 8,
        ProfiledOp(name="d", type="DequantizeLinear", outputs=("d",)): MS // 2,
    }
    return OpProfile(
        ops=tuple(times),
        times_ns=tuple((time,) * 8 for time in times.values()),
        profiled_ns=(int(3.2 * MS),) * 8,
        plain_ns=(3 * MS,) * 8,
    )


def integer_manifest(floats: Manifest) -> Manifest:
    assert floats.parity is not None
    (agreement,) = floats.parity.agreements
    (file,) = floats.files
    return replace(
        floats,
        precision="int8",
        files=(replace(file, size_bytes=file.size_bytes // 4),),
        tensors={"conv8": "conv", "a": "relu", "b": "shuffle", "c": "fc"},
        parity=replace(
            floats.parity, agreements=(replace(agreement, max_relative=0.034, top1=0.75),)
        ),
        quantization=Quantization(
            calibration=Calibration(
                observer="entropy",
                data="/data/<photos>",
                samples=64,
                ranges={"x": Range(low=-1.0, high=1.0)},
                notes=("3 broken images were left out",),
            ),
            float_ops={"fc": "its scale underflows"},
        ),
        losses=LOSSES,
    )


def at(launch: Launch, median_ns: float) -> Launch:
    return replace(launch, samples_ns=tuple(int(median_ns) + 1000 * k for k in range(-5, 6)))


def quantized(floats: Measured, medians_ms: list[float], precision: str = "int8") -> Measured:
    assert floats.profile is not None
    launches = tuple(at(floats.launches[0], MS * median) for median in medians_ms)
    return replace(
        floats,
        precision=precision,
        manifest=replace(integer_manifest(floats.manifest), precision=precision),
        launches=launches,
        profile=replace(floats.profile, profile=integer_profile()),
    )


@pytest.fixture
def slower(data: ReportData) -> ReportData:
    floats = data.measured[0]
    return ReportData(measured=(floats, quantized(floats, [2.98, 3.0, 3.02])))


def one_cell(data: ReportData) -> integers.IntegerCell:
    (network,) = networks(data)
    (cell,) = integers.integer_cells(network)
    return cell


def words(data: ReportData) -> str:
    html = re.sub(r"<(script|style)>.*?</\1>", "", page(data), flags=re.DOTALL)
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", html))


def test_integers_are_held_against_the_float_file_of_their_runtime(slower: ReportData) -> None:
    one = one_cell(slower)
    assert one.ratio is not None
    assert one.ratio.value == pytest.approx(1.5, rel=1e-3)
    assert one.ratio.interval is not None
    low, high = one.ratio.interval
    assert 1.4 < low < 1.5 < high < 1.6
    assert (one.size_ratio, one.parity_error, one.same_top1) == (0.25, 0.034, 0.75)


def test_the_ops_to_blame_are_named_with_their_times(slower: ReportData) -> None:
    blame = one_cell(slower).blame
    assert blame is not None
    times = {each.what: (each.ops, each.ns, each.float_ns) for each in blame.overheads}
    assert times == {
        "quantize/dequantize": (2, pytest.approx(MS), 0.0),
        "inserted by the runtime (reorder, change of layout)": (1, pytest.approx(MS / 4), 0.0),
    }
    (piece,) = blame.slower  # the shuffle takes as long as before, the linear layer less
    assert piece.module == "stage.0.conv"
    assert piece.executed == ("QLinearConv", "Relu")
    assert (piece.ns, piece.float_ns) == (pytest.approx(1.25 * MS), pytest.approx(MS))


@pytest.mark.parametrize("medians", [[1.0, 1.01, 0.99], [1.5, 3.0, 4.0], [9.0]])
def test_nobody_is_blamed_unless_integers_are_slower_beyond_doubt(
    data: ReportData, medians: list[float]
) -> None:
    floats = data.measured[0]
    measured = ReportData(measured=(floats, quantized(floats, medians)))
    assert not one_cell(measured).is_slower
    assert one_cell(measured).blame is None
    assert "is slower than fp32" not in words(measured)


def test_the_page_flags_a_slower_file_in_red(slower: ReportData) -> None:
    assert re.search(r'<td class="bad">1\.50 \[', page(slower))
    text = words(slower)
    assert "onnxruntime · int8 is slower than fp32" in text
    assert "quantize/dequantize 2 ops 1.00 0.000" in text
    assert "stage.0.conv QLinearConv, Relu 1.25 1.00" in text


def test_without_profiles_the_page_says_that_nobody_can_be_blamed(slower: ReportData) -> None:
    bare = replace(slower, measured=tuple(replace(one, profile=None) for one in slower.measured))
    assert one_cell(bare).is_slower
    assert "Without a profile of both files" in words(bare)


def test_the_page_says_what_stayed_in_floats_and_what_ranges_came_from(slower: ReportData) -> None:
    text = words(slower)
    assert "head fc its scale underflows" in text
    for expected in ("entropy", "/data/&lt;photos&gt;", "64", "3 broken images were left out"):
        assert expected in text
    assert "Simulated on calibration data" in text


def test_layers_are_listed_the_worst_first(slower: ReportData) -> None:
    (network,) = networks(slower)
    ((names, losses),) = integers.losses(integers.integer_cells(network))
    assert names == "onnxruntime · int8"
    assert [loss.op for loss in losses] == ["conv", "fc"]
    (bars,) = integer_charts.layer_errors(losses).data
    assert list(bars.x) == [26.75, 42.25]
    assert "stage.0.conv conv 26.8 24.5" in words(slower)


def test_only_the_worst_layers_get_a_bar() -> None:
    endless = replace(LOSSES[0], output_sqnr_db=float("inf"))
    many = [replace(LOSSES[0], output_sqnr_db=float(k)) for k in range(30)]
    (bars,) = integer_charts.layer_errors([endless, *many]).data
    assert list(bars.x) == [float(k) for k in range(20)]
    assert integers.decibels(endless.output_sqnr_db) == "no noise"


def test_what_several_files_share_is_said_once(data: ReportData) -> None:
    both = [quantized(floats, [1.0, 1.01]) for floats in data.measured]
    (network,) = networks(ReportData(measured=(*data.measured, *both)))
    ((names, _),) = integers.calibrations(integers.integer_cells(network))
    assert names == "onnxruntime · int8, ncnn · int8"


def test_integers_in_weights_alone_show_no_calibration(data: ReportData) -> None:
    one = quantized(data.measured[0], [1.0, 1.01], "int8_weight_only")
    bare = replace(one, manifest=replace(one.manifest, quantization=Quantization()))
    assert "Calibration" not in words(ReportData(measured=(bare,)))


def test_without_a_float_file_there_is_no_ratio(data: ReportData) -> None:
    alone = ReportData(measured=(quantized(data.measured[0], [1.0, 1.01]),))
    one = one_cell(alone)
    assert (one.ratio, one.size_ratio, one.name) == (None, None, "onnxruntime · int8")
    assert "no float file" in words(alone)


def test_a_run_of_floats_has_no_such_section(data: ReportData) -> None:
    assert "Quantization" not in words(data)


def test_the_terminal_has_one_line_a_file_and_the_worst_culprit(slower: ReportData) -> None:
    output = io.StringIO()
    Console(file=output, width=120).print(summary(slower))
    lines = [line.rstrip() for line in output.getvalue().splitlines()]
    start = lines.index("Integers against fp32 in the same runtime")
    assert "1.50 [" in lines[start + 2]
    assert "0.25" in lines[start + 2]
    assert "3.4 %" in lines[start + 2]
    assert lines[start + 3] == (
        "onnxruntime · int8 is slower than fp32: 1.00 ms more in quantize/dequantize"
    )


def mixing() -> Mixing:
    measured = Counterfactual(
        float_ns=2.0 * MS,
        mixed_ns=1.8 * MS,
        ratio=Estimate(value=0.9, low=0.85, high=0.95),
        rounds=5,
        drop=0.25,
    )
    gain = LayerGain(
        op="conv",
        module="stage.0.conv",
        float_ns=1.0 * MS,
        int8_ns=0.8 * MS,
        gain_ns=None,
        output_sqnr_db=26.75,
    )
    return Mixing(
        search="greedy",
        target="local",
        threads=1,
        max_drop=0.5,
        judged_by="top-1 accuracy",
        judged_on="fashion-mnist",
        samples=200,
        float_ns=2.0 * MS,
        int8_ns=1.9 * MS,
        layers=(gain,),
        others=(),
        candidates=(
            Candidate(layers=(), drop=0.0, predicted_ns=2.0 * MS),
            Candidate(layers=("conv",), drop=0.2, predicted_ns=1.75 * MS, measured=measured),
        ),
        front=(0, 1),
        chosen=1,
        why="it is the fastest <proven> one",
    )


def test_a_mixed_file_shows_what_it_was_chosen_from(data: ReportData) -> None:
    floats = data.measured[0]
    mixed = quantized(floats, [1.8, 1.81, 1.79], "auto")
    mixed = replace(mixed, manifest=replace(mixed.manifest, mixing=mixing()))
    assert "it is the fastest &lt;proven&gt; one" in words(ReportData(measured=(floats, mixed)))


def test_the_front_is_drawn_with_what_was_measured() -> None:
    traces = {trace.name: trace for trace in integer_charts.front(mixing()).data}
    assert list(traces["Pareto front"].x) == [0.0, 0.2]
    assert list(traces["Pareto front"].y) == [2.0, 1.75]
    assert list(traces["measured"].y) == [1.8]
    assert list(traces["measured"].error_y.array) == pytest.approx([0.1])
    assert list(traces["chosen"].x) == [0.2]
