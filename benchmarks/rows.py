"""How benchmarks print what they find: a line for each row, as soon as it exists, or JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping

Row = Mapping[str, object]


def show(rows: Iterable[Row], *, as_json: bool) -> None:
    """Print rows as they come, or all of them at the end as one JSON document."""
    seen = []
    for row in rows:
        seen.append(row)
        if not as_json:
            print("  ".join(_text(key, value) for key, value in row.items()), flush=True)
    if as_json:
        print(json.dumps(seen, indent=1))


def _text(key: str, value: object) -> str:
    return f"{key} {value:.4f}" if isinstance(value, float) else str(value)
