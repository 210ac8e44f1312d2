"""The CPUs that a process may run on, set before any engine makes its threads."""

from __future__ import annotations

import os
from collections.abc import Sequence

from groundspeed.errors import UsageError


def restrict(cpus: Sequence[int]) -> tuple[int, ...]:
    """Restrict this process to ``cpus`` (all it has, when empty) and return what was granted.

    Engines size and place their threads when they are opened, so this comes first.

    Raises:
        UsageError: a CPU does not exist, is offline, or is outside the process's cpuset.
    """
    if not hasattr(os, "sched_setaffinity"):
        if cpus:
            raise UsageError("this system cannot tie a process to CPUs; leave the CPUs open")
        return tuple(range(os.cpu_count() or 1))
    allowed = os.sched_getaffinity(0)
    if cpus:
        # The kernel silently drops CPUs that it does not have, as long as one is left.
        refused = sorted(set(cpus) - allowed)
        if refused:
            raise UsageError(
                f"CPU {', '.join(map(str, refused))} cannot be used; this process may run on "
                f"{', '.join(map(str, sorted(allowed)))}"
            )
        os.sched_setaffinity(0, cpus)
    return tuple(sorted(os.sched_getaffinity(0)))
