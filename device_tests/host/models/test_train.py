"""A training learns, ends the same however often it was killed, and says what stops it."""

from __future__ import annotations

import dataclasses
import math
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from groundspeed.errors import InputError, SourceError, TrainingError, UsageError
from groundspeed.models.augment import shifted_and_flipped
from groundspeed.models.train import Progress, Settings, accuracy, train
from groundspeed.models.weights import load_weights, save_weights

SETTINGS = Settings(epochs=3, batch=16, learning_rate=0.02, shift=1, flip=True, seed=5)


def pictures(count: int = 200, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Three classes: a bright bar at the top, in the middle, at the bottom; and noise."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(0, 3, (count,), generator=generator)
    images = torch.randn(count, 1, 9, 9, generator=generator)
    for image, label in zip(images, labels.tolist(), strict=True):
        image[0, 3 * label + 1] += 2.0
    return images, labels


def tiny() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1, bias=False),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.Flatten(),
        nn.Dropout(0.2),
        nn.Linear(8 * 81, 3),
    )


def weights(network: nn.Module) -> Tensor:
    return torch.cat([value.flatten().double() for value in network.state_dict().values()])


def test_a_network_learns_to_tell_classes_apart() -> None:
    network = tiny()
    trained = train(network, *pictures(), settings=SETTINGS)
    assert not network.training
    assert accuracy(network, *pictures(seed=1)) > 0.9
    assert len(trained.history) == SETTINGS.epochs
    assert trained.history[-1].loss < trained.history[0].loss
    assert trained.resumed_at == 0


def test_equal_settings_give_equal_weights_and_leave_the_random_state_alone() -> None:
    before = torch.get_rng_state()
    first, again, other = tiny(), tiny(), tiny()
    torch.set_rng_state(before)
    train(first, *pictures(), settings=SETTINGS)
    assert torch.equal(torch.get_rng_state(), before)
    torch.rand(7)
    train(again, *pictures(), settings=SETTINGS)
    train(other, *pictures(), settings=dataclasses.replace(SETTINGS, seed=6))
    assert torch.equal(weights(first), weights(again))
    assert not torch.equal(weights(first), weights(other))


KILLED = """
import importlib.util, os, signal, sys, torch
from pathlib import Path
torch.set_num_threads(1)
specification = importlib.util.spec_from_file_location("tests", sys.argv[1])
tests = importlib.util.module_from_spec(specification)
specification.loader.exec_module(tests)
def die(progress):
    if progress.step == 20:
        os.kill(os.getpid(), signal.SIGKILL)
tests.train(tests.tiny(), *tests.pictures(), settings=tests.SETTINGS,
            checkpoint=Path(sys.argv[2]), checkpoint_s=0, on_progress=die)
"""


def test_a_killed_training_goes_on_to_the_same_weights(tmp_path: Path) -> None:
    checkpoint = tmp_path / "checkpoint.pt"
    done = subprocess.run([sys.executable, "-c", KILLED, __file__, checkpoint], timeout=120)
    assert done.returncode == -9
    whole, resumed = tiny(), tiny()
    expected = train(whole, *pictures(), settings=SETTINGS)
    trained = train(resumed, *pictures(), settings=SETTINGS, checkpoint=checkpoint)
    assert trained.resumed_at == 20
    assert torch.equal(weights(resumed), weights(whole))
    assert trained.history == expected.history
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint.pt"]


def test_a_finished_training_is_not_repeated(tmp_path: Path) -> None:
    checkpoint = tmp_path / "checkpoint.pt"
    first, again = tiny(), tiny()
    train(first, *pictures(), settings=SETTINGS, checkpoint=checkpoint)
    reports: list[Progress] = []
    trained = train(
        again, *pictures(), settings=SETTINGS, checkpoint=checkpoint, on_progress=reports.append
    )
    assert not reports
    assert len(trained.history) == 3
    assert torch.equal(weights(first), weights(again))


def test_a_checkpoint_of_another_training_is_refused(tmp_path: Path) -> None:
    checkpoint = tmp_path / "checkpoint.pt"
    train(tiny(), *pictures(), settings=SETTINGS, checkpoint=checkpoint)
    longer = dataclasses.replace(SETTINGS, epochs=4)
    with pytest.raises(UsageError, match="of a training with epochs 3, not 4"):
        train(tiny(), *pictures(), settings=longer, checkpoint=checkpoint)
    with pytest.raises(UsageError, match=r"images \(200, 1, 9, 9\), not \(100, 1, 9, 9\)"):
        train(tiny(), *pictures(100), settings=SETTINGS, checkpoint=checkpoint)
    other = nn.Sequential(nn.Flatten(), nn.Linear(81, 3))
    with pytest.raises(SourceError, match="is of another network"):
        train(other, *pictures(), settings=SETTINGS, checkpoint=checkpoint)


@pytest.mark.parametrize("content", [b"", b"hello", b"PK\x03\x04 no zip"])
def test_a_damaged_checkpoint_is_refused(content: bytes, tmp_path: Path) -> None:
    checkpoint = tmp_path / "checkpoint.pt"
    checkpoint.write_bytes(content)
    with pytest.raises(SourceError, match=r"checkpoint\.pt cannot be read"):
        train(tiny(), *pictures(), settings=SETTINGS, checkpoint=checkpoint)


def test_progress_reaches_the_end() -> None:
    reports: list[Progress] = []
    train(tiny(), *pictures(), settings=SETTINGS, on_progress=reports.append)
    last = reports[-1]
    assert (last.step, last.epoch, last.remaining_s) == (last.steps, SETTINGS.epochs, 0.0)
    assert last.steps == 3 * (200 // 16)
    assert all(0 <= report.accuracy <= 1 and math.isfinite(report.loss) for report in reports)
    assert [report.remaining_s > 0 for report in reports[:-1]] == [True] * (len(reports) - 1)


def test_a_training_that_diverges_says_so() -> None:
    images, labels = pictures()
    with pytest.raises(TrainingError, match="the loss became nan at step 1 of 36; train with a"):
        train(tiny(), images * math.nan, labels, settings=SETTINGS)


def test_data_that_does_not_fit_is_refused() -> None:
    images, labels = pictures()
    with pytest.raises(InputError, match="200 images and 199 labels"):
        train(tiny(), images, labels[1:], settings=SETTINGS)
    with pytest.raises(InputError, match="8 images fill no batch of 16"):
        train(tiny(), images[:8], labels[:8], settings=SETTINGS)


@pytest.mark.parametrize("steps", range(1, 8))
def test_a_training_may_be_short(steps: int) -> None:
    settings = dataclasses.replace(SETTINGS, epochs=1)
    trained = train(tiny(), *pictures(16 * steps), settings=settings)
    assert len(trained.history) == 1


def test_accuracy_counts_every_image_once() -> None:
    logits = torch.eye(3)[torch.tensor([0, 1, 2, 2, 1])]
    assert accuracy(nn.Identity(), logits, torch.tensor([0, 1, 2, 0, 0]), batch=2) == 0.6


def test_shifted_images_show_the_same_picture_elsewhere() -> None:
    torch.manual_seed(0)
    image = torch.rand(1, 2, 5, 6)
    moved = shifted_and_flipped(image.expand(60, -1, -1, -1), shift=1, flip=True)
    padded = nn.functional.pad(image, (1, 1, 1, 1), mode="replicate")[0]
    places = [padded[:, y : y + 5, x : x + 6] for y in range(3) for x in range(3)]
    wanted = [place.flip(2) if flip else place for place in places for flip in (False, True)]
    seen = {[torch.equal(each, place) for place in wanted].index(True) for each in moved}
    assert len(seen) > 12  # of 18


def test_nothing_is_moved_that_shall_not_be() -> None:
    images = torch.rand(4, 1, 3, 3)
    assert torch.equal(shifted_and_flipped(images, shift=0, flip=False), images)


def test_saved_weights_load_again(tmp_path: Path) -> None:
    source = tiny().to(memory_format=torch.channels_last)
    tied = nn.Sequential(source, source)  # two names for each tensor
    network = nn.Sequential(tiny(), tiny())
    save_weights(tied, tmp_path / "weights.safetensors")
    load_weights(network, tmp_path / "weights.safetensors")
    assert torch.equal(weights(network[1]), weights(source))
