"""Commits of the user's repository, against git itself."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from groundspeed.deploy import revision
from groundspeed.errors import UsageError


def git(folder: Path, *words: str) -> str:
    who = ("-c", "user.name=a", "-c", "user.email=a@b")
    return subprocess.run(
        ["git", *who, *words], cwd=folder, check=True, capture_output=True, text=True
    ).stdout.strip()


@pytest.fixture
def project(tmp_path: Path) -> Path:
    git(tmp_path, "init", "--quiet", "--initial-branch=main")
    (tmp_path / "nets").mkdir()
    for text in ("first", "second"):
        (tmp_path / "nets" / "net.py").write_text(text)
        git(tmp_path, "add", ".")
        git(tmp_path, "commit", "--quiet", "-m", text)
    return tmp_path


def test_the_commit_is_told_with_what_was_changed_since(project: Path) -> None:
    head = git(project, "rev-parse", "HEAD")
    assert revision.current(project) == head
    (project / "note.txt").write_text("untracked")
    assert revision.current(project) == head
    (project / "nets" / "net.py").write_text("third")
    assert revision.current(project) == head + revision.CHANGED


def test_no_repository_has_no_commit(tmp_path: Path) -> None:
    assert revision.current(tmp_path) is None
    git(tmp_path, "init", "--quiet")
    assert revision.current(tmp_path) is None


def test_names_mean_what_git_says(project: Path) -> None:
    git(project, "tag", "-a", "v1", "-m", "v1")
    head = git(project, "rev-parse", "HEAD")
    assert {revision.commit_of(name, project) for name in ("main", "v1", head[:10])} == {head}
    assert revision.commit_of("main~1", project) == git(project, "rev-parse", "main~1")
    assert revision.commit_of("nothing", project) is None
    assert revision.commit_of("--all", project) is None


def test_an_old_commit_is_checked_out_beside_the_folder(project: Path) -> None:
    first = git(project, "rev-parse", "main~1")
    with revision.checked_out(first, project / "nets") as then:
        assert (then / "net.py").read_text() == "first"
        assert (project / "nets" / "net.py").read_text() == "second"
    assert not then.exists()
    assert git(project, "worktree", "list").count("\n") == 0


def test_a_folder_that_is_younger_than_the_commit_is_told(project: Path) -> None:
    (project / "new").mkdir()
    with (
        pytest.raises(UsageError, match="did not exist"),
        revision.checked_out(git(project, "rev-parse", "HEAD"), project / "new"),
    ):
        pass
    assert git(project, "worktree", "list").count("\n") == 0
