"""Gains of layers from planted times, and what they predict."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from groundspeed.deploy.mixing.counterfactual import compare
from groundspeed.deploy.mixing.table import Table, Times, make_table
from groundspeed.measurement import Conditions, Launch, Machine, Options
from groundspeed.quantization import LayerLoss

times = st.floats(1, 1e6)


def loss(op: str) -> LayerLoss:
    return LayerLoss(op=op, module=op, sqnr_db=30.0, output_sqnr_db=40.0)


def table_of(floats: dict[str, float], integers: dict[str, float], whole: float) -> Table:
    """Return the table of two pairs of equal launches."""
    before = Times(layers=floats, others={"element-wise": 10.0}, whole=1000.0)
    after = Times(layers=integers, others={"quantize/dequantize": 50.0}, whole=whole)
    return make_table([loss(op) for op in floats], [before, before], [after, after])


def launch(median_ns: int) -> Launch:
    conditions = Conditions(at="2026-01-01T00:00:00+00:00")
    return Launch(
        runtime="ncnn",
        runtime_version="1",
        runtime_build="",
        options=Options(),
        cpus_granted=(0,),
        load_ns=1,
        first_run_ns=1,
        warmup_ns=(),
        steady=True,
        samples_ns=(median_ns,) * 3,
        peak_memory_bytes=None,
        baseline_memory_bytes=None,
        machine=Machine(name="m", model=None, architecture="x", system="s", cpus=1),
        before=conditions,
        after=conditions,
    )


@given(st.dictionaries(st.sampled_from("abcdef"), st.tuples(times, times), min_size=1), times)
def test_predictions_are_exact_for_the_files_that_were_measured(
    layers: dict[str, tuple[float, float]], whole: float
) -> None:
    floats = {op: before for op, (before, _) in layers.items()}
    integers = {op: after for op, (_, after) in layers.items()}
    table = table_of(floats, integers, whole)
    assert table.predicted_ns(frozenset()) == 1000.0
    assert table.predicted_ns(frozenset(layers)) == pytest.approx(whole, rel=1e-6, abs=1e-6)


def test_what_belongs_to_no_layer_is_spread_over_the_layers() -> None:
    # The layers save 60 + 20, the whole only 40: elsewhere, 40 are lost.
    table = table_of({"a": 100.0, "b": 50.0}, {"a": 40.0, "b": 30.0}, whole=960.0)
    assert table.predicted_ns(frozenset({"a"})) == pytest.approx(1000 - 60 + 20)
    assert {(each.kind, each.float_ns, each.int8_ns) for each in table.others} == {
        ("element-wise", 10.0, 0.0),
        ("quantize/dequantize", 0.0, 50.0),
    }


def test_a_layer_that_a_profile_misses_has_no_gain() -> None:
    table = table_of({"a": 100.0, "b": 50.0}, {"a": 40.0}, whole=960.0)
    _, missed = table.layers
    assert (missed.float_ns, missed.int8_ns, missed.gain_ns) == (50.0, None, None)


def test_a_gain_is_told_with_students_interval_over_pairs() -> None:
    before, after = [100.0, 120.0, 110.0], [50.0, 75.0, 61.0]
    table = make_table(
        [loss("a")],
        [Times(layers={"a": time}, others={}, whole=1.0) for time in before],
        [Times(layers={"a": time}, others={}, whole=1.0) for time in after],
    )
    gain = table.layers[0].gain_ns
    assert gain is not None
    saved = np.subtract(before, after)
    expected = stats.t.interval(0.95, len(saved) - 1, saved.mean(), stats.sem(saved))
    assert (gain.low, gain.high) == pytest.approx(expected)


def test_files_are_compared_round_by_round_so_that_a_slow_round_does_not_count() -> None:
    floats = [1000, 2000, 1000, 4000]
    mixed = [901, 1799, 899, 3602]
    compared = compare(
        [launch(each) for each in floats], [launch(each) for each in mixed], drop=0.25
    )
    assert compared.ratio.value == pytest.approx(0.9, abs=1e-3)
    assert 0.898 < compared.ratio.low < compared.ratio.high < 0.902
    assert compared.mixed_ns / compared.float_ns == pytest.approx(compared.ratio.value)
    assert (compared.rounds, compared.drop) == (4, 0.25)
    assert math.isclose(compared.float_ns, stats.gmean(floats))


def test_a_layer_that_is_broken_has_no_gain_and_is_not_chosen_from() -> None:
    before = Times(layers={"a": 90.0, "b": 50.0}, others={}, whole=1000.0)
    after = Times(layers={"a": 30.0, "b": 50.0}, others={}, whole=960.0)
    table = make_table(
        [loss("a"), loss("b")], [before, before], [after, after], broken=frozenset("b")
    )
    assert [layer.op for layer in table.choosable] == ["a"]
    broken = table.layers[1]
    assert (broken.float_ns, broken.int8_ns, broken.gain_ns) == (50.0, None, None)
    assert table.predicted_ns(frozenset("a")) == pytest.approx(960.0)


def test_without_an_integer_file_there_is_the_float_files_time_alone() -> None:
    before = Times(layers={"a": 90.0}, others={"element-wise": 10.0}, whole=1000.0)
    table = make_table([loss("a")], [before, before], [], broken=frozenset("a"))
    assert (table.int8_ns, table.others, table.choosable) == (None, (), ())
    assert table.layers[0].float_ns == 90.0
    assert table.predicted_ns(frozenset()) == 1000.0
