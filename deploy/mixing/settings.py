"""What the user asks of mixed precision."""

from __future__ import annotations

from dataclasses import dataclass

from groundspeed.deploy.targets.target import Target


@dataclass(frozen=True, kw_only=True)
class MixSettings:
    """How layers are chosen that compute with integers.

    Attributes:
        max_drop: points of top-1 that may be lost against the float network.
        search: strategy that proposes sets of layers, a name in the registry of searches.
        seconds: of launches for each file that is measured.
        samples: how many samples accuracy is judged on at most; no fewer than are calibrated on.
        target: the machine to measure on; this one by default.
        threads: threads that the runtime computes with there.
        cpus: logical CPUs to stay on; empty leaves it to the system.
    """

    max_drop: float = 0.5
    search: str = "greedy"
    seconds: float = 30.0
    samples: int = 256
    target: Target | None = None
    threads: int = 1
    cpus: tuple[int, ...] = ()
