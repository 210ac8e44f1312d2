"""Root folders of an arm64 board and an arm64 phone, from Debian's own packages.

Only unpacked, nothing of them is run to make them: seconds instead of minutes. Whatever runs in
them later is a real arm64 program under QEMU's user emulation; needs root and binfmt_misc.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

BOARD = (
    *("bash", "dash", "coreutils", "procps", "util-linux", "base-files", "base-passwd", "tar"),
    *("gzip", "findutils", "grep", "sed", "libgomp1", "libstdc++6", "libc-bin"),
    *("openssh-server", "openssh-sftp-server", "python3.11", "libpython3.11-stdlib"),
)
PHONE = (
    *("adbd", "mksh", "toybox", "coreutils", "procps", "util-linux", "base-files", "base-passwd"),
    *("grep", "sed", "libgomp1", "dash"),
)
BINFMT = Path("/proc/sys/fs/binfmt_misc")


def missing() -> str:
    """Return what keeps arm64 programs from running here, "" if nothing does."""
    if os.geteuid() != 0:
        return "root is needed to mount and chroot"
    absent = [
        tool
        for tool in ("mmdebstrap", "qemu-aarch64-static", "ip", "unshare")
        if shutil.which(tool) is None
    ]
    return f"not installed: {', '.join(absent)} ('./do test' installs them)" if absent else ""


def register_qemu() -> None:
    """Let the kernel hand arm64 programs to QEMU."""
    if not (BINFMT / "register").exists():
        subprocess.run(["mount", "-t", "binfmt_misc", "binfmt_misc", str(BINFMT)], check=True)
    if not (BINFMT / "qemu-aarch64").exists():
        (BINFMT / "register").write_bytes(Path("/usr/lib/binfmt.d/qemu-aarch64.conf").read_bytes())


def board(folder: Path, extra: tuple[str, ...] = ()) -> Path:
    """Make the root folder of a board: bookworm with Python 3.11 and OpenSSH's server.

    Args:
        folder: where it goes.
        extra: more packages.
    """
    root = _unpacked(folder / "board", "bookworm", (*BOARD, *extra))
    (root / "bin/sh").unlink(missing_ok=True)
    (root / "bin/sh").symlink_to("dash")
    python = root / "usr/bin/python3"
    python.unlink(missing_ok=True)
    python.symlink_to("python3.11")
    _add_line(root / "etc/passwd", "sshd:x:100:65534::/run/sshd:/usr/sbin/nologin")
    (root / "run/sshd").mkdir(parents=True, exist_ok=True)
    return root


def phone(folder: Path) -> Path:
    """Make the root folder of a phone: Android's own adbd, its shell and its toolbox."""
    root = _unpacked(folder / "phone", "trixie", PHONE)
    (root / "bin/sh").unlink(missing_ok=True)
    (root / "bin/sh").symlink_to("mksh")
    return root


def _unpacked(root: Path, suite: str, packages: tuple[str, ...]) -> Path:
    mirror = subprocess.run(
        ["apt-get", "indextargets", "--format", "$(SITE)", "Created-By: Packages"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()[0]
    log = root.with_suffix(".log")
    with log.open("w") as output:
        done = subprocess.run(
            [
                *("mmdebstrap", "--arch=arm64", "--variant=extract", "--mode=root"),
                f"--include={','.join(packages)}",
                *(suite, str(root), mirror),
            ],
            stdout=output,
            stderr=output,
        )
    assert done.returncode == 0, log.read_text()[-2000:]
    for name in ("passwd", "group"):
        shutil.copyfile(root / f"usr/share/base-passwd/{name}.master", root / f"etc/{name}")
    for name in ("proc", "sys", "dev", "tmp", "data/local/tmp", "root"):
        (root / name).mkdir(parents=True, exist_ok=True)
    (root / "tmp").chmod(0o1777)
    (root / "data/local/tmp").chmod(0o777)
    return root


def _add_line(path: Path, line: str) -> None:
    path.write_text(f"{path.read_text()}{line}\n")
