"""Which commit of the user's repository is at hand, and what names of commits mean there."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from groundspeed.errors import UsageError

CHANGED = "+changes"  # after a commit: and what was changed since

_VERIFY = ("rev-parse", "--verify", "--quiet")


def current(folder: Path | None = None) -> str | None:
    """Return the checked-out commit, marked if tracked files differ from it.

    Args:
        folder: where to look; the current one by default.

    Returns:
        The commit's digest, or None where there is no git or no commit.
    """
    commit = commit_of("HEAD", folder)
    if not commit:
        return None
    changed = _git(folder, "status", "--porcelain", "--untracked-files=no")
    return f"{commit}{CHANGED}" if changed else commit


def commit_of(name: str, folder: Path | None = None) -> str | None:
    """Return the digest of the commit that a branch, a tag or a digest names; None if none."""
    # A name that begins with a dash is an option to git, and no commit.
    return None if name.startswith("-") else _git(folder, *_VERIFY, f"{name}^{{commit}}")


@contextmanager
def checked_out(commit: str, folder: Path | None = None) -> Iterator[Path]:
    """Yield the user's folder as it was at a commit, beside the repository, until the block ends.

    Raises:
        UsageError: git cannot check it out, or the folder did not exist then.
    """
    here = (folder or Path.cwd()).resolve()
    top = _git(here, "rev-parse", "--show-toplevel")
    if not top:
        raise UsageError(f"{here} is in no git repository")
    with TemporaryDirectory(prefix="groundspeed-") as temporary:
        tree = Path(temporary) / "tree"
        try:
            _run(here, "worktree", "add", "--detach", "--quiet", str(tree), commit)
        except subprocess.CalledProcessError as error:
            reason = error.stderr.strip().rpartition("\n")[2]
            raise UsageError(f"git cannot check out {commit[:12]}: {reason}") from error
        try:
            inside = tree / here.relative_to(Path(top).resolve())
            if not inside.is_dir():
                raise UsageError(f"{here} did not exist at {commit[:12]} yet")
            yield inside
        finally:
            _run(here, "worktree", "remove", "--force", str(tree))


def _git(folder: Path | None, *words: str) -> str | None:
    """Return what git says, None where it is missing or has nothing to say."""
    try:
        return _run(folder, *words).strip() or None
    except (OSError, subprocess.CalledProcessError):
        return None


def _run(folder: Path | None, *words: str) -> str:
    return subprocess.run(
        ["git", *words], cwd=folder, check=True, capture_output=True, text=True
    ).stdout
