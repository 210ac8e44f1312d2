"""The paper's tables as data: what is printed there, and what follows from it."""

from __future__ import annotations

import pytest

from device_tests.host.deploy.feedback.guidelines.made_up import macs
from groundspeed.deploy import sources
from groundspeed.deploy.feedback.guidelines.asked import Asked
from groundspeed.deploy.feedback.guidelines.experiment import WIDTHS, Column
from groundspeed.deploy.feedback.guidelines.paper import EXPERIMENTS
from groundspeed.errors import UsageError
from groundspeed.models.cost import analyze, totals


def test_the_macs_of_table_1_drift_as_the_papers_channels_make_them() -> None:
    found = {
        column: [
            round(macs(subject) / 1e6, 1)
            for subject in Asked(guidelines=("G1",), column=column).subjects
        ]
        for column in Column
    }
    assert found[Column.GPU] == [1027.6, 1016.1, 1017.6, 975.4]
    assert found[Column.ARM] == [64.2, 60.7, 63.6, 61.0]


@pytest.mark.parametrize(
    ("guideline", "column", "speeds"),
    [
        ("G1", Column.GPU, [1, 0.876, 0.592, 0.505]),
        ("G1", Column.ARM, [1, 0.957, 0.907, 0.756]),
        ("G2", Column.GPU, [1, 0.704, 0.419, 0.259]),
        ("G2", Column.ARM, [1, 0.875, 0.823, 0.695]),
    ],
)
def test_speeds_relative_to_the_first_row(
    guideline: str, column: Column, speeds: list[float]
) -> None:
    experiment = EXPERIMENTS[guideline]
    found = [experiment.speed(variant, column, 1) for variant in experiment.variants]
    assert found == pytest.approx(speeds, abs=5e-4)


@pytest.mark.parametrize("column", Column)
@pytest.mark.parametrize("width", WIDTHS)
def test_the_networks_of_a_table_have_about_equal_macs(column: Column, width: int) -> None:
    for name in EXPERIMENTS:
        found = [
            macs(one) for one in Asked(guidelines=(name,), column=column, widths=(width,)).subjects
        ]
        assert max(found) / min(found) < 1.06


def test_twice_the_channels_are_about_four_times_the_macs() -> None:
    narrow, wide = (Asked(widths=(width,)).subjects for width in (1, 2))
    for one, other in zip(narrow, wide, strict=True):
        assert macs(other) / macs(one) == pytest.approx(4, rel=0.05)


@pytest.mark.parametrize("subject", Asked(size=7, blocks=2).subjects, ids=lambda one: one.spec)
def test_a_network_is_loaded_by_its_name_and_has_the_macs_of_the_closed_form(subject) -> None:  # type: ignore[no-untyped-def]
    import torch

    network = sources.load(subject.spec)
    assert isinstance(network.module, torch.nn.Module)
    program = torch.export.export(network.module, network.inputs)
    assert totals(analyze(program)).macs * 5 * 64 == macs(subject)


def test_a_width_that_the_paper_lacks_is_refused() -> None:
    with pytest.raises(UsageError, match="no networks of width x3"):
        Asked(widths=(1, 3))
