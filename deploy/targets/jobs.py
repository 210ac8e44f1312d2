"""Jobs on a device: started in a process group of their own, heard, picked up, cancelled.

A job outlives the link that started it. Its last line is in a file on the device before it is
written to the link; so a link that breaks costs a reconnection, and what was measured is picked up.
Nothing goes on there that nobody waits for: a cancelled job is killed, one past its time kills
itself, and the next lease of the same holder ends what the one before it left.
"""

from __future__ import annotations

import contextlib
import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.resources import files

from groundspeed.deploy.targets.link import Finished, Link
from groundspeed.errors import DeviceLost, DeviceRefused, LaunchError

_ANOTHER_RUNS, _LEASE_IS_OVER = 75, 76
POLL_S = 1.0
RECONNECT_S = 120.0
CANCEL_S = 20.0


@dataclass(frozen=True, kw_only=True)
class Holder:
    """Who works with a device: jobs of two holders never overlap on it.

    Attributes:
        name: one word, for people too ("anna@laptop.4c7f"); the same for all leases of a store.
        lease: number of the lease; a later one of the same holder ends the jobs of earlier ones.
    """

    name: str
    lease: int = 0


def script(name: str) -> str:
    """Return the text of one of the scripts that run on devices."""
    return files(__package__).joinpath("on_device", f"{name}.sh").read_text(encoding="utf-8")


def new_id() -> str:
    """Return a name for a job that no other has."""
    return secrets.token_hex(8)


class Jobs:
    """The jobs of one holder on one device.

    Args:
        link: the way to the device.
        holder: on whose behalf.
        reconnect_s: how long a lost device is waited for while a job of ours runs there.
    """

    def __init__(self, link: Link, holder: Holder, *, reconnect_s: float = RECONNECT_S) -> None:
        self._link = link
        self._holder = holder
        self._reconnect_s = reconnect_s
        self._folder = ""

    @property
    def folder(self) -> str:
        """Absolute path of the folder of all jobs on the device."""
        if not self._folder:
            self._folder = f"{self._link.folder}/jobs"
        return self._folder

    def prepare(self, id: str) -> str:
        """Make the folder of a job before its start, for files that it alone needs.

        What ended jobs of this holder left behind goes first, so that it never adds up.

        Returns:
            Absolute path of the folder, which stays until :meth:`cancel`.

        Raises:
            DeviceRefused: it cannot be made.
            DeviceLost: the link broke.
        """
        arguments = [self.folder, id, self._holder.name, str(self._holder.lease)]
        made = self._link.run(script("prepare"), arguments)
        if made.status != 0:
            raise DeviceRefused(
                f"{self.folder} on {self._link.name} cannot be written ({made.complaint}); "
                "free some space there"
            )
        return f"{self.folder}/{id}"

    def run(
        self,
        id: str,
        command: Sequence[str],
        document: str,
        *,
        timeout_s: float,
        on_line: Callable[[str], None],
        on_progress: Callable[[str], None],
    ) -> Finished:
        """Run a job to its end; its lines are heard once, whatever happens to the link.

        Args:
            id: from :func:`new_id`; its folder on the device stays until :meth:`cancel`.
            command: words of the agent's command line; the path of the result is added.
            document: the job, as JSON.
            timeout_s: longest time that it may take; the device ends it then.
            on_line: called with each line of its standard output.
            on_progress: called with a sentence when the link breaks.

        Raises:
            LaunchError: it took longer than it may.
            DeviceLost: the device did not come back, or its job is gone.
            DeviceRefused: somebody else's job runs there, or our lease is over.
        """
        begin = time.monotonic()
        arguments = [self.folder, id, f"{timeout_s:.0f}", self._holder.name]
        arguments += [str(self._holder.lease), *command]
        try:
            finished = self._link.run(
                script("start"),
                arguments,
                stdin=document.encode(),
                timeout_s=timeout_s + CANCEL_S,
                on_line=on_line,
            )
        except DeviceLost as lost:
            on_progress(f"{lost}; waiting for it")
            return self._pick_up(id, begin + timeout_s, lost, on_line)
        except BaseException:
            self.cancel(id)
            raise
        self._check(finished)
        return finished

    def cancel(self, id: str = "") -> None:
        """End one job, or all of this holder, and remove what they left there.

        On a device that cannot be reached any more, jobs end themselves when their time is over.
        """
        with contextlib.suppress(DeviceLost, DeviceRefused):
            self._link.run(
                script("cancel"), [self.folder, id, self._holder.name], timeout_s=CANCEL_S
            )

    def _check(self, finished: Finished) -> None:
        if finished.status == _ANOTHER_RUNS:
            raise DeviceRefused(
                f"{self._link.name} is busy with a job of {finished.complaint}; two at once would "
                "spoil both: try again when it is done"
            )
        if finished.status == _LEASE_IS_OVER:
            raise DeviceRefused(
                f"the lease of {self._link.name} ended and somebody else has it now; "
                "run the same command again to wait for the next"
            )

    def _pick_up(
        self, id: str, end: float, lost: DeviceLost, on_line: Callable[[str], None]
    ) -> Finished:
        """Wait for the device and for the job's end, and hear its last line."""
        away_since = time.monotonic()
        while True:
            try:
                state, *result = self._collect(id)
                away_since = time.monotonic()
            except DeviceLost:
                if time.monotonic() - away_since > self._reconnect_s:
                    raise DeviceLost(
                        f"{lost}; it did not come back within {self._reconnect_s:.0f} s: "
                        "connect it, and run the same command again to go on"
                    ) from lost
                time.sleep(POLL_S)
                continue
            if state == "running":
                if time.monotonic() > end + CANCEL_S:
                    self.cancel(id)
                    raise LaunchError(f"the job on {self._link.name} hung, and was ended") from lost
                time.sleep(POLL_S)
                continue
            for line in result:
                on_line(line)
            if state.startswith("ended"):
                return Finished(status=int(state.split()[1]), stdout=b"", stderr=b"")
            if result:
                return Finished(status=0, stdout=b"", stderr=b"")
            raise DeviceLost(f"{lost}; its job is gone: the device was started anew, or killed it")

    def _collect(self, id: str) -> list[str]:
        found = self._link.run(script("collect"), [self.folder, id], timeout_s=CANCEL_S)
        return found.stdout.decode(errors="replace").splitlines() or ["gone"]
