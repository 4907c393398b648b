"""The asyncio end of a link between two of our processes: messages over a Unix socket."""

import asyncio
import contextlib
from pathlib import Path

from director.wire.framing import FRAME_MAX, BrokenFrame, Unframer
from director.wire.messages import Message, decode, encode

READ_SIZE = 65536


class Link:
    """Messages both ways over a stream.

    `say` never waits: a reader that lets more than FRAME_MAX bytes pile up is cut off, for its
    next connect brings the whole state anyway.
    """

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._unframer = Unframer()

    def say(self, message: Message) -> None:
        """Queue a message; on a closed link it is lost."""
        if self._writer.is_closing():
            return
        self._writer.write(encode(message))
        if self._writer.transport.get_write_buffer_size() > FRAME_MAX:
            self._writer.transport.abort()

    async def hear(self) -> list[Message] | None:
        """The next messages; None when the other side is gone or speaks another protocol."""
        try:
            data = await self._reader.read(READ_SIZE)
            if not data:
                return None
            return [decode(payload) for payload in self._unframer.feed(data)]
        except (OSError, BrokenFrame):
            return None

    async def close(self) -> None:
        """Close at once; what was not sent is lost."""
        self._writer.transport.abort()
        with contextlib.suppress(OSError):
            await self._writer.wait_closed()


async def connect(path: Path) -> Link | None:
    """A link to the socket at `path`, or None when nobody listens there."""
    try:
        return Link(*await asyncio.open_unix_connection(str(path)))
    except OSError:
        return None
