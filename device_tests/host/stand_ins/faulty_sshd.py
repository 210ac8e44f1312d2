"""A board that stands in for a real one: the real ``ssh`` connects to it, and it fails on demand.

OpenSSH's own server, which other tests use, cannot be told to lose an exit status or to break off
at a certain byte. A program of its own: ``faulty_sshd.py PORT HOST_KEY AUTHORIZED_KEYS FAULT``,
with FAULT "lose-exit", or "cut" or "freeze" once 2 MB have come in one command.
"""

from __future__ import annotations

import asyncio
import sys

import asyncssh

CHUNK = 1 << 16
BREAKS_AT_BYTES = 2_000_000


class Board:
    """Runs commands in this machine's shell."""

    def __init__(self, fault: str) -> None:
        self._fault = fault

    async def serve(self, session: asyncssh.SSHServerProcess[bytes]) -> None:
        """Run one command."""
        command = await asyncio.create_subprocess_exec(
            *("sh", "-c", session.command or "true"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        assert command.stdin is not None
        assert command.stdout is not None
        assert command.stderr is not None
        feeding = asyncio.create_task(self._feed(session, command.stdin))
        try:
            await asyncio.gather(
                _pump(command.stdout, session.stdout), _pump(command.stderr, session.stderr)
            )
            status = await command.wait()
            if self._fault == "lose-exit":
                session.close()
            else:
                session.exit(status)
        finally:
            feeding.cancel()

    async def _feed(
        self, session: asyncssh.SSHServerProcess[bytes], stdin: asyncio.StreamWriter
    ) -> None:
        came = 0
        while data := await session.stdin.read(CHUNK):
            came += len(data)
            if came > BREAKS_AT_BYTES and self._fault == "cut":
                session.channel.get_connection().abort()
                return
            if came > BREAKS_AT_BYTES and self._fault == "freeze":
                await asyncio.Event().wait()
            stdin.write(data)
            await stdin.drain()
        stdin.close()


async def _pump(source: asyncio.StreamReader, out: asyncssh.SSHWriter[bytes]) -> None:
    while data := await source.read(CHUNK):
        out.write(data)
        await out.drain()


async def main(port: int, host_key: str, authorized_keys: str, fault: str) -> None:
    """Serve until killed."""
    await asyncssh.listen(
        "127.0.0.1",
        port,
        server_host_keys=[host_key],
        authorized_client_keys=authorized_keys,
        process_factory=Board(fault).serve,
        encoding=None,
    )
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), *sys.argv[2:5]))
