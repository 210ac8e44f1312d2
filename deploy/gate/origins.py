"""Files of combinations that nobody compared, made anew as they would have been then.

Of the old network by the packages of today, from its commit; of the new one by the old packages,
which are fetched beside those that are installed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from groundspeed.artifact import Artifact
from groundspeed.deploy.gate.baseline import Loaded, export_in
from groundspeed.deploy.gate.comparing import Contest
from groundspeed.deploy.revision import checked_out
from groundspeed.deploy.store.store import Store
from groundspeed.errors import CheckError, GroundspeedError

# Too large to fetch, or not a converter: these are not changed back to tell changes apart.
KEPT = frozenset({"groundspeed", "torch"})


@dataclass(frozen=True, kw_only=True)
class Origins:
    """Where the files of combinations that nobody compared come from.

    Attributes:
        commit: of the user's repository, at which the network was as in the baseline; None where
            nobody knows.
        loaded: how networks are loaded.
    """

    commit: str | None = None
    loaded: Loaded = field(default_factory=Loaded)


class Files:
    """The file of each network as each set of packages makes it, made when it is asked for."""

    def __init__(
        self,
        contest: Contest,
        origins: Origins,
        store: Store,
        on_progress: Callable[[str], None],
    ) -> None:
        self._contest = contest
        self._origins = origins
        self._store = store
        self._say = on_progress
        self._made: dict[tuple[bool, bool], Artifact | GroundspeedError] = {}

    def file(self, *, network: bool, packages: bool) -> Artifact:
        """Return the file of the old or the new network, made by the old or the new packages.

        Raises:
            GroundspeedError: it cannot be had.
        """
        if (network, packages) not in self._made:
            try:
                self._made[network, packages] = self._file(network, packages)
            except GroundspeedError as error:
                self._made[network, packages] = error
        found = self._made[network, packages]
        if isinstance(found, GroundspeedError):
            raise found
        return found

    def _file(self, network: bool, packages: bool) -> Artifact:
        old, new = self._contest.baseline, self._contest.candidate
        is_same_network = old.manifest.source.digest == new.manifest.source.digest
        is_same_making = old.manifest.packages == new.manifest.packages
        if packages or is_same_making:
            if network or is_same_network:
                return new
            return old if is_same_making else self._old_network()
        return old if not network or is_same_network else self._with_old_packages()

    def _old_network(self) -> Artifact:
        """Return the old network's file as the packages of today make it."""
        old, commit = self._contest.baseline, self._origins.commit
        if commit is None:
            raise CheckError(
                "the old network cannot be exported by the packages of today: nobody knows the "
                "commit that it is from (name that as the baseline)"
            )
        self._say(f"exporting {old.manifest.source.spec} as of {commit[:12]}")
        with checked_out(commit) as tree:
            return self._exported(tree, f"as of {commit[:12]}", old, self._contest.candidate)

    def _with_old_packages(self) -> Artifact:
        """Return the new network's file as the packages of the baseline make it."""
        old, new = self._contest.baseline, self._contest.candidate
        then, now = old.manifest.packages, new.manifest.packages
        changed = [name for name in {**then, **now} if then.get(name) != now.get(name)]
        # Only converters that made the candidate, too, are fetched on a manifest's word.
        kept = [name for name in changed if name in KEPT or name not in then or name not in now]
        if kept:
            raise CheckError(
                f"the new network cannot be exported as the old one was: {', '.join(kept)} cannot "
                "be changed back"
            )
        asked = [f"{name}=={then[name]}" for name in changed]
        self._say(f"exporting {new.manifest.source.spec} with {', '.join(asked)}")
        return self._exported(Path.cwd(), "as it is", new, old, asked)

    def _exported(
        self,
        tree: Path,
        where: str,
        like: Artifact,
        made_like: Artifact,
        packages: Sequence[str] = (),
    ) -> Artifact:
        """Return one file's network, exported anew as another file was."""
        made = export_in(
            tree, where, [like], self._origins.loaded, store=self._store, packages=packages
        )
        wanted = like.manifest.source.digest, _shapes(like), made_like.manifest.packages
        for one in made:
            if (one.manifest.source.digest, _shapes(one), one.manifest.packages) == wanted:
                return one
        raise CheckError(
            f"{like.manifest.source.spec} {where} is another network when it is exported again "
            "(other weights each time, another input shape, or packages that changed since)"
        )


def _shapes(artifact: Artifact) -> list[tuple[int, ...]]:
    return [spec.shape for spec in artifact.manifest.inputs]
