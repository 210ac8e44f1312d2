"""Tables of any origin: read, or refused with the line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from groundspeed.deploy.cli.changes import command
from groundspeed.deploy.trends.replay import replay
from groundspeed.errors import UsageError


def test_series_are_told_apart_and_changes_have_their_times(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    noise = 0.01 * np.random.default_rng(0).standard_normal((2, 40))
    lines = ["date,what,ms"]
    for day in range(40):
        stepped = 10 * np.exp(noise[0, day]) * (1.1 if day >= 20 else 1)
        lines += [f"2026-{1 + day // 28:02}-{1 + day % 28:02},a,{stepped}"]
        lines += [f"2026-{1 + day // 28:02}-{1 + day % 28:02},b,{10 * np.exp(noise[1, day])}"]
    path.write_text("\n".join(lines))
    stepped_one, level_one = replay(path, time="date", series="what", value="ms")
    (step,) = stepped_one.trend.steps
    assert stepped_one.times[step.index] == "2026-01-21"
    assert level_one.trend.steps == ()
    words = ["--time", "date", "--series", "what", "--value", "ms"]
    done = CliRunner().invoke(command, [str(path), *words])
    assert done.exit_code == 0
    assert "between 2026-01-20 and 2026-01-21" in done.output
    assert "no change is shown" in done.output


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "no column 'time', but: nothing"),
        ("time,series\n", "no column 'value'"),
        ("time,series,value\n", "a header and no row"),
        ("time,series,value\n1,a,fast\n", "line 2: value must be a number above 0, not 'fast'"),
        ("time,series,value\n1,a,0\n", "line 2: value must be a number above 0"),
        ("time,series,value\n1,a,nan\n", "line 2: value must be a number above 0"),
        ("time,series,value\n2,a,1\n1,a,1\n", "line 3: time 1 of 'a' does not come after 2"),
        ("time,series,value\n9,a,1\n10,a,1\n10,a,1\n", "line 4: time 10 of 'a' does not come"),
        ("time,series,value\n1,a\n", "line 2: the row is too short"),
        ('time,series,value\n1,"a,3\n', "cannot be read"),
    ],
)
def test_a_bad_table_is_refused_with_its_line(tmp_path: Path, text: str, sentence: str) -> None:
    path = tmp_path / "table.csv"
    path.write_text(text)
    with pytest.raises(UsageError, match=sentence):
        replay(path)


def test_a_table_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        replay(tmp_path / "absent.csv")


@given(text=st.text(alphabet=st.sampled_from('time,series,value\n"1a.'), max_size=60))
def test_any_text_is_read_or_refused(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    path = tmp_path_factory.getbasetemp() / "any.csv"
    path.write_text(f"time,series,value\n{text}")
    try:
        found = replay(path)
    except UsageError:
        return
    assert all(len(one.times) == len(one.values) > 0 for one in found)
