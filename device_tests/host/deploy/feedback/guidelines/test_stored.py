"""What a device said when it was last asked is found again among all that is stored."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest

from groundspeed.artifact import Source
from groundspeed.deploy.feedback.guidelines.asked import Asked
from groundspeed.deploy.feedback.guidelines.experiment import Column
from groundspeed.deploy.feedback.guidelines.paper import EXPERIMENTS
from groundspeed.deploy.feedback.guidelines.stored import asked_by, latest
from groundspeed.deploy.plan import Cell, Plan, Settings, Stop
from groundspeed.deploy.store.store import Store, machine_id
from groundspeed.deploy.targets.local import LocalTarget


@pytest.mark.parametrize("column", Column)
@pytest.mark.parametrize("widths", [(1,), (2,), (1, 4)])
@pytest.mark.parametrize(
    "guidelines", [*itertools.combinations(EXPERIMENTS, 1), ("G1", "G3"), tuple(EXPERIMENTS)]
)
def test_names_of_networks_tell_what_was_asked(
    column: Column, widths: tuple[int, ...], guidelines: tuple[str, ...]
) -> None:
    asked = Asked(guidelines=guidelines, column=column, widths=widths)
    specs = {one.spec for one in asked.subjects}
    found = asked_by(specs)
    assert found is not None
    # The networks of one column at width 2 are those of the other at 1 in some tables.
    assert {one.spec for one in found.subjects} == specs
    assert asked_by(specs | {"resnet18"}) is None


def test_other_networks_than_the_papers_are_no_answer() -> None:
    assert asked_by([]) is None
    assert asked_by(["resnet18"]) is None
    assert asked_by(one.spec for one in Asked(blocks=2).subjects) is None
    first, *_ = Asked().subjects
    assert asked_by([first.spec]) is None


def test_the_newest_finished_run_of_the_same_machine_answers(
    store: Store, fake_target: LocalTarget
) -> None:
    machine = machine_id(fake_target.facts())
    assert latest(store, machine) is None
    ours = plan(Asked(guidelines=("G2",)), machine)
    numbers = [
        finished(store, one)
        for one in (ours, ours, replace(ours, machine_id="another"), other(machine))
    ]
    store.add_run(ours)
    answered = latest(store, machine)
    assert answered is not None
    assert answered.run.id == numbers[1]
    assert [table.experiment.guideline for table in answered.tables] == ["G2"]
    assert answered.tables[0].rows[0].failure == "it was not launched"


def plan(asked: Asked, machine: str) -> Plan:
    return Plan(
        cells=tuple(
            Cell(
                network=Source(name=one.variant.name, spec=one.spec, digest=one.spec),
                runtime="ncnn",
                precision="fp32",
                threads=1,
            )
            for one in asked.subjects
        ),
        settings=Settings(),
        target="local",
        machine_id=machine,
    )


def other(machine: str) -> Plan:
    return plan(Asked(guidelines=("G2",), blocks=3), machine)


def finished(store: Store, made: Plan) -> int:
    run = store.add_run(made)
    store.finish_run(run.id, Stop.ROUNDS)
    return run.id
