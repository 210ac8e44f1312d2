"""What a run says while it goes on: a bar on a terminal, a line for each big step elsewhere."""

from __future__ import annotations

import copy
from datetime import timedelta
from types import TracebackType
from typing import TYPE_CHECKING, Self

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from groundspeed.deploy import events

if TYPE_CHECKING:
    from groundspeed.models import train


class _Bar:
    """A bar on a terminal, while the block lasts."""

    _lane = ""  # before all words

    def __init__(self, console: Console) -> None:
        self._console = console
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=20),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._task = self._progress.add_task("", total=None)

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._progress.stop()

    def say(self, words: str) -> None:
        """Show what is being done, without a bar."""
        self.describe(words)
        if not self._console.is_terminal:
            self._print(escape(words))

    def describe(self, words: str) -> None:
        """Show a small step beside the bar; where there is none, it is not worth a line."""
        self._progress.update(self._task, description=escape(self._lane + words))

    def _print(self, markup: str) -> None:
        self._console.print(escape(self._lane) + markup)


class CountProgress(_Bar):
    """Shows how much of some work is done; call it with the work, what is done, and the total."""

    def __call__(self, work: str, done: int, total: int) -> None:
        """Show one more step."""
        if done == 0:
            self.say(work)
        self._progress.update(self._task, completed=done, total=total)


class TrainingProgress(_Bar):
    """Renders a training: a bar on a terminal, or elsewhere a line for each tenth of an epoch."""

    _tenths = 0  # that have a line

    def __call__(self, progress: train.Progress) -> None:
        """Show where it is."""
        words = (
            f"epoch {progress.epoch} of {progress.epochs}: loss {progress.loss:.3f}, "
            f"accuracy {progress.accuracy:.1%}, "
            f"{timedelta(seconds=round(progress.remaining_s))} left"
        )
        self._progress.update(
            self._task, description=words, completed=progress.step, total=progress.steps
        )
        tenths = 10 * progress.epochs * progress.step // progress.steps
        if tenths > self._tenths and not self._console.is_terminal:
            self._console.print(f"step {progress.step} of {progress.steps}, {words}")
        self._tenths = tenths


class RunProgress(_Bar):
    """Renders a run's events on standard error; call it with each event."""

    def lane(self, name: str) -> Self:
        """Return the same for one of several devices: a bar of its own, its name before words."""
        lane = copy.copy(self)
        lane._lane = f"{name}: "
        lane._task = self._progress.add_task(escape(lane._lane), total=None)
        return lane

    def __call__(self, event: events.Event) -> None:
        """Show an event."""
        match event:
            case events.RunStarted(done=done) if done:
                self._print(f"going on after {done} launches that are stored already")
            case events.Exporting(cell=cell):
                verb = "keeping" if cell.artifact_id else "exporting"
                self.say(f"{verb} {cell.network.name} for {cell.runtime}, {cell.precision}")
            case events.Exported(cell=cell, error=str(error)):
                self._print(
                    f"[red]no file for {cell.runtime}, {cell.precision}:[/red] {escape(error)}"
                )
            case events.RoundStarted(round=round, cells=cells, action=action):
                kind = "profiled launches" if action == "profile" else "launches"
                self.say(f"round {round + 1} of {kind}")
                self._progress.reset(self._task, total=cells)
            case events.Launching(cell=cell, action=action):
                verb = "profiling" if action == "profile" else "measuring"
                self.describe(f"{verb} {cell}")
            case events.Launched(cell=cell, stored=stored):
                self._progress.advance(self._task)
                if stored.error is not None:
                    self._print(f"[red]{escape(str(cell))}:[/red] {escape(stored.error)}")
            case events.Evaluating(cell=cell, done=done, total=total):
                if done == 0:
                    self.say(f"evaluating {cell.network.name} in {cell.runtime}, {cell.precision}")
                self._progress.update(self._task, completed=done, total=total)
            case events.Evaluated(cell=cell, stored=stored) if stored.error is not None:
                self._print(f"[red]{escape(str(cell))}:[/red] {escape(stored.error)}")
            case events.RunFinished(stopped=stopped):
                self.say(f"done: {stopped.value}")
            case _:
                pass
