"""A run from its plan to stored results: export each file once, launch in rounds, profile.

Whatever is done is stored at once, and what is stored is never done again: a run that was
interrupted, however hard, goes on where it was when the same plan is run once more.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager

from groundspeed.artifact import Source
from groundspeed.deploy import revision
from groundspeed.deploy.events import OnEvent
from groundspeed.deploy.execution import Decided, Execution, ExportOne
from groundspeed.deploy.plan import Plan, Settings, product
from groundspeed.deploy.results import RunResult, read
from groundspeed.deploy.scoring import Scorer
from groundspeed.deploy.store.rows import StoredRun
from groundspeed.deploy.store.store import Store, machine_id
from groundspeed.deploy.targets.target import Target
from groundspeed.errors import DeviceLost


def run(
    networks: Iterable[Source],
    runtimes: Iterable[str],
    precisions: Iterable[str] = ("fp32",),
    threads: Iterable[int] = (1,),
    *,
    store: Store,
    target: Target,
    export_one: ExportOne,
    settings: Settings | None = None,
    command: str = "",
    fresh: bool = False,
    on_event: OnEvent | None = None,
    scorers: Mapping[Source, Scorer] | None = None,
) -> RunResult:
    """Export and measure every combination, and return what the store now holds of it.

    Args:
        networks: what to export.
        runtimes: names of the runtimes to measure in.
        precisions: what to compute with.
        threads: numbers of threads.
        store: where results go, and where an unfinished run of the same plan is looked for.
        target: the machine to measure on.
        export_one: returns the artifact of a cell; called once for cells that differ in their
            threads only.
        settings: how to measure.
        command: the command line that makes the run again, for reports.
        fresh: begin anew even if an unfinished run of the same plan exists.
        on_event: called with everything that happens.
        scorers: what evaluates the files of each network; None evaluates nothing.

    Raises:
        CheckError: the machine or a runtime changed since the unfinished run began.
        DeviceLost: the device went away and did not come back.
        DeviceRefused: it will not do it.
        StoreError: results cannot be kept; what was stored before is.
        MissingExtra: a runtime or converter is not installed.
        KeyboardInterrupt: with a sentence that says how to go on.
    """
    plan = Plan(
        cells=product(networks, runtimes, precisions, threads),
        settings=settings or Settings(),
        target=target.name,
        machine_id=machine_id(target.facts()),
    )
    return execute(
        plan,
        store=store,
        target=target,
        export_one=export_one,
        command=command,
        fresh=fresh,
        on_event=on_event,
        scorers=scorers,
    )


def execute(
    plan: Plan,
    *,
    store: Store,
    target: Target,
    export_one: ExportOne,
    command: str = "",
    fresh: bool = False,
    on_event: OnEvent | None = None,
    scorers: Mapping[Source, Scorer] | None = None,
    decided: Decided | None = None,
) -> RunResult:
    """Carry a plan out, or the rest of it; see :func:`run`.

    ``decided`` is asked before each round, and there are no more once it says so.
    """
    with _claimed(store, plan, command, fresh=fresh) as stored:
        try:
            Execution(
                stored, store, target, export_one, on_event, scorers or {}, decided
            ).carry_out()
        except KeyboardInterrupt:
            raise KeyboardInterrupt(
                f"run {stored.id} was interrupted; everything measured so far is kept in "
                f"{store}: run the same command again to go on, or add --fresh to begin anew"
            ) from None
        except DeviceLost as lost:
            raise DeviceLost(
                f"{lost}; everything measured so far is kept as run {stored.id}: run the same "
                "command again to go on"
            ) from lost
        return read(store, stored.id)


@contextmanager
def _claimed(store: Store, plan: Plan, command: str, *, fresh: bool) -> Iterator[StoredRun]:
    """Yield a run of this plan that no other process works at."""
    with ExitStack() as stack:
        for found in [] if fresh else store.unfinished(plan):
            if stack.enter_context(store.claim(found.id)):
                yield found
                return
        at = revision.current()
        added = store.add_run(plan, command, at)
        while not stack.enter_context(store.claim(added.id)):
            # Another process took it for an interrupted one in the moment before the claim.
            added = store.add_run(plan, command, at)
        yield added
