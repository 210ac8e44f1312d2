"""What a project's ``groundspeed.toml`` says about its gate.

[check]                          # every option of 'groundspeed check', by its name
networks = ["net.py:build"]
baseline = "main"
runtimes = ["onnxruntime", "ncnn"]
on = ["local", "pi5"]
margin = "3%"

[check.budgets]                  # of every network
max_ms = 20
max_mb = 5

[check.budgets."net.py:build"]   # of one; what it leaves out is as above
max_ms = 12
"""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from groundspeed.deploy.devices.config import read_table
from groundspeed.deploy.gate.budgets import Budget
from groundspeed.errors import UsageError

SUBJECTS = "networks"
BUDGETS = "budgets"
_BUDGETS = tuple(field.name for field in dataclasses.fields(Budget))


@dataclass(frozen=True, kw_only=True)
class CheckConfig:
    """The table ``[check]`` of a project.

    Attributes:
        path: the file.
        options: value of each option that it sets, by the option's name without dashes.
        networks: what to check; empty when it names none.
        budget: of every network.
        budgets: of single networks, by what the user calls them.
    """

    path: Path
    options: dict[str, Any]
    networks: tuple[str, ...]
    budget: Budget
    budgets: dict[str, Budget]

    def budget_of(self, spec: str, name: str) -> Budget:
        """Return the budget of a network by what the user typed for it, or its name."""
        return self.budgets.get(spec, self.budgets.get(name, self.budget))


def read_check(path: Path, options: Iterable[str]) -> CheckConfig:
    """Return what a ``groundspeed.toml`` says about its gate.

    Args:
        path: the file.
        options: names of the options that may be set.

    Raises:
        UsageError: the file is no TOML, or sets what there is not, or to what it cannot be.
    """
    table = read_table(path, "check")
    known = [SUBJECTS, BUDGETS, *options]
    for key in table:
        _known(key, known, f"{path}: [check] has no setting '{key}'")
    networks = table.get(SUBJECTS, [])
    if not isinstance(networks, list) or not all(isinstance(one, str) for one in networks):
        raise UsageError(f"{path}: '{SUBJECTS}' of [check] must be a list of texts")
    said = table.get(BUDGETS, {})
    if not isinstance(said, dict):
        raise UsageError(f"{path}: [check.{BUDGETS}] must be a table")
    of_all = {key: value for key, value in said.items() if not isinstance(value, dict)}
    of_one = {key: value for key, value in said.items() if isinstance(value, dict)}
    return CheckConfig(
        path=path,
        options={key: said for key, said in table.items() if key not in (SUBJECTS, BUDGETS)},
        networks=tuple(networks),
        budget=_budget(of_all, f"{path}: [check.{BUDGETS}]"),
        budgets={
            name: _budget(of_all | own, f'{path}: [check.{BUDGETS}."{name}"]')
            for name, own in of_one.items()
        },
    )


def _budget(table: Mapping[str, Any], where: str) -> Budget:
    for key, value in table.items():
        _known(key, _BUDGETS, f"{where} has no budget '{key}'")
        if isinstance(value, bool) or not isinstance(value, int | float) or not value > 0:
            raise UsageError(f"{where}: '{key}' must be a number above 0, not {value!r}")
    return Budget(**{key: float(value) for key, value in table.items()})


def _known(key: str, known: Iterable[str], sentence: str) -> None:
    names = list(known)
    if key in names:
        return
    near = difflib.get_close_matches(key, names, n=1)
    hint = f"did you mean '{near[0]}'?" if near else f"known: {', '.join(names)}"
    raise UsageError(f"{sentence}; {hint}")
