"""What a candidate is compared with: the old files themselves, wherever they are.

run 12, or 12        the files that a stored run measured
path/to/folder       an artifact, or a folder of them
main, v1.2, 3f2a91   what the networks of that commit export to; exported once, then stored
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from groundspeed.artifact import MANIFEST, Artifact
from groundspeed.deploy import revision
from groundspeed.deploy.gate.files import made_files, remember
from groundspeed.deploy.store.store import Store
from groundspeed.errors import CheckError, UsageError

OnProgress = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Loaded:
    """How the candidates' networks were loaded; those of the baseline are loaded alike.

    Attributes:
        input_shapes: shape of each input; none leaves it to the network.
        weights: state dict; one that the commit has is taken as it was then.
    """

    input_shapes: tuple[tuple[int, ...], ...] = ()
    weights: Path | None = None

    def words(self, tree: Path) -> list[str]:
        """Return the options of 'groundspeed export' in the folder of an older commit."""
        words = [f"--input-shape={','.join(map(str, shape))}" for shape in self.input_shapes]
        if self.weights is not None:
            then = tree / self.weights
            words.append(f"--weights={then if then.is_file() else self.weights.resolve()}")
        return words


def find(
    name: str,
    candidates: Sequence[Artifact],
    *,
    store: Store,
    loaded: Loaded = Loaded(),
    on_progress: OnProgress = lambda words: None,
) -> list[Artifact | None]:
    """Return for each candidate the file to compare it with; None where the baseline has none.

    Args:
        name: the baseline, in one of the forms above.
        candidates: what is to be judged.
        store: where runs and their files are, and where what has to be exported goes.
        loaded: how the candidates' networks were loaded.
        on_progress: called with a sentence about what takes long.

    Raises:
        UsageError: there is no such baseline.
        CheckError: the networks of a commit cannot be exported.
        ArtifactError: a file is damaged.
    """
    baselines = _artifacts(name, candidates, store, loaded, on_progress)
    known = {_identity(each): each for each in baselines}
    return [known.get(_identity(candidate)) for candidate in candidates]


def _artifacts(
    name: str,
    candidates: Sequence[Artifact],
    store: Store,
    loaded: Loaded,
    on_progress: OnProgress,
) -> list[Artifact]:
    if match := re.fullmatch(r"(?:run\s*)?(\d{1,9})", name):
        return _of_runs(store, [int(match[1])])
    if Path(name).is_dir():
        return _of_folder(Path(name))
    commit = revision.commit_of(name)
    if commit is None:
        raise UsageError(
            f"there is no baseline '{name}': it is no folder, no commit, branch or tag of the git "
            "repository here, and no number of a stored run ('groundspeed history' lists them)"
        )
    stored = _of_runs(store, [run.id for run in store.runs_at(commit) if made_files(run)])
    missing = {_identity(one) for one in candidates} - {_identity(one) for one in stored}
    if missing:
        specs = sorted({one.manifest.source.spec for one in candidates})
        on_progress(f"exporting {', '.join(specs)} as of {name} ({commit[:12]})")
        stored += _exported(commit, candidates, store, loaded)
    return stored


def _of_runs(store: Store, run_ids: Iterable[int]) -> list[Artifact]:
    """Return the files of runs: those of the first run last, so that they win.

    A run that compared two files has the candidate last, and that is the one that it was about.
    """
    identities = [
        cell.artifact_id
        for run_id in reversed(list(run_ids))
        for cell in store.cells(store.run(run_id))
        if cell.artifact_id is not None
    ]
    return [store.artifact(each) for each in identities]


def _of_folder(folder: Path) -> list[Artifact]:
    folders = [folder] if (folder / MANIFEST).is_file() else sorted(folder.iterdir())
    found = [Artifact.open(each) for each in folders if (each / MANIFEST).is_file()]
    if not found:
        raise UsageError(
            f"{folder} holds no artifact (a folder with a {MANIFEST}); make some with "
            "'groundspeed export', or name another baseline"
        )
    return found


def _exported(
    commit: str, candidates: Sequence[Artifact], store: Store, loaded: Loaded
) -> list[Artifact]:
    """Export the networks of a commit with the tools of today, in a process of their own.

    The user's modules are imported here already, as they are now; a process imports them once.
    """
    manifests = [candidate.manifest for candidate in candidates]
    asked = dict.fromkeys(manifest.source.spec for manifest in manifests)
    formats = ",".join(dict.fromkeys(manifest.format for manifest in manifests))
    precisions = ",".join(dict.fromkeys(manifest.precision for manifest in manifests))
    with revision.checked_out(commit) as tree, TemporaryDirectory() as temporary:
        for spec in asked:
            words = [
                "--to",
                formats,
                "--precision",
                precisions,
                "-o",
                temporary,
                *loaded.words(tree),
            ]
            process = subprocess.run(
                [sys.executable, "-m", "groundspeed", "export", spec, *words],
                cwd=tree,
                capture_output=True,
                text=True,
            )
            if process.returncode:
                raise CheckError(
                    f"{spec} of {commit[:12]} cannot be exported: {_last_words(process.stderr)}; "
                    "export it yourself and name the folder as the baseline"
                )
        kept = [store.keep(each) for each in _of_folder(Path(temporary))]
    remember(kept, commit, store)
    return kept


def _identity(artifact: Artifact) -> tuple[str, str, str]:
    manifest = artifact.manifest
    return manifest.source.name, manifest.runtime, manifest.precision


def _last_words(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1].removeprefix("groundspeed: ") if lines else "it said nothing"
