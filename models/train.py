"""A small trainer of image classifiers, which goes on where it was killed.

AdamW with the one-cycle schedule: the learning rate rises to its peak over the first part of the
training and falls to almost nothing by its end (Smith and Topin, Super-Convergence,
https://arxiv.org/abs/1708.07120; Loshchilov and Hutter, https://arxiv.org/abs/1711.05101). It needs
little tuning, and ends well when the number of epochs is small.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.optim.lr_scheduler import OneCycleLR

from groundspeed.errors import InputError, TrainingError
from groundspeed.models.augment import shifted_and_flipped
from groundspeed.models.checkpoint import Epoch, State, restore, save

_STEPS_BETWEEN_REPORTS = 10
_LEAST_CYCLE = 10  # steps; with fewer, the schedule's first part has none, and it divides by 0


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How to train; two trainings with equal settings and data end with equal weights.

    Attributes:
        epochs: how often each image is seen.
        batch: images in one step; what is left over at the end of an epoch is left out.
        learning_rate: the schedule's peak.
        weight_decay: AdamW's, on everything but vectors (biases, batch normalizations).
        label_smoothing: share of the target that is spread over all classes.
        shift: pixels that an image is moved by at most; it helps long trainings, and delays short
            ones.
        flip: whether a random half of the images is mirrored.
        seed: of the order of the images, of augmentation and of dropout.
    """

    epochs: int = 3
    batch: int = 64
    learning_rate: float = 4e-3
    weight_decay: float = 0.02
    label_smoothing: float = 0.0
    shift: int = 0
    flip: bool = True
    seed: int = 0


@dataclass(frozen=True, kw_only=True)
class Progress:
    """Where a training is.

    Attributes:
        step: steps done.
        steps: steps in all.
        epoch: the epoch under way, from 1.
        epochs: epochs in all.
        loss: mean over this epoch so far.
        accuracy: share of this epoch's images that were classified right when they were seen.
        ends_epoch: whether this step is the epoch's last.
        remaining_s: seconds that the rest will take at the pace so far.
    """

    step: int
    steps: int
    epoch: int
    epochs: int
    loss: float
    accuracy: float
    ends_epoch: bool
    remaining_s: float


@dataclass(frozen=True, kw_only=True)
class Trained:
    """What a training was like.

    Attributes:
        history: its epochs.
        resumed_at: step that it went on from, 0 if it began anew.
    """

    history: tuple[Epoch, ...]
    resumed_at: int


def train(
    network: nn.Module,
    images: Tensor,
    labels: Tensor,
    *,
    settings: Settings,
    checkpoint: Path | None = None,
    checkpoint_s: float = 30.0,
    on_progress: Callable[[Progress], None] | None = None,
) -> Trained:
    """Train a network in place, and leave it in evaluation mode.

    Args:
        network: answers images with logits [N, classes].
        images: [N, C, H, W], float.
        labels: [N], the number of each image's class.
        settings: how to train.
        checkpoint: file to go on from if it exists, and to keep the state in; a training that was
            killed and goes on ends with the weights that it would have had. Whoever called
            deletes it.
        checkpoint_s: seconds between two writings of the checkpoint, which is also written after
            each epoch.
        on_progress: called every few steps and at the end of an epoch.

    Raises:
        InputError: images and labels do not fit each other or the settings.
        SourceError: the checkpoint is damaged, or of another network.
        UsageError: the checkpoint is of other settings or data.
        TrainingError: the loss became infinite or NaN.
    """
    _check_data(images, labels, settings)
    # What CPUs convolve fastest: ShuffleNetV2 and MobileNetV2 train in two thirds of the time.
    _set_layout(network, torch.channels_last)
    network.train()
    # Dropout and augmentation draw from the global generator; the caller's state is given back.
    with torch.random.fork_rng(devices=[]):
        training = _Training(network, images, labels, settings)
        resumed_at = training.resume(checkpoint)
        written = time.monotonic()
        for progress in training.steps():
            late = time.monotonic() - written > checkpoint_s
            if checkpoint is not None and (progress.ends_epoch or late):
                save(training.state, checkpoint, training.identity)
                written = time.monotonic()
            if on_progress and (progress.ends_epoch or progress.step % _STEPS_BETWEEN_REPORTS == 0):
                on_progress(progress)
    _set_layout(network, torch.contiguous_format)
    network.eval()
    return Trained(history=tuple(training.state.history), resumed_at=resumed_at)


def accuracy(network: nn.Module, images: Tensor, labels: Tensor, *, batch: int = 500) -> float:
    """Return the share of images whose highest logit is their label's; in evaluation mode."""
    network.eval()
    with torch.no_grad():
        parts = zip(torch.split(images, batch), torch.split(labels, batch), strict=True)
        right = [network(some).argmax(1) == wanted for some, wanted in parts]
    return float(torch.cat(right).double().mean())


class _Training:
    """The state of a training, and how it takes a step."""

    def __init__(
        self, network: nn.Module, images: Tensor, labels: Tensor, settings: Settings
    ) -> None:
        self._images, self._labels, self._settings = images, labels, settings
        self.steps_per_epoch = len(images) // settings.batch
        self._steps = self.steps_per_epoch * settings.epochs
        optimizer = torch.optim.AdamW(
            _parameter_groups(network, settings.weight_decay), lr=settings.learning_rate
        )
        schedule = OneCycleLR(
            optimizer,
            max_lr=settings.learning_rate,
            total_steps=max(self._steps, _LEAST_CYCLE),
            pct_start=0.2,
        )
        self.state = State(network, optimizer, schedule)
        self.identity: dict[str, object] = {
            **asdict(settings),
            "images": tuple(images.shape),
            "sum of labels": int(labels.sum()),
        }
        torch.manual_seed(settings.seed)

    def resume(self, checkpoint: Path | None) -> int:
        """Return the step that training goes on from."""
        if checkpoint is not None and checkpoint.exists():
            restore(self.state, checkpoint, self.identity)
        return self.state.step

    def steps(self) -> Iterator[Progress]:
        """Take the steps that are left; yield after each."""
        first, started = self.state.step, time.monotonic()
        while self.state.step < self._steps:
            epoch, position = divmod(self.state.step, self.steps_per_epoch)
            if position == 0:
                self.state.loss_sum, self.state.right = 0.0, 0
            for chosen in self._batches(epoch)[position:]:
                self._step(chosen)
                pace = (time.monotonic() - started) / (self.state.step - first)
                yield self._progress(epoch, pace)

    def _batches(self, epoch: int) -> list[Tensor]:
        """Return the indices of each batch; the order depends on nothing but seed and epoch."""
        generator = torch.Generator().manual_seed(self._settings.seed * 1_000_003 + epoch)
        order = torch.randperm(len(self._images), generator=generator)
        return list(torch.split(order, self._settings.batch))[: self.steps_per_epoch]

    def _step(self, chosen: Tensor) -> None:
        settings, state = self._settings, self.state
        images, labels = self._images[chosen], self._labels[chosen]
        if settings.shift or settings.flip:
            images = shifted_and_flipped(images, shift=settings.shift, flip=settings.flip)
        logits = state.network(images.contiguous(memory_format=torch.channels_last))
        loss = functional.cross_entropy(logits, labels, label_smoothing=settings.label_smoothing)
        if not math.isfinite(loss.item()):
            raise TrainingError(
                f"the loss became {loss.item()} at step {state.step + 1} of {self._steps}; train "
                f"with a lower learning rate than {settings.learning_rate:g}"
            )
        state.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        state.optimizer.step()
        state.schedule.step()
        state.step += 1
        state.loss_sum += loss.item()
        state.right += int((logits.argmax(1) == labels).sum())
        if state.step % self.steps_per_epoch == 0:
            state.history.append(self._epoch())

    def _progress(self, epoch: int, pace: float) -> Progress:
        so_far = self._epoch()
        return Progress(
            step=self.state.step,
            steps=self._steps,
            epoch=epoch + 1,
            epochs=self._settings.epochs,
            loss=so_far.loss,
            accuracy=so_far.accuracy,
            ends_epoch=self.state.step % self.steps_per_epoch == 0,
            remaining_s=pace * (self._steps - self.state.step),
        )

    def _epoch(self) -> Epoch:
        """Return what this epoch gave so far."""
        steps = (self.state.step - 1) % self.steps_per_epoch + 1
        seen = steps * self._settings.batch
        return Epoch(loss=self.state.loss_sum / steps, accuracy=self.state.right / seen)


def _parameter_groups(network: nn.Module, decay: float) -> list[dict[str, object]]:
    """Return parameters with weight decay, and without: decay of a scale or shift helps nothing."""
    parameters = [each for each in network.parameters() if each.requires_grad]
    return [
        {"params": [each for each in parameters if each.dim() > 1], "weight_decay": decay},
        {"params": [each for each in parameters if each.dim() <= 1], "weight_decay": 0.0},
    ]


def _set_layout(network: nn.Module, layout: torch.memory_format) -> None:
    network.to(memory_format=layout)  # type: ignore[call-overload]  # torch's stubs lack it


def _check_data(images: Tensor, labels: Tensor, settings: Settings) -> None:
    if len(images) != len(labels):
        raise InputError(f"there are {len(images)} images and {len(labels)} labels")
    if len(images) < settings.batch:
        raise InputError(
            f"{len(images)} images fill no batch of {settings.batch}; choose a smaller one"
        )
