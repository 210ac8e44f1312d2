"""A device for a while: ours alone, and everything given back."""

from pathlib import Path
from typing import Any

import pytest

from groundspeed.deploy.devices.using import using
from groundspeed.deploy.store.leases import Lease
from groundspeed.deploy.store.store import Store
from groundspeed.deploy.targets.local import LocalTarget
from groundspeed.errors import DeviceLost, DeviceRefused, UsageError


def test_this_machine_needs_no_lease(store: Store) -> None:
    with using("local", store) as target:
        assert isinstance(target, LocalTarget)


def test_a_device_is_ours_alone_and_then_free(store: Store, devices: Any) -> None:
    with using("board", store) as target:
        assert target.name == "board"
        assert target.facts().cpus > 0
        with pytest.raises(DeviceRefused, match="in use by"), using("board", store, wait_s=0):
            pass
    assert isinstance(store.leases.take("ssh://one", "me"), Lease)


def test_one_in_use_is_waited_for_with_a_word(store: Store, devices: Any) -> None:
    lease = store.leases.take("ssh://one", "anna", seconds=0.3)
    said: list[str] = []
    with using("board", store, on_progress=said.append):
        assert said == ["board is in use by anna; waiting for it"]
    assert isinstance(lease, Lease)
    assert not store.leases.renew(lease)


def test_of_twins_the_free_one_is_taken(store: Store, devices: Any) -> None:
    with using("shelf", store), using("shelf", store, wait_s=0):
        pass


def test_of_twins_one_that_is_away_is_passed_over(store: Store, devices: Any) -> None:
    devices["ssh://one"].cut(away_s=60)
    with using("shelf", store) as target:
        assert target.facts().cpus > 0
    devices["ssh://two"].cut(away_s=60)
    with pytest.raises(DeviceLost, match="none of the devices of 'shelf'"), using("shelf", store):
        pass


def test_a_device_that_is_away_gives_its_lease_back(store: Store, devices: Any) -> None:
    devices["ssh://one"].cut(away_s=60)
    with pytest.raises(DeviceLost), using("board", store):
        pass
    assert isinstance(store.leases.take("ssh://one", "me"), Lease)


def test_an_unknown_name(store: Store, devices: Any) -> None:
    with pytest.raises(UsageError, match="did you mean board"), using("bord", store):
        pass


def test_cores_by_name(store: Store, devices: Any) -> None:
    with using("board", store) as target:
        assert target.cores("") == ()
        assert target.cores("0") == (0,)
        with pytest.raises(UsageError, match="board has no CPU 99"):
            target.cores("99")


def test_two_stores_of_one_user_do_not_take_each_others_leases_for_their_own(
    store: Store, devices: Any, tmp_path: Path
) -> None:
    for _ in range(2):
        with using("board", store):
            pass
    with (
        Store(tmp_path / "another") as another,
        using("board", store) as mine,
        using("board", another) as theirs,
    ):
        assert mine._jobs._holder.lease == 3
        assert theirs._jobs._holder.lease == 1
        assert mine._jobs._holder.name != theirs._jobs._holder.name
