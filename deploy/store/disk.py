"""The folder of a store on this machine: held alone, and what goes wrong with it in words."""

from __future__ import annotations

import errno
import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from groundspeed.errors import StoreError


@contextmanager
def disk(folder: Path) -> Iterator[None]:
    """Turn what the system complains about in a folder into a :class:`StoreError`."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise StoreError(
                f"the disk of the store {folder} is full; everything stored before is kept: free "
                "some space, then run the same command again to go on"
            ) from error
        raise StoreError(
            f"the store {folder} cannot be written ({error}); check its permissions, or name "
            "another folder with --store"
        ) from error


@contextmanager
def exclusive(folder: Path) -> Iterator[None]:
    """Hold a folder alone; the system gives the lock back when a process dies."""
    with (folder / ".lock").open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
