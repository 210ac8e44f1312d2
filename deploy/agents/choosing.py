"""Which agent measures on a device."""

from __future__ import annotations

from groundspeed.deploy.agents.agent import Agent
from groundspeed.deploy.agents.in_native import NativeAgent
from groundspeed.deploy.agents.in_python import PythonAgent
from groundspeed.deploy.agents.native import Recipe
from groundspeed.deploy.agents.wheels import provisioned
from groundspeed.deploy.devices.config import Device
from groundspeed.deploy.devices.state import State
from groundspeed.deploy.targets.here import user_cache
from groundspeed.deploy.targets.link import Link

OLDEST_PYTHON = (3, 11)


def choose_agent(device: Device, state: State, link: Link) -> Agent:
    """Return the agent that the user asked for, else Python's where the device can run it.

    Raises:
        DeviceLost, DeviceRefused: as in ``Link.run``.
    """
    if device.agent == "native" or (device.agent == "auto" and not runs_python(state)):
        return NativeAgent(state.architecture, Recipe(libraries=device.libraries))
    folder = user_cache() / "agents"
    return PythonAgent(folder, python=device.python, packages=provisioned(link))


def runs_python(state: State) -> bool:
    """Return whether the device has a Python that the agent can run in."""
    if state.python is None or state.android:
        return False
    version = tuple(int(part) for part in state.python.split(".")[:2] if part.isdecimal())
    return version >= OLDEST_PYTHON
