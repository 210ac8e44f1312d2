"""A file that answers samples on a device: many in each launch, for a launch takes its time."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from groundspeed.artifact import Artifact
from groundspeed.deploy.contestants import Ends, Floats
from groundspeed.deploy.isolation import IsolatedSession
from groundspeed.deploy.targets.target import Target
from groundspeed.measurement import Job, Options
from groundspeed.runtimes.feeds import as_npz, read_feeds

# Of one launch, samples and answers together: small devices hold it several times in memory.
LAUNCH_BYTES = 32_000_000
# The time that a launch may take grows with them: one that hangs must not cost hours.
LAUNCH_SAMPLES = 256


class FileOnDevice:
    """A file on its own runtime, on a device.

    What it takes and gives is found out on this machine, where damage costs no time.

    Args:
        name: what to call it.
        artifact: the file.
        target: the device.
        threads: threads that its runtime may compute with.
        cpus: CPUs to stay on; empty leaves it to the system.
        on_progress: called with what the device says meanwhile.

    Raises:
        InputError: it has several inputs.
        GroundspeedError: it cannot be opened.
    """

    def __init__(
        self,
        name: str,
        artifact: Artifact,
        target: Target,
        *,
        threads: int = 1,
        cpus: tuple[int, ...] = (),
        on_progress: Callable[[str], None] = lambda sentence: None,
    ) -> None:
        self.name = name
        self._artifact = artifact
        self._target = target
        self._tell = on_progress
        precision = artifact.manifest.precision
        self._options = Options(threads=threads, cpus=cpus, precision=precision)
        with IsolatedSession(name, artifact, Options(precision=precision)) as session:
            self._ends = Ends(name, artifact, session)
        self._samples: Floats = np.empty((0,), np.float32)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of its one input, batch included, channels first."""
        return self._ends.shape

    @property
    def at_once(self) -> int:
        """How many samples one launch answers, whole batches of them."""
        batch = self.shape[0]
        batches = min(LAUNCH_BYTES // self._ends.batch_bytes, LAUNCH_SAMPLES // batch)
        return batch * max(batches, 1)

    def ask(self, samples: Floats) -> None:
        """Keep the samples: a device has one launch at a time; see ``Contestant.ask``."""
        self._samples = samples

    def answers(self) -> list[Floats]:
        """Return the outputs; see ``Contestant.answers``.

        Raises:
            DeviceLost, DeviceRefused: the device went away, or will not do it.
            GroundspeedError: as there.
        """
        starts = range(0, len(self._samples), self.at_once)
        found = [self._launched(self._samples[start:][: self.at_once]) for start in starts]
        return [np.concatenate(each) for each in zip(*found, strict=True)]

    def close(self) -> None:
        """Nothing is held."""

    def _launched(self, samples: Floats) -> list[Floats]:
        feeds = self._ends.feeds(samples)
        stacked = {name: np.stack([each[name] for each in feeds]) for name in feeds[0]}
        with tempfile.TemporaryDirectory() as folder:
            inputs, outputs = Path(folder, "inputs.npz"), Path(folder, "outputs.npz")
            inputs.write_bytes(as_npz(stacked))
            job = Job(
                action="answer",
                runtime=self._artifact.manifest.runtime,
                files={role: path.resolve() for role, path in self._artifact.paths.items()},
                options=self._options,
                min_samples=len(feeds),
                max_samples=len(feeds),
                specs=self._artifact.manifest.inputs,
                inputs=inputs,
                outputs=outputs,
            )
            self._target.answer(job, self._tell)
            answers = read_feeds(outputs)
        batches = [
            {name: array[index] for name, array in answers.items()} for index in range(len(feeds))
        ]
        return self._ends.answers(batches, len(samples))
