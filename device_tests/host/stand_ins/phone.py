"""A phone that stands in for a real one: the real ``adb`` connects to it, and it fails on demand.

Its shell and its files are this machine's. Android's own adbd, which is in the emulated phone,
cannot be told to lose an exit status or to forget a key.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import secrets
import socket
import threading
from types import TracebackType
from typing import Self

from device_tests.host.stand_ins.adb_wire import MOST_BYTES, VERSION, Packet, Stream, Wire
from device_tests.host.stand_ins.phone_services import old_shell, shell, sync

SIGNATURE, PUBLIC_KEY = 2, 3
# What listens below 5586 is taken for an emulator by every adb server. No port is used twice, for
# the server remembers phones for a while.
_ports = itertools.count(5586 + os.getpid() % 1000 * 20)


class Phone:
    """A phone in the network; a context manager.

    Args:
        asks: whether its owner must accept a machine's key first.
        old: whether it is one before Android 7.

    Attributes:
        accepts: set when the owner accepts; a phone that has accepted trusts any key.
        cut_after: bytes that come, or go, until the connection breaks once.
        freeze_after: the same until it stands still; :meth:`thaw` ends that.
        loses_exit: whether the exit status of the next shell is lost, with the connection.
    """

    def __init__(self, *, asks: bool = False, old: bool = False) -> None:
        self.accepts = threading.Event()
        if not asks:
            self.accepts.set()
        self._features = "cmd" if old else "shell_v2,cmd"
        self.cut_after: int | None = None
        self.freeze_after: int | None = None
        self.loses_exit = False
        self._thawed = threading.Event()
        self._thawed.set()
        self._connections: list[socket.socket] = []
        self._listening = _listen()
        self.port: int = self._listening.getsockname()[1]

    @property
    def serial(self) -> str:
        """Its serial for adb."""
        return f"127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.thaw()
        with contextlib.suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)  # wakes who accepts
        self._listening.close()
        self.cut()

    def cut(self) -> None:
        """Break all connections."""
        for connection in self._connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def freeze(self) -> None:
        """Stand still: hear and say nothing more, connections open."""
        self._thawed.clear()

    def thaw(self) -> None:
        """Go on."""
        self._thawed.set()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            self._connections.append(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        streams: dict[int, Stream] = {}
        with connection, contextlib.suppress(EOFError):
            wire = Wire(connection, self._count, self._count)
            self._greet(wire)
            numbers = itertools.count(1)
            try:
                while True:
                    packet = wire.receive()
                    if packet.command == b"OPEN":
                        number = next(numbers)
                        streams[number] = Stream(wire, number, packet.first)
                        self._open(wire, number, streams[number], packet)
                    elif (stream := streams.get(packet.second)) is not None:
                        _deliver(stream, packet)
            finally:
                for stream in streams.values():
                    stream.end()

    def _greet(self, wire: Wire) -> None:
        assert wire.receive().command == b"CNXN"
        if not self.accepts.is_set():
            wire.send(b"AUTH", 1, 0, secrets.token_bytes(20))
            while (answer := wire.receive()).first != PUBLIC_KEY:
                assert answer.first == SIGNATURE
                wire.send(b"AUTH", 1, 0, secrets.token_bytes(20))  # of no key that we know
            self.accepts.wait()
        banner = f"device::ro.product.model=Stand_in;features={self._features}"
        wire.send(b"CNXN", VERSION, MOST_BYTES, banner.encode())

    def _open(self, wire: Wire, number: int, stream: Stream, packet: Packet) -> None:
        service, _, command = packet.data.rstrip(b"\0").decode().partition(":")
        wire.send(b"OKAY", number, packet.first)

        def serve() -> None:
            with contextlib.suppress(EOFError):
                if service == "sync":
                    sync(stream)
                elif service == "shell,v2,raw":
                    shell(stream, command, tell_exit=self._tells_exit)
                elif service == "shell":
                    old_shell(stream, command)
                stream.close()

        threading.Thread(target=serve, daemon=True).start()

    def _tells_exit(self) -> bool:
        if self.loses_exit:
            self.loses_exit = False
            self.cut()
            return False
        return True

    def _count(self, size: int) -> None:
        """Fail when so many bytes have come and gone."""
        if self.cut_after is not None:
            self.cut_after -= size
            if self.cut_after < 0:
                self.cut_after = None
                self.cut()
        if self.freeze_after is not None:
            self.freeze_after -= size
            if self.freeze_after < 0:
                self.freeze_after = None
                self.freeze()
        self._thawed.wait()


def _deliver(stream: Stream, packet: Packet) -> None:
    if packet.command == b"WRTE":
        stream.take(packet.data)
    elif packet.command == b"OKAY":
        stream.acknowledge()
    elif packet.command == b"CLSE":
        stream.end()


def _listen() -> socket.socket:
    """Return a socket that listens at a port that is free and new."""
    for port in _ports:
        try:
            return socket.create_server(("127.0.0.1", port))
        except OSError:
            continue
    raise AssertionError("there is always a next port")
