"""Files on a device, kept by their content: what is there is never pushed again.

    <folder>/files/<sha256>/<name>

A file comes in under a temporary name, is compared with its digest on the device, and is renamed:
what has its final name is whole. The name stays the file's own, because engines look at it.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from groundspeed.deploy.targets.link import DIGEST, Link
from groundspeed.errors import ArtifactError, DeviceLost, DeviceRefused

OnProgress = Callable[[str], None]

TRIES = 3  # of one file, when its content does not arrive as it was sent
SLOWEST_BYTES_PER_S = 200e3  # a deadline is for links that hang, not for slow ones
MEGABYTE = 1e6

# Prints the free kilobytes, then each file that is missing, and makes the folders for these.
_WHICH = """
folder=$1
shift
mkdir -p "$folder/files" "$folder/incoming" || exit 73
df -Pk "$folder" | tail -n 1
for file in "$@"; do
    [ -f "$folder/files/$file" ] && continue
    mkdir -p "$folder/files/${file%%/*}" && printf '%s\\n' "$file" || exit 73
done
"""
# Exit status 3: it is not what was sent. 70: the device has nothing to tell with.
_PLACE = f"""
{DIGEST}
set -- "$1" "$2" "$3" "${{4:-$(digest <"$1" | cut -d ' ' -f 1)}}"
[ -n "$4" ] || exit 70
[ "$4" = "$2" ] || {{ rm -f "$1"; exit 3; }}
chmod 755 "$1" && mv -f "$1" "$3"
"""


@dataclass(frozen=True, kw_only=True)
class Held:
    """One file to have on a device.

    Attributes:
        path: where it is on this machine.
        digest: sha256 of its content.
    """

    path: Path
    digest: str

    @classmethod
    def of(cls, path: Path) -> Held:
        """Return a file with its digest.

        Raises:
            ArtifactError: it cannot be read.
        """
        try:
            with path.open("rb") as file:
                return cls(path=path, digest=hashlib.file_digest(file, "sha256").hexdigest())
        except OSError as error:
            raise ArtifactError(
                f"{path} cannot be read ({error.strerror}); export it again"
            ) from error

    @property
    def place(self) -> str:
        """Its path below ``files/``."""
        return f"{self.digest}/{self.path.name}"


class Cache:
    """The files of one device; remembers what it has seen there.

    Args:
        link: the way to the device.
    """

    def __init__(self, link: Link) -> None:
        self._link = link
        self._seen: set[str] = set()
        self._held: dict[tuple[Path, int, int], Held] = {}

    def ensure(
        self, files: Iterable[Path], on_progress: OnProgress | None = None
    ) -> dict[Path, PurePosixPath]:
        """Put what is missing on the device and return where each file is there.

        Raises:
            ArtifactError: a file cannot be read here.
            DeviceLost: the link broke; what had arrived whole stays.
            DeviceRefused: the device has no space, or lets nobody in.
        """
        held = {path: self._hold(path) for path in dict.fromkeys(files)}
        for file in self._missing([one for one in held.values() if one.place not in self._seen]):
            self._push(file, on_progress)
        self._seen |= {file.place for file in held.values()}
        root = PurePosixPath(self._link.folder, "files")
        return {path: root / file.place for path, file in held.items()}

    def remembers(self, path: Path) -> bool:
        """Return whether a file was found or put there, with the content that it has now."""
        return self._hold(path).place in self._seen

    def forget(self) -> None:
        """Look again next time: the device may have been emptied meanwhile."""
        self._seen.clear()

    def _hold(self, path: Path) -> Held:
        """Return a file with its digest, which is taken again only when the file was written to."""
        try:
            found = path.stat()
        except OSError:
            return Held.of(path)  # says what is wrong with it
        key = (path, found.st_mtime_ns, found.st_size)
        if key not in self._held:
            self._held[key] = Held.of(path)
        return self._held[key]

    def _missing(self, files: list[Held]) -> list[Held]:
        """Return the files that are not there, after making sure that there is room for them."""
        if not files:
            return []
        root = self._link.folder
        found = self._link.run(_WHICH, [root, *(file.place for file in files)])
        if found.status != 0:
            raise DeviceRefused(f"{root} on {self._link.name} cannot be written: {found.complaint}")
        disk, *names = found.text.splitlines()
        missing = [file for file in files if file.place in set(names)]
        free, needed = _free_bytes(disk), sum(file.path.stat().st_size for file in missing)
        if free is not None and free < needed:
            raise DeviceRefused(
                f"{self._link.name} has {free / MEGABYTE:.0f} MB free, {needed / MEGABYTE:.0f} MB "
                f"are to be put there; free some space, or remove {root}"
            )
        return missing

    def _push(self, file: Held, on_progress: OnProgress | None) -> None:
        size = file.path.stat().st_size
        if on_progress is not None:
            on_progress(f"pushing {file.path.name} ({size / MEGABYTE:.1f} MB) to {self._link.name}")
        root = self._link.folder
        part = f"{root}/incoming/{secrets.token_hex(8)}.part"
        timeout_s = copying_s(size)
        for _ in range(TRIES):
            arrived = self._link.push(file.path, part, timeout_s=timeout_s)
            place = f"{root}/files/{file.place}"
            placed = self._link.run(
                _PLACE, [part, file.digest, place, arrived], timeout_s=timeout_s
            )
            if placed.status == 0:
                return
            if placed.status == 70:
                raise DeviceRefused(
                    f"{self._link.name} has no sha256sum and no openssl, so that nobody can tell "
                    "whether a file arrived whole; install coreutils, busybox or toybox there"
                )
            if placed.status != 3:
                raise DeviceRefused(
                    f"{file.path.name} could not be kept in {root} on {self._link.name}: "
                    f"{placed.complaint}"
                )
        raise DeviceLost(
            f"{file.path.name} arrived damaged on {self._link.name} {TRIES} times in a row; "
            "check the cable or the network"
        )


def copying_s(size: int) -> float:
    """Return how long the copying of so many bytes may take, in seconds."""
    return 30 + size / SLOWEST_BYTES_PER_S


def _free_bytes(line: str) -> int | None:
    """Return the fourth column of a line of ``df -Pk``, in bytes."""
    columns = line.split()
    return int(columns[3]) * 1024 if len(columns) > 3 and columns[3].isdigit() else None
