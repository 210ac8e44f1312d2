"""The measured files, by the digest of their content, each artifact in a folder whole or absent."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from groundspeed.artifact import MANIFEST, Artifact, Manifest
from groundspeed.deploy.store import contents, schema
from groundspeed.deploy.store.database import Database, writing
from groundspeed.deploy.store.disk import disk, exclusive
from groundspeed.deploy.store.rows import now
from groundspeed.documents import dump, from_plain, write_atomically
from groundspeed.errors import ArtifactError


class Shelf:
    """The artifacts of a store.

    Args:
        folder: of the store on this machine; the files are in ``artifacts/<id>/``.
        database: has their manifests, and their files too where several machines share it.
    """

    def __init__(self, folder: Path, database: Database) -> None:
        self._folder = folder
        self._database = database

    def keep(self, artifact: Artifact) -> Artifact:
        """Copy an artifact; see ``Store.keep``."""

        def copy(draft: Path) -> None:
            for path in artifact.paths.values():
                shutil.copy2(path, draft / path.name)

        folder = self._place(artifact.id)
        if artifact.folder != folder:
            self._put(artifact.manifest, folder, copy)
        if self._database.shared:
            files = [(file, artifact.paths[file.role]) for file in artifact.manifest.files]
            with self._database.sentences(), disk(artifact.folder):
                contents.send(files, self._database.engine)
        self._note(artifact)
        return Artifact.open(folder)

    def artifact(self, artifact_id: str) -> Artifact:
        """Return a kept artifact; see ``Store.artifact``."""
        folder = self._place(artifact_id)
        if self._database.shared:
            self._fetch(artifact_id, folder)
        return Artifact.open(folder)

    def _place(self, artifact_id: str) -> Path:
        return self._folder / "artifacts" / artifact_id

    def _put(self, manifest: Manifest, folder: Path, fill: Callable[[Path], None]) -> None:
        """Let a folder hold what a manifest lists; ``fill`` writes the files if they are missing.

        Equal files may come with a better manifest, from a newer Groundspeed.
        """
        with disk(self._folder), exclusive(self._folder):
            if _is_whole(folder):
                write_atomically(folder / MANIFEST, dump(manifest))
                return
            # The files are made beside their place and renamed, so that none is ever half there.
            folder.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".") as temporary:
                draft = Path(temporary) / "artifact"
                draft.mkdir()
                fill(draft)
                write_atomically(draft / MANIFEST, dump(manifest))
                if folder.exists():
                    folder.rename(Path(temporary) / "damaged")
                draft.rename(folder)

    def _note(self, artifact: Artifact) -> None:
        table, manifest = schema.artifact, dump(artifact.manifest)
        with writing(self._database) as connection:
            known = connection.execute(table.select().where(table.c.id == artifact.id)).first()
            if known is None:
                row = {"id": artifact.id, "manifest": manifest, "added_at": now()}
                connection.execute(table.insert().values(row))
            else:
                connection.execute(
                    table.update().where(table.c.id == artifact.id).values(manifest=manifest)
                )

    def _fetch(self, artifact_id: str, folder: Path) -> None:
        """Copy what another machine may have kept into the folder of this one."""
        table, engine = schema.artifact, self._database.engine
        with self._database.sentences(), engine.connect() as connection:
            query = table.select().where(table.c.id == artifact_id)
            found = connection.execute(query).first()
        if found is None:
            return
        manifest = from_plain(Manifest, json.loads(found.manifest))

        def fill(draft: Path) -> None:
            for file in manifest.files:
                contents.receive(file, draft, engine)

        with self._database.sentences():
            self._put(manifest, folder, fill)


def _is_whole(folder: Path) -> bool:
    try:
        Artifact.open(folder)
    except ArtifactError:
        return False
    return True
