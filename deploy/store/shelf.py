"""The measured files, each artifact in a folder that is whole or absent."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from groundspeed.artifact import MANIFEST, Artifact
from groundspeed.documents import dump, write_atomically
from groundspeed.errors import ArtifactError


def place(artifact: Artifact, folder: Path) -> None:
    """Copy an artifact into ``folder``, unless a whole copy is there: that gets the manifest only.

    Equal files may come with a better manifest, from a newer Groundspeed.
    """
    if not _is_whole(folder):
        _copy(artifact, folder)
    elif artifact.folder != folder:
        write_atomically(folder / MANIFEST, dump(artifact.manifest))


def _is_whole(folder: Path) -> bool:
    try:
        Artifact.open(folder)
    except ArtifactError:
        return False
    return True


def _copy(artifact: Artifact, folder: Path) -> None:
    """Copy the files beside their place and rename them there, so that none is ever half there."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".") as temporary:
        draft = Path(temporary) / "artifact"
        draft.mkdir()
        for path in artifact.paths.values():
            shutil.copy2(path, draft / path.name)
        write_atomically(draft / MANIFEST, dump(artifact.manifest))
        if folder.exists():
            folder.rename(Path(temporary) / "damaged")
        draft.rename(folder)
