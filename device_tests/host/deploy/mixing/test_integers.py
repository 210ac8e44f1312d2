"""What breaks a file of integers is taken out of them, as long as it is known."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundspeed.artifact import Artifact, Manifest, Source
from groundspeed.deploy.mixing.integers import TRIES, as_many_as_possible
from groundspeed.errors import ExportError, ParityError, UnsupportedOp

LAYERS = ("a", "b", "c", "d", "e", "f")
ARTIFACT = Artifact(
    folder=Path("made"),
    manifest=Manifest(
        runtime="ncnn",
        format="ncnn",
        precision="int8",
        files=(),
        inputs=(),
        outputs=(),
        source=Source(name="n", spec="n", digest=""),
    ),
)


@given(st.sets(st.sampled_from(LAYERS)))
def test_all_layers_but_those_that_break_it_are_integers(breaking: set[str]) -> None:
    made: list[frozenset[str]] = []

    def make(layers: frozenset[str]) -> Artifact:
        made.append(layers)
        if wrong := sorted(layers & breaking):
            raise ParityError(f"{wrong[0]} is off", advice="export it elsewhere", layer=wrong[0])
        return ARTIFACT

    told: list[str] = []
    found = as_many_as_possible(frozenset(LAYERS), make, told.append)
    assert len(made) <= TRIES
    if len(breaking) < TRIES:
        assert found.artifact is ARTIFACT
        assert found.layers == made[-1] == frozenset(LAYERS) - breaking
        assert found.broken == {op: f"{op} is off" for op in breaking}
        assert all(op in found.note for op in breaking)
        assert len(told) == len(breaking)
    else:
        assert found.artifact is None
        assert found.layers == frozenset()
        assert found.broken.keys() == set(LAYERS)
        assert all(found.broken[op] == f"{op} is off" for op in sorted(breaking)[: TRIES - 1])


@pytest.mark.parametrize(
    "error", [ParityError("it is off"), UnsupportedOp("no such op"), ParityError("x", layer="z")]
)
def test_without_a_layer_to_blame_there_is_no_file_and_the_reason_is_kept(
    error: ExportError,
) -> None:
    def make(layers: frozenset[str]) -> Artifact:
        raise error

    found = as_many_as_possible(frozenset("ab"), make, lambda words: None)
    assert found.artifact is None
    assert found.broken == {"a": str(error), "b": str(error)}
    assert str(error) in found.note


def test_nothing_is_noted_where_nothing_breaks() -> None:
    assert as_many_as_possible(frozenset("ab"), lambda layers: ARTIFACT, print).note == ""
