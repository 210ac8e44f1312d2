"""The Python agent as one small file: the room ``runtimes`` and the leaves that it imports."""

from __future__ import annotations

import functools
import hashlib
import io
import zipfile
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

from groundspeed.documents import write_atomically

# The earliest that a zip file can say: the same sources make the same bytes, hence one digest.
_STAMP = (1980, 1, 1, 0, 0, 0)


def agent_archive(folder: Path) -> Path:
    """Write the archive into a folder, unless it is there, and return its path.

    Args:
        folder: where archives are kept; each has its digest in its name.
    """
    content = archive_bytes()
    path = folder / f"agent-{hashlib.sha256(content).hexdigest()[:16]}.zip"
    if not path.exists():
        write_atomically(path, content)
    return path


@functools.cache
def archive_bytes() -> bytes:
    """Return the archive: ``groundspeed/*.py`` and ``groundspeed/runtimes/*.py``."""
    root = files("groundspeed")
    sources = {f"groundspeed/{name}": text for name, text in _sources(root)}
    runtimes = files("groundspeed.runtimes")
    sources |= {f"groundspeed/runtimes/{name}": text for name, text in _sources(runtimes)}
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in sorted(sources):
            archive.writestr(zipfile.ZipInfo(name, _STAMP), sources[name])
    return buffer.getvalue()


def _sources(folder: Traversable) -> list[tuple[str, bytes]]:
    return [
        (item.name, item.read_bytes())
        for item in folder.iterdir()
        if item.is_file() and item.name.endswith(".py")
    ]
