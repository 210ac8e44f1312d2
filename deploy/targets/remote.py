"""A device over a link: files to its cache, the agent as a job, the result back."""

from __future__ import annotations

import dataclasses
import json
import tempfile
import time
from pathlib import Path, PurePosixPath
from typing import TypeVar

from groundspeed.deploy.agents.agent import Agent
from groundspeed.deploy.devices.clusters import cores
from groundspeed.deploy.devices.cooldown import cool_down
from groundspeed.deploy.devices.stability import Pace, judge
from groundspeed.deploy.devices.state import State
from groundspeed.deploy.targets.cache import MEGABYTE, Cache, copying_s
from groundspeed.deploy.targets.jobs import Holder, Jobs, new_id
from groundspeed.deploy.targets.link import Link
from groundspeed.deploy.targets.protocol import Conversation, deadline_s, death, describe
from groundspeed.deploy.targets.target import OnProgress
from groundspeed.documents import to_plain
from groundspeed.errors import DeviceLost, DeviceRefused, LaunchError, MissingExtra
from groundspeed.measurement import Answered, Job, Launch, Machine
from groundspeed.runtimes.feeds import as_npz, random_feeds

SIGKILLED = 137
PULL_S = 300.0
TRIES = 3  # of a launch on a device that goes away in the midst of it
COMES_BACK_S = 30.0
POLL_S = 1.0

T = TypeVar("T")


class RemoteTarget:
    """Runs each job in a process of its own on a device.

    Args:
        name: what the user calls the device.
        link: the way to it.
        agent: what runs there.
        state: what the device is, the same whichever agent measures.
        holder: on whose behalf; jobs of two holders never overlap on one device.
        timeout_s: longest time that a job may take; by default it follows from the job.
        cooldown_s: how long the device is waited for when the launch before had made it hot.
    """

    def __init__(
        self,
        name: str,
        link: Link,
        agent: Agent,
        *,
        state: State,
        holder: Holder,
        timeout_s: float | None = None,
        cooldown_s: float = 0.0,
    ) -> None:
        self.name = name
        self._link = link
        self._agent = agent
        self._state = state
        self._cache = Cache(link)
        self._jobs = Jobs(link, holder)
        self._timeout_s = timeout_s
        self._cooldown_s = cooldown_s
        self._was_hot = False

    def run(self, job: Job, on_progress: OnProgress | None = None) -> Launch:
        """Run one job; see ``Target.run``.

        Raises:
            DeviceLost: the device went away and did not come back.
            DeviceRefused: it will not or cannot do this.
        """
        tell = on_progress or (lambda sentence: None)
        if self._was_hot and self._cooldown_s > 0:
            cool_down(self._link, limit_s=self._cooldown_s, on_progress=tell)
        launch = self._until_done(job, Launch, tell)
        self._was_hot = judge(launch).pace is Pace.THROTTLED
        return dataclasses.replace(launch, machine=self._state.machine)

    def answer(self, job: Job, on_progress: OnProgress | None = None) -> Answered:
        """Run an "answer" job; see ``Target.answer``.

        Raises:
            DeviceLost, DeviceRefused: as in :meth:`run`.
        """
        return self._until_done(job, Answered, on_progress or (lambda sentence: None))

    def cores(self, text: str) -> tuple[int, ...]:
        """Return the CPUs that a text means; see ``Target.cores``."""
        return cores(text, self._state, self.name) if text else ()

    def facts(self) -> Machine:
        """Return what the device is; see ``Target.facts``."""
        return self._state.machine

    def close(self) -> None:
        """Give the link back."""
        self._link.close()

    def _until_done(self, job: Job, kind: type[T], tell: OnProgress) -> T:
        """Launch again what a lost device has cost."""
        if job.packages:
            raise DeviceRefused(
                f"{', '.join(job.packages)} can be run on this machine alone: {self.name} keeps "
                "the versions that it has"
            )
        for left in reversed(range(TRIES)):
            try:
                return self._launch(job, kind, tell)
            except DeviceLost as lost:
                if not left or not self._comes_back(lost, tell):
                    raise
                self._cache.forget()
            except MissingExtra as missing:
                raise DeviceRefused(
                    f"{self.name} has no engine for {job.runtime}; "
                    f"'groundspeed devices provision {self.name}' brings it ({missing})"
                ) from missing
        raise AssertionError("unreachable")

    def _comes_back(self, lost: DeviceLost, tell: OnProgress) -> bool:
        tell(f"{lost}; waiting for it")
        end = time.monotonic() + COMES_BACK_S
        while True:
            try:
                return self._link.run("true").status == 0
            except DeviceLost:
                if time.monotonic() > end:
                    return False
                time.sleep(POLL_S)

    def _launch(self, job: Job, kind: type[T], tell: OnProgress) -> T:
        limit_s = deadline_s(job) if self._timeout_s is None else self._timeout_s
        conversation = Conversation(job, tell)
        command = self._agent.command(job, self._link, self._cache, tell)
        id = new_id()
        outputs = f"{self._jobs.folder}/{id}/outputs.npz"
        try:
            there = dataclasses.replace(
                self._sent(job, id, tell),
                outputs=Path(outputs) if job.outputs is not None else None,
            )
            finished = self._jobs.run(
                id,
                command,
                json.dumps(to_plain(there)),
                timeout_s=limit_s,
                on_line=conversation.hear,
                on_progress=tell,
            )
            if not conversation.ended:
                if finished.status == SIGKILLED:
                    # The device's own limit, or its memory: what it cannot tell apart, nor can we.
                    raise LaunchError(
                        f"{describe(job)} on {self.name} was killed, after {limit_s:.0f} s at "
                        "most; it took longer than that, or the device ran out of memory"
                    )
                raise LaunchError(
                    f"{describe(job)} on {self.name} ended without a result "
                    f"({death(finished.status)}): {finished.complaint}"
                )
            answer = conversation.answer(kind)
            if job.outputs is not None:
                self._link.pull(outputs, job.outputs, timeout_s=PULL_S)
        finally:
            self._jobs.cancel(id)
        return answer

    def _sent(self, job: Job, id: str, tell: OnProgress) -> Job:
        """Return the job with the paths that its files have on the device, where they now are."""
        files = dict(job.files or {})
        inputs, alone = job.inputs, job.action == "answer"
        with tempfile.TemporaryDirectory() as folder:
            if inputs is None and self._agent.needs_inputs and job.specs:
                inputs = Path(folder, "inputs.npz")
                inputs.write_bytes(_npz(job))
            # The one sample of a measurement stays there: all launches of a run have the same.
            kept = [] if inputs is None or alone else [inputs]
            there = self._cache.ensure([*files.values(), *kept], tell)
            if inputs is not None and alone:
                there[inputs] = self._lent(inputs, id, tell)
        return dataclasses.replace(
            job,
            files={role: Path(there[path]) for role, path in files.items()} or None,
            inputs=Path(there[inputs]) if inputs is not None else None,
        )

    def _lent(self, inputs: Path, id: str, tell: OnProgress) -> PurePosixPath:
        """Put samples into the job's own folder: they are many, and no other job asks for the same.

        Whoever reads an ``.npz`` compares the checksums in it: nobody else needs to.
        """
        size = inputs.stat().st_size
        tell(f"pushing samples ({size / MEGABYTE:.1f} MB) to {self._link.name}")
        there = f"{self._jobs.prepare(id)}/inputs.npz"
        self._link.push(inputs, there, timeout_s=copying_s(size))
        return PurePosixPath(there)


def _npz(job: Job) -> bytes:
    """Return the seeded inputs that the agent in Python would make itself."""
    return as_npz(random_feeds(job.specs, job.seed))
