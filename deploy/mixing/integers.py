"""The file with as many layers in integers as come out right in them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from groundspeed.artifact import Artifact
from groundspeed.errors import ExportError, ParityError

# Files that are written at most: each takes as long as an export.
TRIES = 4


@dataclass(frozen=True, kw_only=True)
class Integers:
    """What of a network can be integers.

    Attributes:
        artifact: the file with all layers in integers but the broken ones; None where no file was
            right.
        layers: ops of its layers in integers.
        broken: op of a layer that has to stay in floating point -> the reason.
    """

    artifact: Artifact | None
    layers: frozenset[str]
    broken: dict[str, str]

    @property
    def note(self) -> str:
        """What was given up, in a sentence; "" if nothing was."""
        if not self.broken:
            return ""
        reason = next(iter(self.broken.values()))
        if self.artifact is None:
            return f"no file with integers came out right: {reason}"
        ops = ", ".join(self.broken)
        return f"in floating point because integers come out wrong there: {ops} ({reason})"


def as_many_as_possible(
    layers: frozenset[str],
    make: Callable[[frozenset[str]], Artifact],
    tell: Callable[[str], None],
) -> Integers:
    """Make the file with all layers in integers; what breaks it is taken out, one by one.

    A file that fails its check tells the first layer that is to blame. Where none is, or others go
    on failing, there is no such file.

    Args:
        layers: ops of all layers that can be integers.
        make: makes the file with some layers in integers.
        tell: called with a short sentence about each layer that is taken out.
    """
    going, broken = layers, dict[str, str]()
    for _ in range(TRIES):
        try:
            return Integers(artifact=make(going), layers=going, broken=broken)
        except ParityError as error:
            reason, layer = error.found, error.layer
        except ExportError as error:
            reason, layer = str(error), ""
        if layer not in going or going == {layer}:
            break
        tell(f"{layer} stays in floating point: {reason}")
        going, broken = going - {layer}, {**broken, layer: reason}
    return Integers(
        artifact=None,
        layers=frozenset(),
        broken={**dict.fromkeys(sorted(going), reason), **broken},
    )
