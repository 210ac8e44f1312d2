"""Which executed op reads what which other computed."""

from __future__ import annotations

from collections.abc import Collection, Iterable


def reads(
    ops: Iterable[tuple[Collection[str], Collection[str]]],
) -> tuple[tuple[int, ...], ...]:
    """Return for each op the positions of those whose results it reads, ascending.

    Args:
        ops: names of the tensors that each op reads, and of those that it computes, in order of
            execution. What no op computes is an input of the network, or a weight.
    """
    makers: dict[str, int] = {}
    found = []
    for position, (inputs, outputs) in enumerate(ops):
        found.append(tuple(sorted({makers[name] for name in inputs if name in makers})))
        makers |= dict.fromkeys(outputs, position)
    return tuple(found)
