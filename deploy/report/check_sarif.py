"""A gate's bad news as SARIF 2.1.0, which code hosts show beside the lines of a change.

Spec: https://docs.oasis-open.org/sarif/sarif/v2.1.0/. Only what has a place in the user's source is
in it: a network that is named ``path/to/net.py:build`` has one, a network of the zoo or a folder of
artifacts has none.
"""

from __future__ import annotations

import ast
import json
from pathlib import Path
from typing import Any

from groundspeed import __version__
from groundspeed.deploy.gate.comparing import Comparison
from groundspeed.deploy.gate.decision import Verdict
from groundspeed.deploy.gate.gate import Judged
from groundspeed.deploy.report.check_text import budget, ratio, reason, title

_LEVELS = {Verdict.FAIL: "error", Verdict.INCONCLUSIVE: "warning"}
_RULES = {
    "latency": "The network became slower than its baseline, or it is not known that it did not.",
    "budget": "The network breaks its budget, or it is not known that it does not.",
}


def sarif(judged: Judged) -> str:
    """Return what did not pass and has a place, as a SARIF log."""
    rules = [{"id": name, "shortDescription": {"text": text}} for name, text in _RULES.items()]
    driver = {"name": "Groundspeed", "version": __version__, "rules": rules}
    results = [found for one in judged.comparisons for found in _results(one, judged)]
    log = {
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{"tool": {"driver": driver}, "results": results}],
    }
    return json.dumps(log, indent=1, ensure_ascii=False) + "\n"


def _results(one: Comparison, judged: Judged) -> list[dict[str, Any]]:
    place = _place(one.contest.candidate.manifest.source.spec)
    if place is None:
        return []
    parts = (ratio(one), reason(one, judged.rules))
    said = [("latency", one.verdict, ": ".join(filter(None, parts)))]
    said += [("budget", spent.verdict, budget(spent)) for spent in one.spent]
    return [
        {
            "ruleId": rule,
            "level": _LEVELS[verdict],
            "message": {"text": f"{title(one)}: {words}"},
            "locations": [{"physicalLocation": place}],
        }
        for rule, verdict, words in said
        if verdict in _LEVELS
    ]


def _place(spec: str) -> dict[str, Any] | None:
    """Return where a network is made, when that is a file below the current folder."""
    name, _, function = spec.rpartition(":")
    path = Path(name)
    if path.suffix != ".py" or not path.is_file():
        return None
    absolute, here = path.resolve(), Path.cwd().resolve()
    if not absolute.is_relative_to(here):
        return None
    return {
        "artifactLocation": {"uri": absolute.relative_to(here).as_posix()},
        "region": {"startLine": _line(path, function)},
    }


def _line(path: Path, function: str) -> int:
    """Return the line of a definition at the top of a file; 1 if it comes about otherwise."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    defined = (ast.FunctionDef, ast.ClassDef)
    lines = [
        each.lineno for each in tree.body if isinstance(each, defined) and each.name == function
    ]
    return lines[0] if lines else 1
