"""Drops of top-1 as the judge tells them, against numpy's own counting."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import nn

from groundspeed.deploy.data import Data
from groundspeed.deploy.mixing.judging import Accuracy, Judging
from groundspeed.deploy.mixing.subject import Subject
from groundspeed.deploy.mixing.table import Table
from groundspeed.errors import UsageError
from groundspeed.export.prepare import prepare
from groundspeed.export.quantize.calibrate import calibrate
from groundspeed.mixing import Estimate, LayerGain
from groundspeed.quantization import Quantization

BATCH, SAMPLES, CLASSES = 4, 30, 10  # the last batch is not full
IMAGES = np.random.default_rng(0).standard_normal((SAMPLES, 6)).astype(np.float32)


@pytest.fixture(scope="module")
def subject() -> Subject:
    torch.manual_seed(0)
    # Scores that are close to each other, so that integers change which one is best.
    network = nn.Sequential(nn.Linear(6, 32), nn.ReLU(), nn.Linear(32, CLASSES))
    network[2].weight.data[1::2] = network[2].weight.data[::2] + 1e-3 * torch.randn(5, 32)
    network[2].bias.data[1::2] = network[2].bias.data[::2]
    prepared = prepare(network.eval(), [torch.zeros(BATCH, 6)])
    samples = [(torch.from_numpy(IMAGES[:BATCH]),)]
    calibration = calibrate(prepared.program, samples, data="noise")
    return Subject(
        program=prepared.program,
        untouched=prepared.program,
        quantization=Quantization(calibration=calibration),
    )


def answers(subject: Subject, chosen: frozenset[str]) -> np.ndarray:
    simulation = subject.simulation(chosen)
    padded = np.concatenate([IMAGES, IMAGES[-1:], IMAGES[-1:]])
    batches = padded.reshape(-1, BATCH, 6)
    scores = [simulation.answers((torch.from_numpy(batch),))[0].numpy() for batch in batches]
    return np.concatenate(scores)[:SAMPLES].argmax(axis=1)


def data(labels: np.ndarray | None = None) -> Data:
    read: Callable[[int], np.ndarray] = IMAGES.__getitem__
    return Data(name="noise", count=SAMPLES, read=read, labels=labels)


def test_without_labels_each_answer_that_differs_is_lost(subject: Subject) -> None:
    both = frozenset({"linear", "linear_1"})
    differing = (answers(subject, both) != answers(subject, frozenset())).mean()
    assert differing > 0
    assert Accuracy(subject, data()).drop(both) == pytest.approx(100 * differing)


def test_with_labels_what_is_won_counts_for_what_is_lost(subject: Subject) -> None:
    both = frozenset({"linear", "linear_1"})
    exact, rounded = answers(subject, frozenset()), answers(subject, both)
    labels = np.where(np.arange(SAMPLES) % 3 == 0, rounded, exact).astype(np.int64)
    expected = 100 * ((exact == labels).mean() - (rounded == labels).mean())
    accuracy = Accuracy(subject, data(labels))
    assert accuracy.drop(both) == pytest.approx(expected)
    assert accuracy.measure == "top-1 accuracy"


def test_maps_have_no_top1() -> None:
    prepared = prepare(nn.Conv2d(1, 4, 3), [torch.zeros(1, 1, 8, 8)])
    calibration = calibrate(prepared.program, [(torch.ones(1, 1, 8, 8),)], data="ones")
    subject = Subject(
        program=prepared.program,
        untouched=prepared.program,
        quantization=Quantization(calibration=calibration),
    )
    images = Data(name="ones", count=1, read=lambda index: np.ones((1, 8, 8), np.float32))
    with pytest.raises(UsageError, match="no scores of classes"):
        Accuracy(subject, images)


def test_a_set_is_judged_once_and_kept_in_order(subject: Subject) -> None:
    gain = Estimate(value=10.0, low=9.0, high=11.0)
    layers = tuple(
        LayerGain(op=op, module=op, float_ns=30.0, int8_ns=20.0, gain_ns=gain, output_sqnr_db=40.0)
        for op in ("linear", "linear_1")
    )
    table = Table(layers=layers, others=(), float_ns=100.0, int8_ns=80.0)
    judge = Judging(Accuracy(subject, data()), table)
    one = judge(frozenset({"linear_1"}))
    assert judge(frozenset()).drop == 0.0
    assert judge(frozenset({"linear_1"})) is one
    assert [each.layers for each in judge.candidates] == [("linear_1",), ()]
    assert one.predicted_ns == pytest.approx(90.0)
    with pytest.raises(ValueError, match="conv2d"):
        judge(frozenset({"conv2d"}))
