"""The trio end of a link between two of our processes: messages over a Unix socket."""

from collections.abc import AsyncGenerator
from pathlib import Path

import trio

from director.wire.framing import FRAME_MAX, BrokenFrame, Unframer
from director.wire.messages import Message, decode, encode

READ_SIZE = 65536
QUEUE_MAX = 1024
SEND_WITHIN = 30.0


class Link:
    """Messages both ways over a stream.

    `say` never waits: a reader that does not keep up is closed, for its next connect brings the
    whole state anyway. `pump` must run in a nursery for what was said to leave. Whoever may stop
    listening before the end wraps `messages` in `contextlib.aclosing`.
    """

    def __init__(self, stream: trio.SocketStream) -> None:
        self._stream = stream
        self._outbox, self._outgoing = trio.open_memory_channel[bytes](QUEUE_MAX)

    def say(self, message: Message) -> None:
        """Queue a message; a full queue closes the link (levels heal it after reconnecting)."""
        try:
            self._outbox.send_nowait(encode(message))
        except trio.WouldBlock:
            # The socket too: `pump` waits for a reader that does not read, `messages` for a word.
            self._outbox.close()
            self._stream.socket.close()
        except trio.ClosedResourceError:
            return

    async def send(self, message: Message) -> None:
        """Write a message and wait until it is with the kernel. Not beside `say` and `pump`.

        For conversations in which nothing is to be gathered for a slow reader: he waits for us and
        we for him. Raises trio.BrokenResourceError, also when he takes nothing for SEND_WITHIN.
        """
        with trio.move_on_after(SEND_WITHIN) as waiting:
            await self._stream.send_all(encode(message))
        if waiting.cancelled_caught:
            self._stream.socket.close()
            raise trio.BrokenResourceError(f"nothing was read for {SEND_WITHIN:g} s")

    async def pump(self) -> None:
        """Write what was said, until the link closes."""
        async with self._stream:
            try:
                async for data in self._outgoing:
                    await self._stream.send_all(data)
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                return

    async def messages(self, limit: int = FRAME_MAX) -> AsyncGenerator[Message, None]:
        """What the other side says, until it closes or breaks the protocol (`limit`: of bytes)."""
        unframer = Unframer(limit)
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
