"""The other end of a link, for tests: a socket pair, and frames by hand."""

from collections.abc import Awaitable, Callable

import trio

from director.wire.framing import Unframer
from director.wire.messages import Message, decode, encode

WITHIN = 10.0
Converse = Callable[[trio.SocketStream], Awaitable[None]]


def pair() -> tuple[trio.SocketStream, trio.SocketStream]:
    left, right = trio.socket.socketpair()
    return trio.SocketStream(left), trio.SocketStream(right)


class Talker:
    """Says and hears messages."""

    def __init__(self, stream: trio.SocketStream) -> None:
        self.stream = stream
        self._unframer = Unframer()
        self._heard: list[Message] = []

    async def say(self, *messages: Message) -> None:
        await self.stream.send_all(b"".join(map(encode, messages)))

    async def hear(self) -> Message | None:
        """The next message; None at the end of the conversation."""
        with trio.fail_after(WITHIN):
            while not self._heard:
                try:
                    data = await self.stream.receive_some(65536)
                except trio.BrokenResourceError:  # it closed with our words unread
                    return None
                if not data:
                    return None
                self._heard += [decode(payload) for payload in self._unframer.feed(data)]
        return self._heard.pop(0)


def call(nursery: trio.Nursery, converse: Converse) -> Talker:
    """Start a conversation, as a door does."""
    ours, theirs = pair()

    async def answer() -> None:
        async with theirs:
            await converse(theirs)

    async def hold() -> None:
        async with ours:
            await trio.sleep_forever()

    nursery.start_soon(answer)
    nursery.start_soon(hold)
    return Talker(ours)
