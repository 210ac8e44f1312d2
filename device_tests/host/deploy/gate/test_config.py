"""What a project may write about its gate, and what it is told when it cannot be."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundspeed.deploy.gate.budgets import Budget
from groundspeed.deploy.gate.config import CheckConfig, read_check
from groundspeed.errors import UsageError

OPTIONS = ("baseline", "margin", "pairs")


def read(folder: Path, text: str) -> CheckConfig:
    path = folder / "groundspeed.toml"
    path.write_text(text)
    return read_check(path, OPTIONS)


def test_options_and_networks_are_told_apart(tmp_path: Path) -> None:
    found = read(tmp_path, '[check]\nnetworks = ["a.py:f"]\nbaseline = "main"\nmargin = "3%"\n')
    assert found.networks == ("a.py:f",)
    assert found.options == {"baseline": "main", "margin": "3%"}


def test_a_file_about_devices_alone_sets_nothing(tmp_path: Path) -> None:
    found = read(tmp_path, '[devices]\npi = "ssh://pi@pi"\n')
    assert (found.networks, found.options, found.budget) == ((), {}, Budget())


def test_a_networks_own_budget_adds_to_that_of_all(tmp_path: Path) -> None:
    found = read(
        tmp_path,
        '[check.budgets]\nmax_ms = 20\nmax_mb = 5\n[check.budgets."a.py:f"]\nmax_ms = 12\n',
    )
    assert found.budget_of("a.py:f", "f") == Budget(max_ms=12, max_mb=5)
    assert found.budget_of("b.py:g", "g") == Budget(max_ms=20, max_mb=5)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[check", "cannot be read"),
        ("check = 3", r"\[check\] must be a table"),
        ("[check]\nmarjin = 0.03", "no setting 'marjin'; did you mean 'margin'"),
        ("[check]\nnetworks = 'a.py:f'", "must be a list of texts"),
        ("[check.budgets]\nmax_sm = 3", "no budget 'max_sm'; did you mean 'max_ms'"),
        ("[check.budgets]\nmax_ms = '3'", "'max_ms' must be a number above 0, not '3'"),
        ("[check.budgets]\nmax_ms = true", "must be a number above 0"),
        ("[check.budgets]\nmax_ms = -1", "must be a number above 0"),
        ("[check.budgets]\nmax_ms = nan", "must be a number above 0"),
        ("[check.budgets.net]\nmax = 1", r"\[check.budgets.\"net\"\] has no budget 'max'"),
    ],
)
def test_what_cannot_be_is_one_sentence(tmp_path: Path, text: str, sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        read(tmp_path, text)


@given(text=st.text(alphabet=st.sampled_from('[]check.budgets="\n 1max_ms{},#'), max_size=60))
def test_any_text_is_read_or_refused(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    with contextlib.suppress(UsageError):
        read(tmp_path_factory.mktemp("any"), text)
