"""What must be equal before two launches may stand in one comparison."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from groundspeed.artifact import Manifest
from groundspeed.documents import dump, to_plain
from groundspeed.measurement import Launch

Key = dict[str, Any]


def key(launch: Launch, manifest: Manifest) -> Key:
    """Return everything that decides whether a launch may be compared with another.

    Only what stays put while a machine is up: a measured frequency, temperature or load differs
    from launch to launch by itself, and would make every launch incomparable.
    """
    return {
        "machine": to_plain(launch.machine),
        "runtime": launch.runtime,
        "runtime_version": launch.runtime_version,
        "runtime_build": launch.runtime_build,
        "threads": launch.options.threads,
        "cpus": list(launch.cpus_granted),
        "precision": launch.options.precision,
        "input_shapes": [list(spec.shape) for spec in manifest.inputs],
        "agent_version": launch.agent_version,
    }


def digest(key: Key) -> str:
    """Return the sha256 of a key: equal keys, equal digests."""
    return hashlib.sha256(dump(key).encode()).hexdigest()


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> str:
    """Return what differs, for people: "runtime_version was 1.22.0, is 1.23.0"."""
    return "; ".join(
        f"{name} was {old.get(name)}, is {new.get(name)}"
        for name in sorted({*old, *new})
        if old.get(name) != new.get(name)
    )
