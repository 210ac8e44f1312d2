"""``groundspeed check``: did networks become slower than they were?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from groundspeed.deploy.cli.check_options import file_options, rules_options
from groundspeed.deploy.cli.options import (
    float_precisions_option,
    fresh_option,
    json_option,
    network_options,
    runtimes_option,
    store_option,
)
from groundspeed.deploy.cli.output import console, print_json, typed
from groundspeed.deploy.cli.place import Here, Place
from groundspeed.deploy.cli.place_options import launch_options
from groundspeed.deploy.cli.progress import RunProgress
from groundspeed.deploy.cli.project import CheckCommand
from groundspeed.deploy.cli.values import Names
from groundspeed.documents import write_atomically
from groundspeed.errors import UsageError

if TYPE_CHECKING:
    from groundspeed.artifact import Artifact
    from groundspeed.deploy.gate.baseline import Loaded
    from groundspeed.deploy.gate.budgets import Budget
    from groundspeed.deploy.gate.comparing import Comparison, Contest
    from groundspeed.deploy.gate.config import CheckConfig
    from groundspeed.deploy.gate.decision import Rules
    from groundspeed.deploy.store.location import Location
    from groundspeed.deploy.store.store import Store


@click.command(cls=CheckCommand)
@click.argument("subjects", nargs=-1)
@click.option(
    "--baseline",
    required=True,
    help="What to compare with: a commit, branch or tag of this git repository, the number of a "
    "stored run, or a folder of artifacts.",
)
@click.option(
    "--baseline-packages",
    "packages",
    type=Names(),
    default=(),
    help="Exact versions that the baseline is launched (and as a commit exported) with, instead of "
    "what is installed: onnxruntime==1.31.0. Fetched from the package index; this machine only.",
)
@rules_options
@runtimes_option
@float_precisions_option
@launch_options
@network_options
@click.option(
    "--blame/--no-blame",
    default=True,
    show_default=True,
    help="Profile both files of what failed, to name the modules that became slower; and where "
    "several things changed, export and fetch what tells them apart.",
)
@click.option(
    "--instructions",
    "counts",
    is_flag=True,
    help="Count the instructions of both files, too (on this machine, 1 thread, by Valgrind).",
)
@fresh_option
@file_options
@store_option
@json_option
@click.pass_obj
def command(
    settings: dict[str, Any],
    subjects: tuple[str, ...],
    baseline: str,
    packages: tuple[str, ...],
    rules: Rules,
    runtimes: tuple[str, ...],
    precisions: tuple[str, ...],
    threads: tuple[int, ...],
    place: Place,
    input_shapes: tuple[tuple[int, ...], ...],
    weights: Path | None,
    blame: bool,
    counts: bool,
    fresh: bool,
    files: dict[str, Path],
    location: Location,
    as_json: bool,
) -> int:
    """Say whether networks became slower than a baseline, by measuring old and new side by side.

    SUBJECTS are networks, named as for 'groundspeed run', or folders of artifacts; by default those
    that groundspeed.toml names under [check], where all options and budgets can be set, too
    ('groundspeed init' writes one). What they export to now is launched in pairs with the files of
    the baseline, on each device, until a verdict stands: 'pass' when a slowdown of the margin is
    excluded, 'fail' when the candidate is shown to be slower and such a slowdown is not excluded,
    'inconclusive' when the pairs do not suffice.

    Exit codes: 0 pass, 1 fail, 3 inconclusive, 2 bad use. An interrupted command goes on where it
    was when it is run again.

    \b
    Example:
      groundspeed check net.py:build --baseline main --markdown summary.md
      groundspeed check artifacts/mobilenet_v2-* --baseline v1.2/artifacts --on pi5,pixel
    """
    from groundspeed.deploy.gate.baseline import Loaded, commit_behind
    from groundspeed.deploy.gate.comparing import compare
    from groundspeed.deploy.gate.culprits import culprits
    from groundspeed.deploy.gate.decision import EXIT_CODES, Verdict
    from groundspeed.deploy.gate.files import files_of
    from groundspeed.deploy.gate.gate import gather, held_to
    from groundspeed.deploy.gate.instructions import witness
    from groundspeed.deploy.gate.ledger import trusted
    from groundspeed.deploy.gate.origins import Origins
    from groundspeed.deploy.report.check_files import FILES
    from groundspeed.deploy.report.check_plain import plain
    from groundspeed.deploy.report.check_terminal import verdicts
    from groundspeed.deploy.store.store import Store

    config: CheckConfig | None = settings["check"]
    subjects = subjects or _configured(config)
    if packages and place.devices != ("local",):
        raise UsageError("--baseline-packages works on this machine alone; leave out --on")
    with RunProgress(console(stderr=True)) as progress:
        with Store(location) as store:
            found = files_of(
                subjects,
                runtimes=runtimes,
                precisions=precisions,
                input_shapes=input_shapes,
                weights=weights,
                store=store,
                on_progress=progress.say,
            )
            loaded = Loaded(input_shapes=input_shapes, weights=weights)
            contests, missing = _contests(
                baseline, found, threads, loaded, packages, store, progress
            )

        def measure(here: Here) -> list[Comparison]:
            def one(contest: Contest) -> Comparison:
                budget = _budget(config, contest)
                words = typed()
                comparison = compare(
                    contest,
                    store=here.store,
                    target=here.target,
                    rules=rules,
                    family=len(contests) * len(place.devices),
                    cpus=here.cpus,
                    even_if_same=budget.needs_launches,
                    command=words,
                    fresh=fresh,
                    on_event=here.on_event,
                )
                if budget.is_set:
                    comparison = held_to(comparison, budget, here.store, rules)
                if blame and comparison.verdict is Verdict.FAIL and comparison.evidence:
                    found = culprits(
                        contest,
                        store=here.store,
                        target=here.target,
                        origins=Origins(commit=commit_behind(baseline, here.store), loaded=loaded),
                        cpus=here.cpus,
                        command=words,
                        fresh=fresh,
                        on_event=here.on_event,
                        on_progress=progress.say,
                    )
                    comparison = replace(comparison, culprits=found)
                if counts:
                    executed = witness(
                        comparison, store=here.store, target=here.target, on_progress=progress.say
                    )
                    comparison = replace(comparison, instructions=executed)
                return comparison

            return trusted([one(contest) for contest in contests], here.store, rules)

        outcomes = place.on_each(location, progress, measure)
    for outcome in outcomes:
        if outcome.error is not None:
            raise outcome.error
    comparisons = [one for outcome in outcomes for one in outcome.result or ()]
    judged = gather(comparisons, rules, missing=missing)
    for name, path in files.items():
        write_atomically(path, FILES[name](judged))
    if as_json:
        print_json(plain(judged))
    else:
        console().print(verdicts(judged))
    return EXIT_CODES[judged.verdict]


def _configured(config: CheckConfig | None) -> tuple[str, ...]:
    """Return the networks that the project names.

    Raises:
        UsageError: it names none, or the paths in its file would not lead to them from here.
    """
    if config is None or not config.networks:
        where = f"under [check] in {config.path}" if config else "in a groundspeed.toml"
        raise UsageError(
            f"what is to be checked? Name networks or folders of artifacts, here or {where} "
            "('groundspeed init' writes one)"
        )
    if config.path.resolve().parent != Path.cwd():
        raise UsageError(
            f"the networks of {config.path} are named from its folder: run the command there"
        )
    return config.networks


def _budget(config: CheckConfig | None, contest: Contest) -> Budget:
    from groundspeed.deploy.gate.budgets import Budget

    source = contest.candidate.manifest.source
    return config.budget_of(source.spec, source.name) if config else Budget()


def _contests(
    baseline: str,
    found: Sequence[Artifact],
    threads: Sequence[int],
    loaded: Loaded,
    packages: tuple[str, ...],
    store: Store,
    progress: RunProgress,
) -> tuple[list[Contest], list[str]]:
    """Return what is compared with what, and the names of files that have no baseline."""
    from groundspeed.deploy.gate.baseline import find
    from groundspeed.deploy.gate.comparing import Contest
    from groundspeed.deploy.packages import fetched

    if packages:
        fetched(packages, progress.say)
    baselines = find(
        baseline, found, store=store, loaded=loaded, packages=packages, on_progress=progress.say
    )
    pairs = list(zip(baselines, found, strict=True))
    contests = [
        Contest(
            baseline=store.keep(old),
            candidate=new,
            threads=count,
            packages=_of_engine(packages, new.manifest.runtime),
        )
        for old, new in pairs
        if old is not None
        for count in threads
    ]
    missing = [
        f"{new.manifest.source.name} in {new.manifest.runtime}, {new.manifest.precision}"
        for old, new in pairs
        if old is None
    ]
    for contest in contests:
        if contest.packages:
            fetched(contest.packages, progress.say)
    _refuse_unused(packages, contests)
    return contests, missing


def _refuse_unused(packages: Sequence[str], contests: Sequence[Contest]) -> None:
    """Refuse packages that would make no difference, and so would seem to make none."""
    from groundspeed.deploy.packages import name_and_version

    made = [contest.baseline.manifest.packages for contest in contests]
    for package in packages:
        name, version = name_and_version(package)
        if not any(package in contest.packages for contest in contests) and not any(
            one.get(name) == version for one in made
        ):
            raise UsageError(
                f"{package} neither runs nor made any of the baseline's files here; leave it out"
            )


def _of_engine(packages: Sequence[str], runtime: str) -> tuple[str, ...]:
    """Return those of the packages that launches in a runtime depend on."""
    from groundspeed.deploy.agents.wheels import engine
    from groundspeed.deploy.packages import name_and_version

    return tuple(each for each in packages if name_and_version(each)[0] == engine(runtime))
