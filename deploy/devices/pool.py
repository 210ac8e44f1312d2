"""Several devices at once: a worker for each, and the work of a lost one goes on or moves."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from groundspeed.deploy.devices.using import OnProgress, using
from groundspeed.deploy.store.store import Store
from groundspeed.deploy.targets.target import Target
from groundspeed.errors import DeviceLost, GroundspeedError

T = TypeVar("T")

PATIENCE_S = 120.0
AGAIN_S = 5.0


@dataclass(frozen=True, kw_only=True)
class Keeping:
    """How a device is held while work goes on there.

    Attributes:
        lock_clocks: whether its clocks are held steady.
        cooldown_s: how long it is waited for when it is hot.
        patience_s: how long it is waited for when it is lost in the midst of the work.
    """

    lock_clocks: bool = False
    cooldown_s: float = 0.0
    patience_s: float = PATIENCE_S


@dataclass(frozen=True, kw_only=True)
class Outcome(Generic[T]):
    """What came of the work on one device: a result, or the error that ended it.

    Attributes:
        device: what the user calls it.
        result: what the work returned.
        error: why there is none.
    """

    device: str
    result: T | None = None
    error: GroundspeedError | None = None


def on_one(
    device: str,
    store: Store,
    work: Callable[[Target], T],
    *,
    keeping: Keeping,
    on_progress: OnProgress = lambda sentence: None,
) -> T:
    """Do work on a device; lost in the midst, the device or its first twin that answers goes on.

    The work is done again from its beginning, so it must go on by itself where it was: a run of
    the store does. On a twin, which is another machine, that is a new run.

    Args:
        device: "local", a name of groundspeed.toml, or an address.
        store: where leases are kept.
        work: what to do with the device.
        keeping: how the device is held.
        on_progress: called with a sentence while something is waited for.

    Raises:
        DeviceLost: the device was never there, or it did not come back.
        GroundspeedError: as in ``using``, or from the work.
    """
    end, lost = 0.0, None
    finished: list[T] = []
    while True:
        began = False
        try:
            with using(
                device,
                store,
                lock_clocks=keeping.lock_clocks,
                cooldown_s=keeping.cooldown_s,
                on_progress=on_progress,
            ) as target:
                began = True
                finished.append(work(target))
        except DeviceLost as error:
            if finished:
                on_progress(f"{device} was lost when its work was done ({error})")
                return finished[0]
            if not began and lost is None:
                raise  # a mistyped address is told at once
            if began:
                end, lost = time.monotonic() + keeping.patience_s, error
                on_progress(f"{device} is lost ({lost}); waiting for it, or for its twin")
            if time.monotonic() >= end:
                assert lost is not None
                raise lost from error
        else:
            return finished[0]
        time.sleep(min(AGAIN_S, max(end - time.monotonic(), 0.0)))


def on_each(
    devices: Sequence[str],
    work: Callable[[str, Callable[[], None]], T],
    *,
    on_interrupt: Callable[[], None] = lambda: None,
) -> tuple[Outcome[T], ...]:
    """Do the same work on several devices at once, each in a thread of its own.

    An error on one device ends the work on that one alone. Ctrl-C ends it on all: each stops where
    it next calls ``pause``, and a second one leaves them as they are.

    Args:
        devices: what the user calls them.
        work: called with the device, and with ``pause``: the work calls that wherever it may be
            interrupted.
        on_interrupt: called when Ctrl-C was heard, before the workers are waited for.

    Returns:
        What came of each, in the order of ``devices``.

    Raises:
        KeyboardInterrupt: it was interrupted, with the words of a worker about how to go on.
    """
    outcomes: dict[str, Outcome[T]] = {}
    broken: list[BaseException] = []
    stopping = threading.Event()
    ended: queue.SimpleQueue[str] = queue.SimpleQueue()

    def pause() -> None:
        if stopping.is_set():
            raise KeyboardInterrupt

    def one(device: str) -> None:
        try:
            outcomes[device] = Outcome(device=device, result=work(device, pause))
        except GroundspeedError as error:
            outcomes[device] = Outcome(device=device, error=error)
        except BaseException as error:
            broken.append(error)  # raised again where it can be seen
            stopping.set()
        finally:
            ended.put(device)

    # Daemons: after a second Ctrl-C nothing here may keep the process alive.
    for device in devices:
        threading.Thread(target=one, args=(device,), daemon=True).start()
    going = set(devices)

    def wait() -> None:
        # Not by Thread.join: interrupted, Python 3.11 takes the thread for one that has ended.
        while going:
            going.discard(ended.get())

    try:
        wait()
    except KeyboardInterrupt:
        stopping.set()
        on_interrupt()
        wait()
    if broken:
        raise broken[0]
    if stopping.is_set():
        raise KeyboardInterrupt
    return tuple(outcomes[device] for device in devices)
