"""Values survive JSON unchanged, damaged JSON is named, files are whole or absent."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundspeed.artifact import Agreement, File, Manifest, Source, TensorSpec
from groundspeed.documents import dump, from_plain, to_plain, write_atomically
from groundspeed.measurement import Conditions, Options
from groundspeed.ops import Op, OpKind

NUMBERS = st.floats(allow_nan=False)
specs = st.builds(
    TensorSpec,
    name=st.text(),
    shape=st.lists(st.integers(0, 10**6)).map(tuple),
    dtype=st.sampled_from(["float32", "int8"]),
    layout=st.sampled_from(["", "NCHW", "NHWC"]),
    scale=st.none() | NUMBERS,
    zero_point=st.none() | st.integers(-128, 127),
)
ops = st.builds(
    Op,
    name=st.text(),
    kind=st.sampled_from(OpKind),
    module=st.text(),
    line=st.text(),
    output_shape=st.lists(st.integers(1, 99)).map(tuple),
    parameters=st.integers(0),
    macs=st.integers(0),
    flops=st.integers(0),
    memory_bytes=st.integers(0),
)
manifests = st.builds(
    Manifest,
    runtime=st.text(),
    format=st.text(),
    precision=st.text(),
    files=st.lists(
        st.builds(File, role=st.text(), name=st.text(), sha256=st.text(), size_bytes=st.integers(0))
    ).map(tuple),
    inputs=st.lists(specs).map(tuple),
    outputs=st.lists(specs).map(tuple),
    source=st.builds(Source, name=st.text(), spec=st.text(), digest=st.text()),
    ops=st.lists(ops, max_size=3).map(tuple),
    tensors=st.none() | st.dictionaries(st.text(), st.text()),
)
conditions = st.builds(
    Conditions,
    at=st.text(),
    temperatures_c=st.none() | st.dictionaries(st.text(), NUMBERS),
    throttled=st.none() | st.booleans(),
)


@given(manifests | conditions | specs)
def test_a_value_survives_json(value: Manifest | Conditions | TensorSpec) -> None:
    assert from_plain(type(value), json.loads(dump(value))) == value


def test_a_not_finite_number_is_kept_as_a_word() -> None:
    agreement = Agreement(
        output="y",
        max_absolute=math.inf,
        max_relative=math.nan,
        cosine=0.0,
        psnr_db=-math.inf,
        top1=None,
    )
    back = from_plain(Agreement, json.loads(dump(agreement)))
    assert back.max_absolute == math.inf
    assert math.isnan(back.max_relative)
    assert back.psnr_db == -math.inf


@pytest.mark.parametrize(
    ("plain", "words"),
    [
        ({"threads": "two"}, "Options.threads: int expected, str found"),
        ({"threads": True}, "Options.threads: int expected, bool found"),
        ({"cpus": [0, None]}, r"Options.cpus\[1\]: int expected, NoneType found"),
        ([], "Options: dict expected, list found"),
    ],
)
def test_a_wrong_field_is_named(plain: object, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        from_plain(Options, plain)


def test_a_missing_field_is_named() -> None:
    with pytest.raises(ValueError, match="Conditions: the field 'at' is missing"):
        from_plain(Conditions, {})


def test_a_field_of_a_later_version_is_ignored() -> None:
    assert from_plain(Options, to_plain(Options()) | {"colour": "red"}) == Options()


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "file.json"
    write_atomically(path, "old")
    with pytest.raises(TypeError):
        write_atomically(path, 5)  # type: ignore[arg-type]
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
