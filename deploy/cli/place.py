"""Where a command measures: the devices that the user names, and how they are to be held."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from groundspeed.deploy.cli.progress import RunProgress
from groundspeed.deploy.events import Event, OnEvent
from groundspeed.deploy.store.location import Location
from groundspeed.deploy.store.store import Store
from groundspeed.deploy.targets.target import Target
from groundspeed.errors import UsageError

if TYPE_CHECKING:
    from groundspeed.deploy.devices.pool import Keeping, Outcome

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Here:
    """One device that a command works with.

    Attributes:
        target: the device.
        cpus: the CPUs to stay on; empty leaves it to the system.
        store: where results go.
        on_event: what is told there is shown to the user.
    """

    target: Target
    cpus: tuple[int, ...]
    store: Store
    on_event: OnEvent


@dataclass(frozen=True, kw_only=True)
class Place:
    """What the options of a command say about the devices.

    Attributes:
        devices: names of groundspeed.toml, or addresses.
        cores: CPUs to stay on, as the user wrote them; "" leaves it to the system.
        keeping: how a device is held.
    """

    devices: tuple[str, ...]
    cores: str
    keeping: Keeping

    @contextmanager
    def open(
        self, location: Location, on_progress: Callable[[str], None]
    ) -> Iterator[tuple[Target, tuple[int, ...]]]:
        """Yield the one device, ours alone meanwhile, and the CPUs to stay on.

        Args:
            location: of the store that keeps leases; this machine needs none, and none is made.
            on_progress: called with a sentence while something is waited for.

        Raises:
            UsageError: there are several.
            GroundspeedError: as in ``using`` and ``Target.cores``.
        """
        from groundspeed.deploy.devices.using import using
        from groundspeed.deploy.targets.local import LocalTarget

        if len(self.devices) > 1:
            raise UsageError(f"one device is needed, not {len(self.devices)}; give --on one name")
        (device,) = self.devices
        if device == "local":
            yield LocalTarget(), LocalTarget().cores(self.cores)
            return
        with (
            Store(location) as store,
            using(
                device,
                store,
                lock_clocks=self.keeping.lock_clocks,
                cooldown_s=self.keeping.cooldown_s,
                on_progress=on_progress,
            ) as target,
        ):
            yield target, target.cores(self.cores)

    def on_each(
        self, location: Location, progress: RunProgress, work: Callable[[Here], T]
    ) -> tuple[Outcome[T], ...]:
        """Do work on all devices at once; see ``pool.on_each``. Of one, errors are raised.

        Args:
            location: where results go.
            progress: shows the user what goes on.
            work: what to do with a device.

        Raises:
            UsageError: a device is named twice.
            GroundspeedError: there is one device, and it cannot be used, or the work failed.
        """
        from groundspeed.deploy.devices.pool import Outcome, on_each, on_one

        def there(device: str, lane: RunProgress, pause: Callable[[], None]) -> T:
            def heard(event: Event) -> None:
                pause()
                lane(event)

            def waiting(sentence: str) -> None:
                pause()
                lane.say(sentence)

            with Store(location) as store:

                def begin(target: Target) -> T:
                    cpus = target.cores(self.cores)
                    return work(Here(target=target, cpus=cpus, store=store, on_event=heard))

                return on_one(device, store, begin, keeping=self.keeping, on_progress=waiting)

        if len(set(self.devices)) < len(self.devices):
            raise UsageError("--on names a device twice; name each once")
        if len(self.devices) == 1:
            (device,) = self.devices
            return (Outcome(device=device, result=there(device, progress, lambda: None)),)
        return on_each(
            self.devices,
            lambda device, pause: there(device, progress.lane(device), pause),
            on_interrupt=lambda: progress.say("stopping; Ctrl-C again leaves the devices alone"),
        )
