"""How benchmarks print what they find: a line for each row, as soon as it exists, or JSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping

Row = Mapping[str, object]


def show(rows: Iterable[Row], *, as_json: bool) -> None:
    """Print rows as they come, each as words or as a line of JSON (https://jsonlines.org)."""
    for row in rows:
        line = json.dumps(row) if as_json else "  ".join(_text(*pair) for pair in row.items())
        print(line, flush=True)


def judge(rows: Iterable[Row], is_good: Callable[[Row], bool], *, as_json: bool) -> int:
    """Print rows as they come, and return the exit code: 1 if one of them is not good."""
    bad: list[Row] = []

    def watched() -> Iterator[Row]:
        for row in rows:
            if not is_good(row):
                bad.append(row)
            yield row

    show(watched(), as_json=as_json)
    return 1 if bad else 0


def _text(key: str, value: object) -> str:
    return f"{key} {value:.4f}" if isinstance(value, float) else str(value)
