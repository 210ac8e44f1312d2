"""Devices that several folders of tests share: made once, from nothing, in about a minute."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from device_tests.emulation import board, phone, rootfs


@pytest.fixture(scope="session")
def arm64() -> None:
    """Let arm64 programs run here; without that, such tests are skipped, but fail in CI."""
    reason = rootfs.missing()
    if reason:
        if os.environ.get("GROUNDSPEED_REQUIRE_ARM64"):
            pytest.fail(f"emulated devices are asked for: {reason}")
        pytest.skip(f"no emulated devices: {reason}")
    rootfs.register_qemu()


@pytest.fixture(scope="session")
def emulated_board(arm64: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[board.Board]:
    """A board over ssh, without any engine yet."""
    folder = tmp_path_factory.mktemp("board")
    with board.running(rootfs.board(folder), folder / "keys") as running:
        yield running


@pytest.fixture(scope="session")
def emulated_phone(arm64: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[phone.Phone]:
    """A phone over adb."""
    with phone.running(rootfs.phone(tmp_path_factory.mktemp("phone"))) as running:
        yield running


@pytest.fixture(scope="session")
def artifacts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small network in every format, in floats and in integers."""
    import numpy as np
    import torch

    from groundspeed.deploy import sources
    from groundspeed.deploy.exporting import Exporter
    from groundspeed.deploy.quantizing import Quantizing

    folder = tmp_path_factory.mktemp("artifacts")
    generator = np.random.default_rng(0)
    data = folder / "data.npz"
    np.savez(data, images=generator.standard_normal((16, 3, 32, 32)).astype(np.float32))
    torch.manual_seed(0)
    spec = f"{Path(__file__).parent / 'host/user_networks.py'}:tiny"
    network = sources.load(spec, input_shapes=[(1, 3, 32, 32)])
    exporter = Exporter(network, folder, quantizing=Quantizing(data=str(data), samples=16))
    for format in ("onnx", "tflite", "ncnn"):
        for precision in ("fp32", "int8"):
            exporter.export(format, precision)
    return folder
