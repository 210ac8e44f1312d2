"""The profiled networks of a device that a store holds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

from groundspeed.deploy.feedback.breakdown import FASTEST, break_down
from groundspeed.deploy.feedback.costs.example import Example, example
from groundspeed.deploy.plan import Plan
from groundspeed.deploy.results import CellResult, calmest, read
from groundspeed.deploy.store.store import Store
from groundspeed.measurement import OpProfile

EVERY = slice(None)


@dataclass(frozen=True, kw_only=True)
class Setting:
    """What profiles must have in common, so that a model may learn from them together.

    Attributes:
        device: name of the target.
        runtime, version: the runtime and its version.
        precision, threads: how it computed.
        cpus: the CPUs that it was to stay on; empty left it to the system. Large and small cores of
            one device have nothing in common.
    """

    device: str
    runtime: str
    version: str
    precision: str
    threads: int
    cpus: tuple[int, ...] = ()

    def __str__(self) -> str:
        """Return "ncnn 1.0, fp32, 1 thread on pi5", and the CPUs that were asked for."""
        threads = f"{self.threads} thread{'' if self.threads == 1 else 's'}"
        cpus = f" (CPUs {','.join(map(str, self.cpus))})" if self.cpus else ""
        return f"{self.runtime} {self.version}, {self.precision}, {threads} on {self.device}{cpus}"


def gather(
    store: Store, device: str, launches: slice = EVERY
) -> dict[Setting, tuple[Example, ...]]:
    """Return the networks that were profiled on a device, the newest profile of each.

    So are patchworks, where there are networks beside them.

    Where several machines went by the name of the device, only the one that was used last counts.

    Args:
        store: where runs were stored.
        device: name of the target.
        launches: which of each network's profiled launches count.
    """
    found: dict[Setting, dict[tuple[str, int], Example]] = {}
    runs = [run for run in store.runs() if run.plan.target == device]
    for run in runs:
        if run.plan.machine_id != runs[-1].plan.machine_id:
            continue
        for cell in read(store, run.id).cells:
            setting, one = _setting(run.plan, cell), _example(run.id, cell, launches)
            if setting is not None and one is not None:
                found.setdefault(setting, {})[one.identity] = one
    return {
        setting: tuple(examples.values())
        for setting, examples in found.items()
        if not all(one.is_patchwork for one in examples.values())
    }


def _setting(plan: Plan, cell: CellResult) -> Setting | None:
    if cell.profile is None:
        return None
    return Setting(
        device=plan.target,
        runtime=cell.cell.runtime,
        version=cell.profile.runtime_version,
        precision=cell.cell.precision,
        threads=cell.cell.threads,
        cpus=plan.settings.cpus,
    )


def _example(run: int, cell: CellResult, launches: slice) -> Example | None:
    launch = calmest(cell.profiles[launches])
    if launch is None or launch.profile is None or cell.artifact is None:
        return None
    manifest = cell.artifact.manifest
    if not manifest.ops:
        return None  # a bare file, of whose ops nothing is known
    alike = [one.profile for one in cell.profiles[launches] if one.profile is not None]
    pooled = _pooled([one for one in alike if one.ops == launch.profile.ops])
    return example(manifest, break_down(manifest, pooled, FASTEST), run, launch.before.at)


def _pooled(profiles: Sequence[OpProfile]) -> OpProfile:
    """Return the runs of several launches, in which the same ops were executed, together."""
    return OpProfile(
        ops=profiles[0].ops,
        times_ns=tuple(
            tuple(chain.from_iterable(times))
            for times in zip(*(one.times_ns for one in profiles), strict=True)
        ),
        profiled_ns=tuple(chain.from_iterable(one.profiled_ns for one in profiles)),
        plain_ns=tuple(chain.from_iterable(one.plain_ns for one in profiles)),
        timing_cost_ns=max(one.timing_cost_ns for one in profiles),
    )
