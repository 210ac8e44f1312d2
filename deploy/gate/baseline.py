"""What a candidate is compared with: the old files themselves, wherever they are.

run 12, or 12        the files that a stored run measured
path/to/folder       an artifact, or a folder of them
main, v1.2, 3f2a91   what the networks of that commit export to; exported once, then stored
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from groundspeed.artifact import MANIFEST, Artifact
from groundspeed.deploy import revision
from groundspeed.deploy.gate.files import made_files, remember
from groundspeed.deploy.packages import environment, name_and_version
from groundspeed.deploy.store.store import Store
from groundspeed.errors import CheckError, UsageError

OnProgress = Callable[[str], None]

_RUN = re.compile(r"(?:run\s*)?(\d{1,9})")


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
    packages: Sequence[str] = (),
    on_progress: OnProgress = lambda words: None,
) -> list[Artifact | None]:
    """Return for each candidate the file to compare it with; None where the baseline has none.

    Args:
        name: the baseline, in one of the forms above.
        candidates: what is to be judged.
        store: where runs and their files are, and where what has to be exported goes.
        loaded: how the candidates' networks were loaded.
        packages: exact versions to export a commit's networks with, instead of what is installed.
        on_progress: called with a sentence about what takes long.

    Raises:
        UsageError: there is no such baseline, or a package cannot be fetched.
        CheckError: the networks of a commit cannot be exported.
        ArtifactError: a file is damaged.
    """
    baselines = _artifacts(name, candidates, store, loaded, packages, on_progress)
    known = {_identity(each): each for each in baselines}
    return [known.get(_identity(candidate)) for candidate in candidates]


def _artifacts(
    name: str,
    candidates: Sequence[Artifact],
    store: Store,
    loaded: Loaded,
    packages: Sequence[str],
    on_progress: OnProgress,
) -> list[Artifact]:
    if match := _RUN.fullmatch(name):
        return _of_runs(store, [int(match[1])])
    if Path(name).is_dir():
        return _of_folder(Path(name))
    commit = revision.commit_of(name)
    if commit is None:
        raise UsageError(
            f"there is no baseline '{name}': it is no folder, no commit, branch or tag of the git "
            "repository here, and no number of a stored run ('groundspeed history' lists them)"
        )
    asked = dict(map(name_and_version, packages))
    runs = [run.id for run in store.runs_at(commit) if made_files(run)]
    stored = [one for one in _of_runs(store, runs) if _is_made_by(one, asked)]
    missing = {_identity(one) for one in candidates} - {_identity(one) for one in stored}
    if missing:
        specs = sorted({one.manifest.source.spec for one in candidates})
        on_progress(f"exporting {', '.join(specs)} as of {name} ({commit[:12]})")
        with revision.checked_out(commit) as tree:
            where = f"as of {commit[:12]}"
            made = export_in(tree, where, candidates, loaded, store=store, packages=packages)
        if not packages:  # else they are not what others mean by this commit
            remember(made, commit, store)
        stored += made
    return stored


def commit_behind(name: str, store: Store) -> str | None:
    """Return the commit whose networks a baseline's files are; None where nobody knows.

    Args:
        name: the baseline, in one of the forms above.
        store: where runs are.
    """
    if match := _RUN.fullmatch(name):
        at = store.run(int(match[1])).revision
        return at if at and not at.endswith(revision.CHANGED) else None
    return None if Path(name).is_dir() else revision.commit_of(name)


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


def export_in(
    tree: Path,
    where: str,
    likes: Sequence[Artifact],
    loaded: Loaded,
    *,
    store: Store,
    packages: Sequence[str] = (),
) -> list[Artifact]:
    """Export the networks of some files as they are in a folder, in a process of its own.

    The user's modules are imported here already, as they are now; a process imports them once.

    Args:
        tree: the user's folder, as it is or as it was.
        where: the same in words: "as of 3f2a91c".
        likes: files of the same networks, formats and precisions.
        loaded: how the networks are loaded.
        store: where the files go.
        packages: exact versions to export with, instead of what is installed.

    Raises:
        CheckError: they cannot be exported.
        UsageError: a package cannot be fetched.
    """
    manifests = [one.manifest for one in likes]
    formats = ",".join(dict.fromkeys(manifest.format for manifest in manifests))
    precisions = ",".join(dict.fromkeys(manifest.precision for manifest in manifests))
    with TemporaryDirectory() as temporary:
        for spec in dict.fromkeys(manifest.source.spec for manifest in manifests):
            what = ["--to", formats, "--precision", precisions, "-o", temporary]
            process = subprocess.run(
                [sys.executable, "-m", "groundspeed", "export", spec, *what, *loaded.words(tree)],
                cwd=tree,
                env=environment(packages),
                capture_output=True,
                text=True,
            )
            if process.returncode:
                raise CheckError(
                    f"{spec} {where} cannot be exported{_with(packages)}: "
                    f"{_last_words(process.stderr)}; a folder of artifacts can be a baseline, too"
                )
        return [store.keep(each) for each in _of_folder(Path(temporary))]


def _is_made_by(artifact: Artifact, asked: Mapping[str, str]) -> bool:
    """Return whether no package that made a file is one of which another version is asked for."""
    made = artifact.manifest.packages
    return all(made.get(name, version) == version for name, version in asked.items())


def _with(packages: Sequence[str]) -> str:
    return f" with {', '.join(packages)}" if packages else ""


def _identity(artifact: Artifact) -> tuple[str, str, str]:
    manifest = artifact.manifest
    return manifest.source.name, manifest.runtime, manifest.precision


def _last_words(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1].removeprefix("groundspeed: ") if lines else "it said nothing"
