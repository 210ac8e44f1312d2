"""An artifact appears whole or not at all, and its manifest tells how it was made."""

from dataclasses import replace

import pytest

from groundspeed.artifact import Agreement, Artifact, Parity, Source
from groundspeed.errors import ConverterFailed, ExportError, ParityError, UnknownName, UsageError
from groundspeed.export import write as module
from groundspeed.export.worker import Answer
from groundspeed.export.write import write
from groundspeed.export.writer import Written

SOURCE = Source(name="small", spec="small", digest="0" * 64)


def export(prepared, folder, **options):
    asked = {"format": "ncnn", "precision": "fp32", "ops": (), "source": SOURCE, **options}
    return write(prepared, folder=folder, **asked)


def agreement(name, difference):
    return Agreement(
        output=name,
        max_absolute=difference,
        max_relative=difference,
        cosine=1.0,
        psnr_db=60.0,
        top1=None,
    )


@pytest.fixture
def converts(monkeypatch):
    """Return a function that puts a stand-in in the place of the child process."""

    def put(*, differences=(1e-6,), error=None, layer=""):
        def convert(prepared, *, folder, **options):
            (folder / "model.bin").write_bytes(b"weights")
            if error is not None:
                raise error
            agreements = tuple(agreement(f"out{i}", d) for i, d in enumerate(differences))
            parity = Parity(
                inputs=4,
                tolerance=1e-4,
                agreements=agreements,
                passed=all(d <= 1e-4 for d in differences),
                first_divergence="conv2d (module 'stem')",
                layer=layer,
            )
            return Answer(written=Written(files=(), inputs=(), outputs=()), parity=parity)

        monkeypatch.setattr(module, "convert", convert)

    return put


def test_a_written_network_opens_as_an_artifact_with_its_story(small, tmp_path):
    said = []
    made = export(small, tmp_path / "deep" / "small", on_progress=said.append)
    opened = Artifact.open(tmp_path / "deep" / "small")
    assert opened == made
    manifest = opened.manifest
    assert (manifest.format, manifest.runtime, manifest.source) == ("ncnn", "ncnn", SOURCE)
    assert [step.name for step in manifest.steps] == [
        *(step.name for step in small.steps),
        "to_ncnn",
    ]
    assert manifest.parity.passed
    assert manifest.tensors["out0"] == "linear"
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["small"]
    assert said == ["writing small as ncnn fp32"]


@pytest.mark.parametrize("difference", [0.5, float("nan")])
def test_a_file_that_computes_something_else_never_gets_its_name(
    small, tmp_path, converts, difference
):
    converts(differences=(1e-6, difference, 1e-3))
    message = rf"'out1' is off by {difference:.2g} .* first at conv2d \(module 'stem'\)"
    with pytest.raises(ParityError, match=message):
        export(small, tmp_path / "small")
    assert not list(tmp_path.iterdir())


def test_a_layer_of_integers_that_is_wrong_can_be_kept_in_floating_point(small, tmp_path, converts):
    converts(differences=(0.5,), layer="conv2d")
    with pytest.raises(ParityError, match="with --keep-float conv2d, or export in") as raised:
        export(small, tmp_path / "small")
    assert raised.value.layer == "conv2d"
    assert raised.value.found.endswith("first at conv2d (module 'stem')")


@pytest.mark.parametrize("error", [ConverterFailed("crashed"), KeyboardInterrupt()])
def test_what_ends_in_between_leaves_the_artifact_that_was_there(small, tmp_path, converts, error):
    converts()
    before = export(small, tmp_path / "small")
    converts(error=error)
    with pytest.raises(type(error)):
        export(small, tmp_path / "small")
    assert Artifact.open(tmp_path / "small") == before
    assert [path.name for path in tmp_path.iterdir()] == ["small"]


def test_a_new_artifact_replaces_the_old_one_with_all_its_files(small, tmp_path, converts):
    converts()
    export(small, tmp_path / "small")
    (tmp_path / "small" / "of the old one").touch()
    export(small, tmp_path / "small", source=replace(SOURCE, name="other"))
    assert Artifact.open(tmp_path / "small").manifest.source.name == "other"
    assert {path.name for path in (tmp_path / "small").iterdir()} == {"manifest.json", "model.bin"}
    assert [path.name for path in tmp_path.iterdir()] == ["small"]


def test_an_artifact_is_readable_by_whom_the_umask_lets(small, tmp_path, converts):
    converts()
    export(small, tmp_path / "small")
    (tmp_path / "plain").mkdir()
    assert (tmp_path / "small").stat().st_mode == (tmp_path / "plain").stat().st_mode


@pytest.mark.parametrize("as_file", [True, False])
def test_what_is_no_artifact_is_never_replaced(small, tmp_path, converts, as_file):
    converts()
    place = tmp_path / "thesis"
    if not as_file:
        place.mkdir()
        place = place / "chapter"
    place.write_text("years of work")
    with pytest.raises(UsageError, match="thesis exists and is no artifact"):
        export(small, tmp_path / "thesis")
    assert place.read_text() == "years of work"


def test_a_place_that_cannot_be_written_is_told(small, tmp_path, converts):
    converts()
    (tmp_path / "file").touch()
    with pytest.raises(ExportError, match="cannot be written"):
        export(small, tmp_path / "file" / "small")


def test_unknown_names_are_told_before_anything_is_done(small, tmp_path):
    with pytest.raises(UnknownName, match="did you mean onnx"):
        export(small, tmp_path / "small", format="onnxx")
    with pytest.raises(UsageError, match="no precision for ncnn 'int4'"):
        export(small, tmp_path / "small", precision="int4")
    with pytest.raises(UsageError, match="needs a network that was quantized"):
        export(small, tmp_path / "small", precision="int8")
    assert not list(tmp_path.iterdir())
