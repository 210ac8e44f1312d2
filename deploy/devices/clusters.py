"""Which CPUs are big and which are little, and what ``--cores`` means on a device."""

from __future__ import annotations

from groundspeed.deploy.devices.state import State, cpu_numbers
from groundspeed.errors import UsageError


def clusters(state: State) -> list[tuple[int, ...]]:
    """Return the device's CPUs that are on, in groups of equal strength, the weakest first.

    Strength is what the kernel says of each CPU's capacity; where it says nothing, the highest
    clock that the hardware has; where that is missing too, all CPUs are one group, for a part
    number tells kinds apart but not which of them is stronger.
    """
    strength: dict[int, float] = {}
    clocks = {
        cpu: policy.possible_hz
        for policy in state.policies
        if policy.possible_hz is not None
        for cpu in policy.cpus
    }
    if all(cpu in state.capacities for cpu in state.cpus):
        strength = {cpu: float(state.capacities[cpu]) for cpu in state.cpus}
    elif all(cpu in clocks for cpu in state.cpus):
        strength = {cpu: clocks[cpu] for cpu in state.cpus}
    groups: dict[float, list[int]] = {}
    for cpu in state.cpus:
        groups.setdefault(strength.get(cpu, 0.0), []).append(cpu)
    return [tuple(groups[level]) for level in sorted(groups)]


def cores(text: str, state: State, device: str) -> tuple[int, ...]:
    """Return the CPUs that a user means by "big", "little", or numbers like "0-3,6".

    "big" is every group but the weakest: phones with a single strongest CPU run on the middle
    group too. Where all CPUs are equal there is no big and no little.

    Args:
        text: what the user wrote.
        state: the device's.
        device: what the user calls it, for messages.

    Raises:
        UsageError: there are no such CPUs on the device.
    """
    groups = clusters(state)
    if text in ("big", "little"):
        if len(groups) < 2:
            raise UsageError(
                f"{device} has no {text} cores: its {len(state.cpus)} CPUs are all alike, as far "
                "as it says; name them by number (0-3)"
            )
        return groups[0] if text == "little" else tuple(sorted(sum(groups[1:], ())))
    numbers = tuple(dict.fromkeys(cpu_numbers(text)))
    if not numbers:
        raise UsageError(f"'{text}' names no cores; write big, little, or numbers like 0-3,6")
    missing = [cpu for cpu in numbers if cpu not in state.cpus]
    if missing:
        known = ",".join(map(str, state.cpus))
        raise UsageError(f"{device} has no CPU {missing[0]} that is on; it has {known}")
    return numbers
