"""Where a command measures: the device that the user names, and how it is to be held."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from groundspeed.deploy.store.store import Store
from groundspeed.deploy.targets.target import Target


@dataclass(frozen=True, kw_only=True)
class Place:
    """What the options of a command say about the device.

    Attributes:
        device: a name of groundspeed.toml, or an address.
        cores: CPUs to stay on, as the user wrote them; "" leaves it to the system.
        lock_clocks: whether its clocks are held steady.
        cooldown_s: how long it is waited for when it is hot.
    """

    device: str
    cores: str
    lock_clocks: bool
    cooldown_s: float

    @contextmanager
    def open(
        self, store: Store, on_progress: Callable[[str], None]
    ) -> Iterator[tuple[Target, tuple[int, ...]]]:
        """Yield the device, ours alone meanwhile, and the CPUs to stay on.

        Raises:
            GroundspeedError: as in ``using`` and ``Target.cores``.
        """
        from groundspeed.deploy.devices.using import using

        with using(
            self.device,
            store,
            lock_clocks=self.lock_clocks,
            cooldown_s=self.cooldown_s,
            on_progress=on_progress,
        ) as target:
            yield target, target.cores(self.cores)
