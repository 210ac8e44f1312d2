"""Several devices at once: each goes its own way, and what one loses the others do not."""

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from device_tests.host.deploy.shell_link import ShellLink
from groundspeed.deploy.devices import pool
from groundspeed.deploy.devices.pool import Keeping, on_each, on_one
from groundspeed.deploy.store.leases import Lease
from groundspeed.deploy.store.store import Store
from groundspeed.deploy.targets.target import Target
from groundspeed.errors import DeviceLost, DeviceRefused


def folder(target: Target) -> str:
    link: ShellLink = target._link  # type: ignore[attr-defined]
    return Path(link.folder).parent.name


def test_all_work_at_the_same_time() -> None:
    together = threading.Barrier(3, timeout=10)
    outcomes = on_each(("a", "b", "c"), lambda device, pause: (device, together.wait())[0])
    assert [(one.device, one.result) for one in outcomes] == [("a", "a"), ("b", "b"), ("c", "c")]


def test_an_error_on_one_leaves_the_others_alone() -> None:
    def work(device: str, pause: Callable[[], None]) -> str:
        if device == "broken":
            raise DeviceRefused("it is locked; unlock it")
        time.sleep(0.05)
        return "done"

    broken, fine = on_each(("broken", "fine"), work)
    assert broken.result is None
    assert str(broken.error) == "it is locked; unlock it"
    assert (fine.result, fine.error) == ("done", None)


def test_what_is_no_error_of_a_device_is_raised_and_stops_the_others() -> None:
    def work(device: str, pause: Callable[[], None]) -> None:
        if device == "bug":
            raise ZeroDivisionError
        while True:
            time.sleep(0.01)
            pause()

    with pytest.raises(ZeroDivisionError):
        on_each(("bug", "fine"), work)


def test_an_interrupt_stops_all_where_they_may_be_stopped() -> None:
    stopped = []

    def work(device: str, pause: Callable[[], None]) -> None:
        try:
            while True:
                time.sleep(0.01)
                pause()
        except KeyboardInterrupt:
            stopped.append(device)
            raise KeyboardInterrupt(f"{device} can go on") from None

    told: list[bool] = []
    main = threading.main_thread().ident
    assert main is not None
    threading.Timer(0.2, lambda: signal.pthread_kill(main, signal.SIGINT)).start()
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt, match="can go on"):
            on_each(("a", "b"), work, on_interrupt=lambda: told.append(True))
    finally:
        signal.signal(signal.SIGINT, before)
    assert sorted(stopped) == ["a", "b"]
    assert told == [True]


def test_the_work_of_a_lost_device_goes_to_its_twin(store: Store, devices: Any) -> None:
    visited: list[str] = []
    said: list[str] = []

    def work(target: Target) -> str:
        visited.append(folder(target))
        if len(visited) == 1:
            devices["ssh://one"].cut(away_s=60)
            raise DeviceLost("it went away")
        return "measured"

    found = on_one("shelf", store, work, keeping=Keeping(), on_progress=said.append)
    assert found == "measured"
    assert visited == ["one", "two"]
    assert said == ["shelf is lost (it went away); waiting for it, or for its twin"]
    assert isinstance(store.leases.take("ssh://one", "another"), Lease)


def test_the_work_of_one_that_comes_back_goes_on_there(store: Store, devices: Any) -> None:
    begun: list[str] = []

    def work(target: Target) -> str:
        begun.append(folder(target))
        if len(begun) == 1:
            devices["ssh://one"].cut(away_s=0.3)
            raise DeviceLost("it went away")
        return "measured"

    assert on_one("ssh://one", store, work, keeping=Keeping()) == "measured"
    assert begun == ["one", "one"]


def test_one_that_stays_away_is_given_up_with_its_own_words(store: Store, devices: Any) -> None:
    def work(target: Target) -> None:
        devices["ssh://one"].cut(away_s=60)
        raise DeviceLost("it went away in mid-run")

    begin = time.monotonic()
    with pytest.raises(DeviceLost, match="went away in mid-run"):
        on_one("ssh://one", store, work, keeping=Keeping(patience_s=0.3))
    assert time.monotonic() - begin >= 0.3


def test_one_that_is_lost_when_all_is_done_is_not_made_to_do_it_again(
    store: Store, devices: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    @contextmanager
    def lost_at_the_end(*arguments: Any, **options: Any) -> Iterator[None]:
        yield
        raise DeviceLost("its clocks could not be given back")

    monkeypatch.setattr(pool, "using", lost_at_the_end)
    begun: list[bool] = []
    said: list[str] = []
    found = on_one(
        "ssh://one",
        store,
        lambda target: begun.append(True) or "measured",
        keeping=Keeping(),
        on_progress=said.append,
    )
    assert found == "measured"
    assert begun == [True]
    assert said == [
        "ssh://one was lost when its work was done (its clocks could not be given back)"
    ]


def test_one_that_was_never_there_is_told_at_once(store: Store, devices: Any) -> None:
    devices["ssh://one"].cut(away_s=60)
    with pytest.raises(DeviceLost):
        on_one("ssh://one", store, lambda target: None, keeping=Keeping(patience_s=3600))
