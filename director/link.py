"""The trio end of a link between two of our processes: messages over a Unix socket."""

from collections.abc import AsyncIterator
from pathlib import Path

import trio

from director.wire.framing import BrokenFrame, Unframer
from director.wire.messages import Message, decode, encode

READ_SIZE = 65536
QUEUE_MAX = 1024


class Link:
    """Messages both ways over a stream.

    `say` never waits: a reader that does not keep up is closed, for its next connect brings the
    whole state anyway. `pump` must run in a nursery for what was said to leave.
    """

    def __init__(self, stream: trio.SocketStream) -> None:
        self._stream = stream
        self._outbox, self._outgoing = trio.open_memory_channel[bytes](QUEUE_MAX)

    def say(self, message: Message) -> None:
        """Queue a message; a full queue closes the link (levels heal it after reconnecting)."""
        try:
            self._outbox.send_nowait(encode(message))
        except (trio.WouldBlock, trio.ClosedResourceError):
            self._outbox.close()

    async def pump(self) -> None:
        """Write what was said, until the link closes."""
        async with self._stream:
            try:
                async for data in self._outgoing:
                    await self._stream.send_all(data)
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                return

    async def messages(self) -> AsyncIterator[Message]:
        """What the other side says, until it closes or breaks the protocol."""
        unframer = Unframer()
        try:
            while data := await self._stream.receive_some(READ_SIZE):
                for payload in unframer.feed(data):
                    yield decode(payload)
        except (trio.BrokenResourceError, trio.ClosedResourceError, BrokenFrame):
            return
        finally:
            self._outbox.close()


async def connect(path: Path) -> Link | None:
    """A link to the socket at `path`, or None when nobody listens there."""
    sock = trio.socket.socket(trio.socket.AF_UNIX, trio.socket.SOCK_STREAM)
    try:
        await sock.connect(str(path))
    except OSError:
        sock.close()
        return None
    return Link(trio.SocketStream(sock))
