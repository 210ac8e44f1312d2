"""Things that take long to build, kept under a digest of all that went into them."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

_RECIPE = "recipe.json"
_KEEP = 4  # builds of one name: who changes flags or versions back needs not build anew
_DIGEST = "[0-9a-f]" * 16


class Kept:
    """A folder of things that were built, each a folder of its own.

    Two processes that want the same thing build it once; one that is killed leaves nothing that
    looks finished. Of each name the newest few are kept.

    Args:
        folder: where they are; made when the first is built.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def get(self, name: str, made_from: object, build: Callable[[Path], object]) -> Path:
        """Return the folder of a thing.

        Args:
            name: what people see of it in the folder's name.
            made_from: all that went into it, as JSON takes it: another recipe is another thing.
            build: fills the empty folder that it is given, the first time.
        """
        recipe = json.dumps(made_from, sort_keys=True, indent=1)
        digest = hashlib.sha256(recipe.encode()).hexdigest()[:16]
        final = self._folder / f"{name}-{digest}"
        if not final.is_dir():
            self._folder.mkdir(parents=True, exist_ok=True)
            with self._locked(name):
                if not final.is_dir():  # else another process built it meanwhile
                    self._build(final, recipe, build)
                    self._prune(name)
        return final

    def _build(self, final: Path, recipe: str, build: Callable[[Path], object]) -> None:
        made = self._folder / f"{final.name}.part"
        # What is left of a process that was killed: whoever holds the lock is alone with it.
        shutil.rmtree(made, ignore_errors=True)
        made.mkdir()
        try:
            build(made)
            made.joinpath(_RECIPE).write_text(recipe)
            made.rename(final)
        except BaseException:
            shutil.rmtree(made, ignore_errors=True)
            raise

    def _prune(self, name: str) -> None:
        builds = sorted(
            self._folder.glob(f"{name}-{_DIGEST}"), key=lambda path: path.stat().st_mtime_ns
        )
        for old in builds[:-_KEEP]:
            shutil.rmtree(old)

    @contextlib.contextmanager
    def _locked(self, name: str) -> Iterator[None]:
        with (self._folder / f".{name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
