"""A phone over adb: Android's own adbd and the native agents, on emulated arm64."""

from __future__ import annotations

import threading

import pytest

from device_tests.any_device import AnyDevice
from device_tests.emulation import fake_phone
from device_tests.emulation.phone import Phone
from groundspeed.deploy.agents.in_native import NativeAgent
from groundspeed.deploy.agents.native import Recipe
from groundspeed.deploy.devices import clocks
from groundspeed.deploy.devices.clusters import clusters
from groundspeed.deploy.devices.cooldown import cool_down
from groundspeed.deploy.devices.state import read_state
from groundspeed.deploy.targets.adb import AdbLink
from groundspeed.deploy.targets.adb_server import AdbServer
from groundspeed.deploy.targets.address import Address
from groundspeed.deploy.targets.jobs import Holder
from groundspeed.deploy.targets.remote import RemoteTarget
from groundspeed.errors import DeviceLost

pytestmark = pytest.mark.arm64

# Of ncnn what the network is made of, hardly optimized: it computes the same, and is built sooner.
RECIPE = Recipe(
    only_layers=(
        *("input", "convolution", "convolutiondepthwise", "innerproduct", "pooling", "reduction"),
        *("slice", "concat", "split", "shufflechannel", "relu", "noop"),
        *("gemm", "padding", "packing", "flatten", "cast", "quantize", "dequantize", "requantize"),
    ),
    ncnn_variables={
        "CMAKE_CXX_FLAGS_RELEASE": "-O1 -DNDEBUG",
        **{f"NCNN_{name}": "OFF" for name in ("ARM82", "ARM84I8MM", "ARM86SVE", "BF16")},
    },
)


@pytest.fixture
def target(link: AdbLink) -> RemoteTarget:
    state = read_state(link)
    agent = NativeAgent(state.architecture, RECIPE)
    return RemoteTarget("phone", link, agent, state=state, holder=Holder(name="me"))


class TestPhone(AnyDevice):
    """What holds on every device."""


def test_it_says_what_a_phone_can_say(link: AdbLink) -> None:
    state = read_state(link)
    assert (state.model, state.android, state.root) == ("Emulated Phone 8", True, False)
    assert state.emulated is True
    assert clusters(state) == [(0, 1, 2, 3), (4, 5, 6), (7,)]
    assert (state.battery, state.charging, state.awake) == (0.83, True, True)
    assert state.temperatures_c == {"battery": 31.0, "SKIN": 33.5}
    assert state.throttled is False
    assert not any(policy.writable for policy in state.policies)


def test_a_hot_phone_is_waited_for_until_it_is_cool(link: AdbLink, emulated_phone: Phone) -> None:
    fake_phone.set_heat(emulated_phone.root, status=3)
    pauses: list[float] = []

    def cools(seconds: float) -> None:
        pauses.append(seconds)
        fake_phone.set_heat(emulated_phone.root)

    assert cool_down(link, sleep=cools).ready
    assert len(pauses) == 1


def test_fixed_performance_is_asked_for_and_given_back(
    link: AdbLink, emulated_phone: Phone
) -> None:
    log = emulated_phone.root / "fake/cmd.log"
    with clocks.locked(link):
        assert log.read_text().endswith("power set-fixed-performance-mode-enabled true\n")
    assert log.read_text().endswith("power set-fixed-performance-mode-enabled false\n")


def test_a_phone_that_is_switched_off_in_the_midst_is_lost_and_found_again(
    link: AdbLink, adb_server: AdbServer, emulated_phone: Phone
) -> None:
    threading.Timer(2.0, emulated_phone.stop).start()
    with pytest.raises(DeviceLost):
        link.run("sleep 60", timeout_s=40)
    emulated_phone.start()
    again = AdbLink(Address(scheme="adb", host=emulated_phone.serial), server=adb_server)
    assert again.run("echo back").text == "back"
