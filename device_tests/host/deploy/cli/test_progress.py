"""What long commands say where nobody watches: plain lines, neither none nor too many."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from groundspeed.deploy.cli.progress import TrainingProgress
from groundspeed.models.train import Progress

EPOCHS = 3


def lines(steps: int, *, every: int, first: int = 0) -> list[str]:
    """Return what a training that is heard of now and then prints into a file."""
    output = io.StringIO()
    with TrainingProgress(Console(file=output, width=200)) as tell:
        for step in range(first + 1, steps + 1):
            ends_epoch = step % (steps // EPOCHS) == 0
            if step % every == 0 or ends_epoch:
                tell(
                    Progress(
                        step=step,
                        steps=steps,
                        epoch=(step - 1) // (steps // EPOCHS) + 1,
                        epochs=EPOCHS,
                        loss=0.5,
                        accuracy=0.875,
                        ends_epoch=ends_epoch,
                        remaining_s=90.0,
                    )
                )
    return output.getvalue().splitlines()


def test_each_tenth_of_an_epoch_has_a_line() -> None:
    printed = lines(3000, every=10)
    assert len(printed) == 10 * EPOCHS
    assert printed[0] == (
        "step 100 of 3000, epoch 1 of 3: loss 0.500, accuracy 87.5%, 0:01:30 left"
    )
    assert printed[-1].startswith("step 3000 of 3000, epoch 3 of 3")


@pytest.mark.parametrize("steps", [3, 60, 300])
def test_each_epoch_ends_with_a_line_however_short_it_is(steps: int) -> None:
    printed = lines(steps, every=10)
    for epoch in range(1, EPOCHS + 1):
        end = f"step {epoch * steps // EPOCHS} of {steps}, epoch {epoch} of"
        assert any(line.startswith(end) for line in printed)


def test_a_training_that_goes_on_says_where() -> None:
    assert lines(3000, every=10, first=1500)[0].startswith("step 1510 of 3000, epoch 2")
