"""A device for a while: leased, opened, its clocks held if asked, and everything given back."""

from __future__ import annotations

import getpass
import os
import platform
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace

from groundspeed.deploy.agents.choosing import choose_agent
from groundspeed.deploy.devices import clocks
from groundspeed.deploy.devices.config import Device
from groundspeed.deploy.devices.state import read_state
from groundspeed.deploy.store.leases import DURATION_S, Lease, Leases, Taken
from groundspeed.deploy.store.store import Store
from groundspeed.deploy.targets.catalog import named, open_link
from groundspeed.deploy.targets.jobs import Holder
from groundspeed.deploy.targets.local import LocalTarget
from groundspeed.deploy.targets.remote import RemoteTarget
from groundspeed.deploy.targets.target import Target
from groundspeed.errors import DeviceLost, DeviceRefused

WAIT_S = 3600.0
POLL_S = 2.0

OnProgress = Callable[[str], None]


@contextmanager
def using(
    name: str,
    store: Store,
    *,
    lock_clocks: bool = False,
    cooldown_s: float = 0.0,
    wait_s: float = WAIT_S,
    on_progress: OnProgress = lambda sentence: None,
) -> Iterator[Target]:
    """Yield the target of a name; a device is ours alone for as long as the block lasts.

    Of twins, the first that is free and answers is taken.

    Args:
        name: "local", a name under [devices] in groundspeed.toml, or an address.
        store: where leases are kept.
        lock_clocks: hold its clocks steady meanwhile.
        cooldown_s: how long a hot device is waited for before a launch.
        wait_s: how long a device that somebody else uses is waited for.
        on_progress: called with a sentence while something is waited for.

    Raises:
        UsageError: there is no such device.
        DeviceLost: it is not there.
        DeviceRefused: it lets nobody in, its clocks cannot be held, or it stays in use.
    """
    device = named(name)
    with ExitStack() as stack:
        if device.addresses[0].scheme == "local":
            if lock_clocks:
                stack.enter_context(clocks.locked(open_link(device)))
            yield LocalTarget()
            return
        holder, chosen = stack.enter_context(_leased(device, store, wait_s, on_progress))
        link = open_link(chosen)
        stack.callback(link.close)
        if clocks.restore(link):
            on_progress(f"{name}: the clocks that a crash had left held are given back")
        if lock_clocks:
            stack.enter_context(clocks.locked(link))
        state = read_state(link)
        yield RemoteTarget(
            name,
            link,
            choose_agent(chosen, state, link),
            state=state,
            holder=holder,
            cooldown_s=cooldown_s,
        )


@contextmanager
def _leased(
    device: Device, store: Store, wait_s: float, on_progress: OnProgress
) -> Iterator[tuple[Holder, Device]]:
    """Hold the lease of one of a device's addresses, renewed until the block is left."""
    leases = store.leases
    # The numbers of leases are a store's own, so a device must tell stores apart.
    place = store.identity[:6]
    me = f"{getpass.getuser()}@{platform.node()}.{place}".replace(" ", "_")
    lease = _taken(
        device, leases, f"{me}.{os.getpid()}.{secrets.token_hex(2)}", wait_s, on_progress
    )
    over = threading.Event()

    def keep() -> None:
        while not over.wait(DURATION_S / 3):
            if not leases.renew(lease):
                return  # the device itself refuses our next job, by the number of our lease

    thread = threading.Thread(target=keep, daemon=True)
    thread.start()
    try:
        chosen = next(one for one in device.addresses if str(one) == lease.device)
        yield Holder(name=me, lease=lease.number), replace(device, addresses=(chosen,))
    finally:
        over.set()
        thread.join()
        leases.give_back(lease)


def _taken(
    device: Device, leases: Leases, holder: str, wait_s: float, on_progress: OnProgress
) -> Lease:
    """Take the first twin that is free and answers, waiting while all that answer are in use."""
    end = time.monotonic() + wait_s
    told = False
    while True:
        lost: DeviceLost | None = None
        in_use: Taken | None = None
        for address in device.addresses:
            found = leases.take(str(address), holder)
            if isinstance(found, Taken):
                in_use = found
                continue
            if len(device.addresses) == 1 or _answers(replace(device, addresses=(address,))):
                return found
            leases.give_back(found)
            lost = DeviceLost(f"{address} does not answer")
        if in_use is None:
            assert lost is not None
            raise DeviceLost(f"none of the devices of '{device.name}' can be reached; {lost}")
        if time.monotonic() > end:
            raise DeviceRefused(
                f"{device.name} has been in use by {in_use.holder} for {wait_s:.0f} s; try later"
            )
        if not told:
            on_progress(f"{device.name} is in use by {in_use.holder}; waiting for it")
            told = True
        time.sleep(POLL_S)


def _answers(device: Device) -> bool:
    link = open_link(device)
    try:
        return link.run("true").status == 0
    except DeviceLost:
        return False
    finally:
        link.close()
