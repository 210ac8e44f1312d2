"""A whole arm64 board: Debian's own kernel and sshd in a virtual machine, with cores of two kinds.

Unlike :mod:`device_tests.emulation.board` it has a kernel of its own: its ``/sys`` and
``/proc/cpuinfo`` are real, cores that it does not have are refused, and it has no ``cpufreq`` and
no thermal zones. Nothing of it needs root, or hardware that virtualizes.
"""

from __future__ import annotations

import gzip
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from device_tests.emulation import rootfs
from device_tests.emulation.board import SERVER, free_port, make_keys, wait_for_ssh

MODEL = "Emulated Board 4"
CAPACITIES = (300, 300, 1024, 1024)
START_S = 180

# What the kernel needs to find its disk and its network, in the order of who needs whom.
_MODULES = (
    *("drivers/virtio/virtio_ring", "drivers/virtio/virtio"),
    *("drivers/virtio/virtio_pci_legacy_dev", "drivers/virtio/virtio_pci_modern_dev"),
    *("drivers/virtio/virtio_pci", "drivers/block/virtio_blk", "net/core/failover"),
    *("drivers/net/net_failover", "drivers/net/virtio_net", "lib/crc16"),
    *("crypto/crc32c_generic", "lib/libcrc32c", "fs/mbcache", "fs/jbd2/jbd2", "fs/ext4/ext4"),
)
_FIND_DISK = """\
#!/bin/busybox sh
/bin/busybox mount -t devtmpfs dev /dev
for module in {modules}; do /bin/busybox insmod "/lib/$module"; done
/bin/busybox mount -t ext4 /dev/vda /mnt
exec /bin/busybox switch_root /mnt /bin/busybox sh /sbin/board-init
"""
_BOARD_INIT = """\
busybox=/bin/busybox
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
$busybox mount -t devtmpfs dev /dev
$busybox mkdir -p /dev/pts /run
$busybox mount -t devpts devpts /dev/pts
$busybox mount -t proc proc /proc
$busybox mount -t sysfs sys /sys
$busybox mount -t tmpfs tmpfs /run
$busybox mkdir -p /run/sshd
$busybox ip link set lo up
$busybox ip addr add 10.0.2.15/24 dev eth0
$busybox ip link set eth0 up
$busybox hostname board
exec /usr/sbin/sshd -D -e -f /etc/ssh/sshd_test
"""


@dataclass
class VirtualMachine:
    """A running board.

    Attributes:
        config: configuration of the ssh client in which it is the host "board".
        process: the emulator.
    """

    config: Path
    process: subprocess.Popen[bytes]

    def pull_the_plug(self) -> None:
        """End it from one moment to the next."""
        self.process.kill()
        self.process.wait()


def missing() -> str:
    """Return what keeps a virtual machine from running here, "" if nothing does."""
    tools = ("qemu-system-aarch64", "dtc", "fdtput", "cpio", "mke2fs")
    absent = [tool for tool in tools if shutil.which(tool) is None]
    if absent:
        return f"not installed: {', '.join(absent)} ('./do test' installs them)"
    return rootfs.missing()


@contextmanager
def running(folder: Path) -> Iterator[VirtualMachine]:
    """Make a board from nothing, start it, and wait until somebody can log in.

    Args:
        folder: where its disk and the keys go.
    """
    port = free_port()
    make_keys(folder, port)
    kernel, initrd, disk = _made(folder)
    log = (folder / "console.log").open("wb")
    process = subprocess.Popen(
        [
            *_machine(),
            *("-dtb", str(_device_tree(folder)), "-kernel", str(kernel), "-initrd", str(initrd)),
            *("-append", "console=ttyAMA0 quiet panic=-1"),
            *("-drive", f"file={disk},format=raw,if=none,id=disk,snapshot=on"),
            *("-device", "virtio-blk-pci,drive=disk"),
            # It reaches nobody; only its own port 22 is reached.
            *("-netdev", f"user,id=net,restrict=on,hostfwd=tcp:127.0.0.1:{port}-:22"),
            *("-device", "virtio-net-pci,netdev=net,romfile=", "-no-reboot"),
        ],
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        start_new_session=True,
    )
    log.close()
    try:
        wait_for_ssh(port, process, folder / "console.log", time.monotonic() + START_S)
        yield VirtualMachine(config=folder / "config", process=process)
    finally:
        process.kill()
        process.wait()


def _machine() -> list[str]:
    cores = str(len(CAPACITIES))
    return [
        *("qemu-system-aarch64", "-M", "virt", "-cpu", "cortex-a72", "-smp", cores, "-m", "1024"),
        *("-accel", "tcg,thread=multi", "-display", "none", "-serial", "stdio"),
        *("-monitor", "none"),
    ]


def _device_tree(folder: Path) -> Path:
    """Write the machine's own device tree, with its model and two kinds of cores."""
    tree = folder / "board.dtb"
    dump = [*_machine(), "-nic", "none", "-M", f"dumpdtb={tree}"]
    subprocess.run(dump, check=True, capture_output=True)
    subprocess.run(["fdtput", "-t", "s", tree, "/", "model", MODEL], check=True)
    for core, capacity in enumerate(CAPACITIES):
        place = (f"/cpus/cpu@{core}", "capacity-dmips-mhz", str(capacity))
        subprocess.run(["fdtput", "-t", "i", tree, *place], check=True)
    return tree


def _made(folder: Path) -> tuple[Path, Path, Path]:
    """Make the kernel, the first file system and the disk."""
    root = rootfs.board(folder, extra=("busybox-static", "linux-image-cloud-arm64"))
    (kernel,) = (root / "boot").glob("vmlinuz-*")
    shutil.copyfile(kernel, folder / "kernel")
    initrd = _initrd(root, folder)
    for unneeded in (root / "boot", root / "usr/lib/modules", root / "lib/modules"):
        shutil.rmtree(unneeded, ignore_errors=True)
    (root / "sbin/board-init").write_text(_BOARD_INIT)
    (root / "etc/ssh").mkdir(parents=True, exist_ok=True)
    (root / "etc/ssh/sshd_test").write_text(SERVER)
    shutil.copyfile(folder / "host_key", root / "etc/ssh/host_key")
    (root / "etc/ssh/host_key").chmod(0o600)
    (root / "root/.ssh").mkdir(parents=True)
    shutil.copyfile(folder / "id.pub", root / "root/.ssh/authorized_keys")
    disk = folder / "disk.img"
    subprocess.run(
        ["mke2fs", "-q", "-t", "ext4", "-O", "^has_journal", "-d", root, disk, "900M"],
        check=True,
        capture_output=True,
    )
    return folder / "kernel", initrd, disk


def _initrd(root: Path, folder: Path) -> Path:
    """Write what the kernel starts with: busybox, and the modules that the disk needs."""
    first = folder / "initrd"
    for name in ("bin", "dev", "lib", "mnt"):
        (first / name).mkdir(parents=True)
    shutil.copy2(root / "bin/busybox", first / "bin/busybox")
    (modules,) = root.glob("lib/modules/*/kernel")
    names = []
    for module in _MODULES:
        for path in modules.glob(f"{module}.ko"):  # what is built in has no file
            shutil.copyfile(path, first / "lib" / path.name)
            names.append(path.name)
    (first / "init").write_text(_FIND_DISK.format(modules=" ".join(names)))
    (first / "init").chmod(0o755)
    found = sorted(str(path.relative_to(first)) for path in first.rglob("*"))
    archive = subprocess.run(
        ["cpio", "-o", "-H", "newc", "--quiet"],
        input="\n".join(found).encode(),
        cwd=first,
        check=True,
        capture_output=True,
    ).stdout
    packed = folder / "initrd.gz"
    packed.write_bytes(gzip.compress(archive, compresslevel=1))
    return packed
