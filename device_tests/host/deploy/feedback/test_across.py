"""One network as two made-up runtimes execute it."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from device_tests.host.deploy.feedback.by_hand import op, profiled
from groundspeed.artifact import Manifest
from groundspeed.deploy.feedback.across import Across, Fate, across
from groundspeed.deploy.feedback.breakdown import Breakdown, break_down
from groundspeed.deploy.report.across_table import across_table, notes
from groundspeed.documents import to_plain
from groundspeed.errors import UsageError
from groundspeed.ops import OpKind

OPS = [
    op("conv", OpKind.CONVOLUTION, "stem.conv", macs=100),
    op("silu", OpKind.ACTIVATION, "stem.act", inputs=("conv",)),
    op("flatten", OpKind.DATA_MOVEMENT, "", inputs=("silu",), costs=0),
    op("linear", OpKind.LINEAR, "head", macs=10, inputs=("flatten",)),
]
FUSING = (
    {"s": "silu", "l": "linear"},
    [("FusedConv", "s"), ("ReorderOutput", ""), ("Gemm", "l")],
    [(), (0,), (1,)],
)
SPLITTING = (
    {"c": "conv", "s": "silu", "l": "linear"},
    [("CONV_2D", "c"), ("LOGISTIC", "?"), ("MUL", "s"), ("FULLY_CONNECTED", "l"), ("Stage", "??")],
    [(), (0,), (0, 1), (2,), ()],
)

Ran = tuple[dict[str, str], list[tuple[str, str]], list[tuple[int, ...]]]


def run(ran: Ran, digest: str = "") -> tuple[Manifest, Breakdown]:
    tensors, executed, reads = ran
    manifest, profile = profiled(OPS, tensors, executed, reads=reads, digest=digest)
    return manifest, break_down(manifest, profile)


@pytest.fixture
def both() -> Across:
    return across({"fusing": run(FUSING), "splitting": run(SPLITTING)})


def test_rows_are_lines_of_modules_in_order_and_what_is_not_tied_comes_last(both: Across) -> None:
    assert both.columns == ("fusing", "splitting")
    assert [(row.module, row.line, [one.op.name for one in row.ops]) for row in both.rows] == [
        ("stem.conv", "net.py:4", ["conv"]),
        ("stem.act", "net.py:4", ["silu"]),
        ("", "net.py:7", ["flatten"]),
        ("head", "net.py:6", ["linear"]),
        ("head", "", []),
    ]


def test_each_runtime_says_what_it_made_of_an_op(both: Across) -> None:
    made = {one.op.name: one.made for row in both.rows for one in row.ops}
    fates = {name: tuple(one.fate for one in each) for name, each in made.items()}
    assert fates == {
        "conv": (Fate.COMPUTED, Fate.COMPUTED),
        "silu": (Fate.FUSED, Fate.SPLIT),
        "flatten": (Fate.VANISHED, Fate.VANISHED),
        "linear": (Fate.COMPUTED, Fate.COMPUTED),
    }
    fused, split = made["silu"]
    assert (fused.into, fused.words) == ("conv", ("FusedConv",))
    assert split.words == ("LOGISTIC", "MUL")


def test_times_are_where_the_executed_ops_are_shown_and_none_is_lost(both: Across) -> None:
    times = {row.module + row.line: [entry.ns for entry in row.entries] for row in both.rows}
    assert times == {
        "stem.convnet.py:4": [10, 10],
        "stem.actnet.py:4": [20, 20 + 30],  # the reorder moves the activation's values
        "net.py:7": [0, 0],
        "headnet.py:6": [30, 40],
        "head": [0, 50],
    }
    act = both.rows[1].entries[0]
    assert (act.executed, act.inserted, act.inserted_ns) == (1, 1, 20)
    assert act.share == pytest.approx(20 / 900)


def test_a_layer_without_an_executed_op_is_told() -> None:
    row = across({"lost": run(({}, [("Mystery", "?")], [()]))}).rows[0]
    assert row.ops[0].made[0].fate is Fate.UNKNOWN
    assert notes(row, 0) == "conv not found"


def test_files_of_two_networks_do_not_stand_side_by_side() -> None:
    with pytest.raises(UsageError, match="one, other were not made from one network"):
        across({"one": run(FUSING, "a"), "other": run(SPLITTING, "b")})


def test_the_table_shows_the_costliest_rows_and_sums_up_the_others(both: Across) -> None:
    out = io.StringIO()
    console = Console(file=out, width=200)
    console.print(across_table(both, network="net", most=3))
    text = out.getvalue()
    assert "silu fused into conv" in text
    assert "silu split in 2" in text
    assert "1 inserted" in text
    assert "not tied" in text
    assert "2 more" in text
    assert "5.6 %" in text  # 50 of 900 ns


def test_the_values_are_plain(both: Across) -> None:
    plain = to_plain(both)
    assert plain["rows"][1]["ops"][0]["made"][0] == {
        "fate": "fused",
        "into": "conv",
        "words": ["FusedConv"],
    }
