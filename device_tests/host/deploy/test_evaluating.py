"""Files on real samples: accuracy, agreement and noise against numpy's own arithmetic."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from groundspeed.deploy.evaluating import evaluate
from groundspeed.deploy.evaluation import Evaluation, Scored
from groundspeed.deploy.sources import Network
from groundspeed.documents import from_plain, to_plain
from groundspeed.errors import ArtifactError, CheckError, DataError, InputError, UsageError

COUNT, IMAGE = 37, (3, 4, 5)
WEIGHTS = np.random.default_rng(0).standard_normal((6, 60)).astype(np.float32)
IMAGES = np.random.default_rng(1).standard_normal((COUNT, *IMAGE)).astype(np.float32)
SCORES = IMAGES.reshape(COUNT, -1) @ WEIGHTS.T
# A third of the labels are wrong.
LABELS = np.where(np.arange(COUNT) % 3, SCORES.argmax(1), (SCORES.argmax(1) + 1) % 6)


@pytest.fixture
def data(tmp_path: Path) -> str:
    np.savez(tmp_path / "samples.npz", x=IMAGES, y=LABELS)
    return str(tmp_path / "samples.npz")


@pytest.fixture
def unlabelled(tmp_path: Path) -> str:
    np.savez(tmp_path / "unlabelled.npz", x=IMAGES)
    return str(tmp_path / "unlabelled.npz")


def rows(evaluation: Evaluation) -> dict[str, Scored]:
    return {row.name: row for row in evaluation.rows}


def test_accuracy_against_labels(engine, data: str) -> None:
    evaluation = evaluate({"mine": engine("mine")}, data)
    (row,) = evaluation.rows
    right = SCORES.argmax(1) == LABELS
    ranks = (SCORES[np.arange(COUNT), LABELS][:, None] < SCORES).sum(1)
    assert row.top1 is not None
    assert row.top5 is not None
    assert (row.top1.count, row.top1.total) == (right.sum(), COUNT)
    assert row.top5.count == (ranks < 5).sum()
    assert (evaluation.samples, evaluation.labelled, evaluation.reference) == (COUNT, True, "mine")
    assert (row.agreement, row.sqnr_db, row.lost) == (None, None, None)


def test_the_others_are_compared_with_the_first_of_fp32(engine, data: str) -> None:
    coarse = engine("coarse", precision="int8", step=0.5)
    evaluation = evaluate({"coarse": coarse, "fine": engine("fine")}, data)
    assert evaluation.reference == "fine"
    row = rows(evaluation)["coarse"]
    rounded = (np.rint(IMAGES / 0.5) * 0.5).reshape(COUNT, -1) @ WEIGHTS.T
    same = rounded.argmax(1) == SCORES.argmax(1)
    assert row.agreement is not None
    assert row.agreement.count == same.sum() < COUNT
    noise = ((rounded - SCORES) ** 2).sum()
    assert row.sqnr_db == pytest.approx(10 * math.log10((SCORES**2).sum() / noise), abs=1e-3)
    right, was_right = rounded.argmax(1) == LABELS, SCORES.argmax(1) == LABELS
    assert (row.lost, row.gained) == ((was_right & ~right).sum(), (right & ~was_right).sum())


def test_layouts_batches_and_integer_ends_change_nothing_but_noise(engine, data: str) -> None:
    evaluation = evaluate(
        {
            "plain": engine("plain"),
            "last": engine("last", layout="NHWC"),
            "batch": engine("batch", batch=5),
            "integers": engine("integers", precision="int8", layout="NHWC", scale=0.04, batch=2),
        },
        data,
    )
    found = rows(evaluation)
    for name in ("last", "batch"):
        assert found[name].top1 == found["plain"].top1
        assert found[name].sqnr_db is not None
        assert found[name].sqnr_db > 120
    # Uniform noise of a step of 0.04 on a signal of power 1.
    expected = -10 * math.log10(0.04**2 / 12)
    assert found["integers"].sqnr_db == pytest.approx(expected, abs=1)


def test_a_named_reference(engine, data: str) -> None:
    artifacts = {"a": engine("a"), "b": engine("b", step=0.1)}
    evaluation = evaluate(artifacts, data, reference="b")
    assert evaluation.reference == "b"
    assert rows(evaluation)["b"].sqnr_db is None
    assert rows(evaluation)["a"].sqnr_db is not None


@pytest.mark.parametrize("batch", [1, 4])
def test_the_network_in_pytorch_is_the_reference(engine, data: str, batch: int) -> None:
    module = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(60, 6, bias=False))
    module[1].weight.data = torch.from_numpy(WEIGHTS)
    network = Network(name="mine", spec="mine", module=module, inputs=(torch.zeros(batch, *IMAGE),))
    evaluation = evaluate({"mine": engine("mine")}, data, network=network)
    first, second = evaluation.rows
    assert (first.name, first.runtime) == ("mine in PyTorch", "pytorch")
    assert evaluation.reference == first.name
    assert first.top1 == second.top1
    assert second.sqnr_db is not None
    assert second.sqnr_db > 120


def test_without_labels_there_is_agreement_alone(engine, unlabelled: str) -> None:
    evaluation = evaluate({"a": engine("a"), "b": engine("b", step=0.1)}, unlabelled, samples=20)
    row = rows(evaluation)["b"]
    assert (evaluation.samples, evaluation.labelled) == (20, False)
    assert (row.top1, row.top5, row.lost, row.gained) == (None, None, None, None)
    assert row.agreement is not None
    assert row.agreement.total == 20


def test_without_a_float_file_there_is_accuracy_alone(engine, data: str) -> None:
    evaluation = evaluate({"a": engine("a", precision="int8")}, data)
    assert evaluation.reference is None
    assert evaluation.rows[0].top1 is not None


def test_tensors_are_compared_across_layouts_and_the_worst_comes_first(engine, data: str) -> None:
    artifacts = {
        "float": engine("float"),
        "coarse": engine("coarse", precision="int8", layout="NHWC", step=0.5),
    }
    evaluation = evaluate(artifacts, data, per_tensor=True)
    found = rows(evaluation)["coarse"].tensors
    assert {each.op: each.module for each in found} == {"image": "stem", "scores": "fc"}
    assert found[0].sqnr_db <= found[1].sqnr_db
    image = next(each for each in found if each.op == "image")
    four = IMAGES[:4]
    noise = ((np.rint(four / 0.5) * 0.5 - four) ** 2).sum()
    assert image.sqnr_db == pytest.approx(10 * math.log10((four**2).sum() / noise), abs=1e-3)
    assert rows(evaluation)["float"].tensors == ()


@pytest.mark.parametrize(
    ("behaviour", "words"),
    [("crash", "SIGABRT"), ("nan", "NaN or infinity"), ("raise", "no such kernel")],
)
def test_one_file_that_fails_spoils_no_other(engine, data: str, behaviour: str, words: str) -> None:
    artifacts = {"good": engine("good"), "bad": engine("bad", behaviour=behaviour)}
    found = rows(evaluate(artifacts, data))
    assert found["bad"].error is not None
    assert words in found["bad"].error
    assert found["bad"].top1 is None
    assert found["good"].error is None
    assert found["good"].top1 is not None
    assert found["good"].top1.total == COUNT


def test_without_its_reference_a_comparison_fails(engine, data: str) -> None:
    artifacts = {"bad": engine("bad", behaviour="crash"), "good": engine("good", precision="int8")}
    with pytest.raises(CheckError, match=r"bad cannot be evaluated: .*SIGABRT") as error:
        evaluate(artifacts, data)
    assert error.value.exit_code == 1


def test_a_damaged_file_is_bad_use(engine, data: str) -> None:
    with pytest.raises(ArtifactError, match="damaged"):
        evaluate({"bad": engine("bad", behaviour="damaged")}, data)


def test_classes_that_the_network_does_not_know(engine, tmp_path: Path) -> None:
    np.savez(tmp_path / "many.npz", x=IMAGES, y=np.arange(COUNT))
    with pytest.raises(DataError, match="the network knows 6 classes"):
        evaluate({"mine": engine("mine")}, str(tmp_path / "many.npz"))


def test_files_that_do_not_belong_together(engine, unlabelled: str) -> None:
    others = {"a": engine("a"), "b": engine("b", weights=WEIGHTS[:4])}
    with pytest.raises(UsageError, match="b and a do not fit: its outputs are"):
        evaluate(others, unlabelled)
    network = Network(
        name="n", spec="n", module=torch.nn.Flatten(), inputs=(torch.zeros(1, 3, 8, 8),)
    )
    with pytest.raises(InputError, match=r"takes \[3, 8, 8\] and a \[3, 4, 5\]"):
        evaluate({"a": engine("a2")}, unlabelled, network=network)


def test_references_that_make_no_sense(engine, data: str) -> None:
    artifact = engine("a", precision="int8")
    with pytest.raises(UsageError, match="missing cannot be the reference"):
        evaluate({"a": artifact}, data, reference="missing")
    with pytest.raises(UsageError, match="tensors can be compared only with"):
        evaluate({"a": artifact}, data, per_tensor=True)


def test_progress_reaches_its_end(engine, data: str) -> None:
    seen: list[tuple[str, int, int]] = []
    evaluate({"a": engine("a")}, data, on_progress=lambda *step: seen.append(step))
    assert seen[0] == ("evaluating samples", 0, COUNT)
    assert seen[-1] == ("evaluating samples", COUNT, COUNT)


def test_the_result_is_a_document(engine, data: str) -> None:
    evaluation = evaluate({"a": engine("a"), "b": engine("b")}, data)
    assert rows(evaluation)["b"].sqnr_db == math.inf
    assert from_plain(Evaluation, to_plain(evaluation)) == evaluation
