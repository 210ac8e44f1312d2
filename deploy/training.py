"""From a network and labelled data to a trained network in a file."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from groundspeed.deploy import sources
from groundspeed.deploy.data import load_data
from groundspeed.deploy.importing import split_arguments
from groundspeed.documents import write_atomically
from groundspeed.errors import DataError, UsageError
from groundspeed.export.trace import trace
from groundspeed.models import zoo
from groundspeed.models.checkpoint import Epoch
from groundspeed.models.compress.fake_quantization import Schedule
from groundspeed.models.compress.qat import convert, prepare_qat
from groundspeed.models.train import Progress, Settings, Trained, accuracy, train
from groundspeed.models.weights import save_weights


@dataclass(frozen=True, kw_only=True)
class Training:
    """A finished training.

    Attributes:
        network: what the user called it.
        data: what it was trained on, in words.
        settings: how.
        history: its epochs.
        resumed_at: step that it went on from, 0 if it began anew.
        test: what it was tested on, in words; None if on nothing.
        top1: share of the test samples that it classifies right.
        output: the file that it is in.
    """

    network: str
    data: str
    settings: Settings
    history: tuple[Epoch, ...]
    resumed_at: int
    test: str | None
    top1: float | None
    output: Path


def train_network(
    spec: str,
    output: Path,
    *,
    data: str,
    test: str | None = None,
    settings: Settings,
    quantize: bool = False,
    input_shapes: tuple[tuple[int, ...], ...] = (),
    weights: Path | None = None,
    on_progress: Callable[[Progress], None] | None = None,
) -> Training:
    """Train a network and write it to a file; an interrupted training goes on when called again.

    Args:
        spec: which network.
        output: a ``.safetensors`` file for its weights; with ``quantize`` a ``.pt2`` file for the
            network itself, which then carries the ranges that it learned.
        data: what to train on.
        test: what to test on afterwards.
        settings: how to train.
        quantize: whether it learns to compute with 8-bit integers.
        input_shapes: shape of its input.
        weights: what to begin with; a network of the zoo else has PyTorch's first weights.
        on_progress: called every few steps.

    Raises:
        UsageError: the network cannot be trained on these data, or the output has another suffix.
        TrainingError: the training diverged.
        KeyboardInterrupt: with a sentence that says how to go on.
    """
    wanted = ".pt2" if quantize else ".safetensors"
    if output.suffix != wanted:
        raise UsageError(f"{output} should end in {wanted}: that is what will be in it")
    network, inputs = _loaded(spec, input_shapes, weights, settings.seed)
    samples = _samples(data, inputs)
    tested = None if test is None else _samples(test, inputs)
    _check_classes(network, samples, data)
    checkpoint = output.with_name(f"{output.name}.checkpoint")
    if quantize:
        schedule = _schedule(settings, len(samples.images))
        rounded = prepare_qat(network, inputs, schedule=schedule)
        trained = _train(rounded, samples, settings, checkpoint, on_progress)
        network = convert(rounded)
        write_atomically(output, _program(network, inputs))
    else:
        trained = _train(network, samples, settings, checkpoint, on_progress)
        save_weights(network, output)
    checkpoint.unlink(missing_ok=True)
    return Training(
        network=spec,
        data=samples.name,
        settings=settings,
        history=trained.history,
        resumed_at=trained.resumed_at,
        test=None if tested is None else tested.name,
        top1=None if tested is None else accuracy(network, tested.images, tested.labels),
        output=output,
    )


@dataclass(frozen=True)
class _Samples:
    """Labelled images: [N, C, H, W], [N], and what they are in words."""

    images: Tensor
    labels: Tensor
    name: str


def _loaded(
    spec: str, shapes: tuple[tuple[int, ...], ...], weights: Path | None, seed: int
) -> tuple[nn.Module, tuple[Tensor, ...]]:
    """Return a network that can be trained, and its example inputs."""
    loaded = sources.load(spec, input_shapes=shapes, weights=weights, seed=seed)
    if not isinstance(loaded.module, nn.Module):
        raise UsageError(f"{spec} cannot be trained: its graph is fixed; name a torch.nn.Module")
    if len(loaded.inputs) != 1:
        raise UsageError(f"{spec} takes {len(loaded.inputs)} inputs, and data have one image each")
    name, options = split_arguments(spec)
    if weights is not None or name not in zoo.names():
        return loaded.module, loaded.inputs
    # The zoo's own first weights are made to be compared; PyTorch's train faster.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return zoo.build(name, **options), loaded.inputs


def _samples(spec: str, inputs: tuple[Tensor, ...]) -> _Samples:
    data = load_data(spec, shape=tuple(inputs[0].shape))
    if data.labels is None:
        raise DataError(f"{spec} has no labels, and training needs them; name labelled data")
    return _Samples(
        torch.from_numpy(np.stack(list(data))), torch.from_numpy(data.labels), data.name
    )


def _check_classes(network: nn.Module, samples: _Samples, data: str) -> None:
    network.eval()
    with torch.no_grad():
        logits = network(samples.images[:1])
    classes = int(samples.labels.max()) + 1
    if not isinstance(logits, Tensor) or logits.dim() != 2 or logits.shape[1] < classes:
        answer = "x".join(map(str, logits.shape)) if isinstance(logits, Tensor) else "no tensor"
        raise UsageError(
            f"{data} has {classes} classes and the network answers {answer} for one image; build "
            f"it with as many classes, such as NETWORK:num_classes={classes}"
        )


def _train(
    network: nn.Module,
    samples: _Samples,
    settings: Settings,
    checkpoint: Path,
    on_progress: Callable[[Progress], None] | None,
) -> Trained:
    try:
        return train(
            network,
            samples.images,
            samples.labels,
            settings=settings,
            checkpoint=checkpoint,
            on_progress=on_progress,
        )
    except KeyboardInterrupt:
        if not checkpoint.exists():
            raise
        raise KeyboardInterrupt(
            f"interrupted; run the same command again to go on from {checkpoint}, or delete it to "
            "begin anew"
        ) from None


def _schedule(settings: Settings, images: int) -> Schedule:
    """Ranges settle first, and in the last third nothing but weights learns."""
    steps = settings.epochs * (images // settings.batch)
    return Schedule(delay=steps // 20, freeze=2 * steps // 3)


def _program(network: nn.Module, inputs: tuple[Tensor, ...]) -> bytes:
    buffer = io.BytesIO()
    torch.export.save(trace(network, inputs), buffer)
    return buffer.getvalue()
