"""What goes over the wire between an adb server and a phone: packets, and streams of them.

https://android.googlesource.com/platform/packages/modules/adb (protocol.txt)
"""

from __future__ import annotations

import queue
import socket
import struct
import threading
from collections.abc import Callable
from typing import NamedTuple

VERSION = 0x01000001  # from this one on, packets carry no checksum
MOST_BYTES = 256 * 1024


class Packet(NamedTuple):
    """One message: a command of four letters, two numbers, and what it carries."""

    command: bytes
    first: int
    second: int
    data: bytes


class Wire:
    """Sends and receives packets on a connection.

    Args:
        connection: the server's, accepted.
        received: called with the number of bytes of each packet that came, before it is handled.
        sent: the same for what goes out.
    """

    def __init__(
        self,
        connection: socket.socket,
        received: Callable[[int], None],
        sent: Callable[[int], None],
    ) -> None:
        self._connection = connection
        self._received = received
        self._sent = sent
        self._writing = threading.Lock()

    def receive(self) -> Packet:
        """Wait for the next packet.

        Raises:
            EOFError: there comes no more.
        """
        head = self._exactly(24)
        command, first, second, size, _, magic = struct.unpack("<4s5I", head)
        assert magic == int.from_bytes(command, "little") ^ 0xFFFFFFFF, "not adb's protocol"
        packet = Packet(command, first, second, self._exactly(size))
        self._received(size)
        return packet

    def send(self, command: bytes, first: int, second: int, data: bytes = b"") -> None:
        """Send a packet; with a checksum, for what comes before both sides' versions are known."""
        self._sent(len(data))
        magic = int.from_bytes(command, "little") ^ 0xFFFFFFFF
        checksum = sum(data) if command in (b"CNXN", b"AUTH") else 0
        head = struct.pack("<4s5I", command, first, second, len(data), checksum, magic)
        try:
            with self._writing:
                self._connection.sendall(head + data)
        except OSError as error:
            raise EOFError from error

    def _exactly(self, count: int) -> bytes:
        data = bytearray()
        while len(data) < count:
            try:
                some = self._connection.recv(count - len(data))
            except OSError as error:
                raise EOFError from error
            if not some:
                raise EOFError
            data += some
        return bytes(data)


class Stream:
    """One of the streams that share a wire, as the phone sees it."""

    def __init__(self, wire: Wire, ours: int, theirs: int) -> None:
        self._wire = wire
        self._ours = ours
        self._theirs = theirs
        self._came: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        self._held = bytearray()
        self._may_send = threading.Semaphore(1)
        self._closed = False

    def take(self, data: bytes) -> None:
        """Take what the server wrote."""
        self._came.put(data)

    def acknowledge(self) -> None:
        """Take the server's word that it has what we wrote."""
        self._may_send.release()

    def end(self) -> None:
        """Take the server's word, or the wire's end, that there comes nothing more."""
        self._closed = True
        self._came.put(b"")
        self._may_send.release()

    def some(self) -> bytes:
        """Read what comes next.

        Raises:
            EOFError: nothing comes any more.
        """
        if self._held:
            data, self._held = bytes(self._held), bytearray()
            return data
        data = self._came.get()
        if not data:
            self._came.put(b"")  # for whoever asks again
            raise EOFError
        self._wire.send(b"OKAY", self._ours, self._theirs)
        return data

    def exactly(self, count: int) -> bytes:
        """Read so many bytes.

        Raises:
            EOFError: so many do not come.
        """
        data = bytearray()
        while len(data) < count:
            data += self.some()
        self._held = data[count:] + self._held
        return bytes(data[:count])

    def write(self, data: bytes) -> None:
        """Write, a piece after each acknowledgement.

        Raises:
            EOFError: nobody listens any more.
        """
        for start in range(0, len(data), MOST_BYTES):
            self._may_send.acquire()
            if self._closed:
                raise EOFError
            piece = data[start : start + MOST_BYTES]
            self._wire.send(b"WRTE", self._ours, self._theirs, piece)

    def close(self) -> None:
        """Say that nothing more comes from us, when what was written has arrived."""
        self._may_send.acquire()
        if not self._closed:
            self._wire.send(b"CLSE", self._ours, self._theirs)
