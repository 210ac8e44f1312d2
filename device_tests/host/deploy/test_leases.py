"""One holder of a device at a time, whatever dies and whoever is slow."""

import threading
from pathlib import Path

import pytest

from groundspeed.deploy.store.leases import Lease, Leases, Taken
from groundspeed.deploy.store.store import Store


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def leases(store: Store, clock: Clock) -> Leases:
    return Leases(store._writing, clock)


def take(leases: Leases, holder: str) -> Lease:
    found = leases.take("adb://X", holder, 60)
    assert isinstance(found, Lease)
    return found


def test_a_device_has_one_holder(leases: Leases) -> None:
    take(leases, "anna")
    found = leases.take("adb://X", "ben", 60)
    assert found == Taken(holder="anna", seconds=60)
    assert isinstance(leases.take("adb://Y", "ben", 60), Lease)


def test_given_back_is_free(leases: Leases) -> None:
    lease = take(leases, "anna")
    leases.give_back(lease)
    assert take(leases, "ben").number == lease.number + 1


def test_whoever_died_is_waited_for_until_the_lease_expires(leases: Leases, clock: Clock) -> None:
    old = take(leases, "anna")
    clock.now += 61
    new = take(leases, "ben")
    assert new.number > old.number


def test_renewed_in_time_it_goes_on(leases: Leases, clock: Clock) -> None:
    lease = take(leases, "anna")
    clock.now += 50
    assert leases.renew(lease, 60)
    clock.now += 50
    assert isinstance(leases.take("adb://X", "ben", 60), Taken)


def test_one_who_was_too_slow_learns_it_and_harms_nobody(leases: Leases, clock: Clock) -> None:
    old = take(leases, "anna")
    clock.now += 61
    take(leases, "ben")
    assert not leases.renew(old)
    leases.give_back(old)
    assert isinstance(leases.take("adb://X", "cleo", 60), Taken)


def test_of_many_at_once_one_gets_it(tmp_path: Path) -> None:
    Store(tmp_path).close()
    got: list[object] = []

    def attempt(index: int) -> None:
        with Store(tmp_path) as store:
            got.append(store.leases.take("adb://X", f"holder {index}"))

    threads = [threading.Thread(target=attempt, args=(index,)) for index in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(isinstance(one, Lease) for one in got) == 1
    assert len(got) == 8
