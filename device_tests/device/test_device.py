"""A device of your own, by the suite that the emulated ones pass.

groundspeed devices provision NAME      # once, for a board with Python
GROUNDSPEED_DEVICE=adb://… python -m pytest device_tests/device
"""

from __future__ import annotations

import pytest

from device_tests.any_device import AnyDevice

pytestmark = pytest.mark.device


class TestDevice(AnyDevice):
    """A real phone or board."""
