"""link: messages over a socket, and what a reader that does not read costs."""

from contextlib import aclosing
from pathlib import Path

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from director.link import QUEUE_MAX, Link, connect
from director.wire.framing import frame
from director.wire.messages import Ask, Beat, Message, TableReady, encode
from tests.director.engine.talk import WITHIN, Talker, pair

pytestmark = pytest.mark.trio


async def listen(link: Link, heard: list[Message]) -> None:
    async with aclosing(link.messages()) as messages:
        async for message in messages:
            heard.append(message)  # noqa: PERF401  (one by one, as they come)


async def test_what_is_said_is_heard_in_order() -> None:
    """Both ways at once."""
    ours, theirs = pair()
    link, other = Link(ours), Talker(theirs)
    heard: list[Message] = []

    async with trio.open_nursery() as nursery:
        nursery.start_soon(link.pump)
        nursery.start_soon(listen, link, heard)
        link.say(Beat(1.0))
        link.say(TableReady())
        await other.say(Beat(2.0), Beat(3.0))
        assert [await other.hear(), await other.hear()] == [Beat(1.0), TableReady()]
        await other.stream.aclose()

    assert heard == [Beat(2.0), Beat(3.0)]


async def test_the_end_of_the_stream_ends_everything() -> None:
    """`pump` and `messages` return by themselves, and the socket is closed."""
    ours, theirs = pair()
    link = Link(ours)

    with trio.fail_after(WITHIN):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(link.pump)
            nursery.start_soon(listen, link, [])
            await theirs.aclose()

    assert ours.socket.fileno() == -1
    link.say(TableReady())  # to nobody, and no fault


async def test_words_that_wait_leave_before_the_link_closes() -> None:
    """The other side has said its last word; what we said before still goes out."""
    ours, theirs = pair()
    link, other = Link(ours), Talker(theirs)
    await theirs.send_eof()

    async with trio.open_nursery() as nursery:
        for number in range(10):
            link.say(Beat(float(number)))
        nursery.start_soon(listen, link, [])
        nursery.start_soon(link.pump)
        heard = [await other.hear() for _ in range(11)]

    assert heard == [*(Beat(float(number)) for number in range(10)), None]
    await theirs.aclose()


async def test_a_reader_that_does_not_read_is_closed() -> None:
    """The queue is bounded: full, it costs that reader its connection, and nobody waits."""
    ours, theirs = pair()
    link = Link(ours)
    large = Ask("x" * 100_000)

    with trio.fail_after(WITHIN):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(link.pump)
            nursery.start_soon(listen, link, [])
            link.say(large)
            link.say(large)
            link.say(large)
            await wait_all_tasks_blocked()  # `pump` is stuck in the second or third
            for _ in range(QUEUE_MAX + 1):
                link.say(TableReady())

    assert ours.socket.fileno() == -1
    await theirs.aclose()


@pytest.mark.parametrize("data", [b"\xff\xff\xff\xff", frame(b"\xc1"), encode(Ask("x" * 100))])
async def test_who_breaks_the_protocol_is_no_longer_heard(data: bytes) -> None:
    """A length beyond the limit, or a frame that holds no message: the end, and no exception."""
    ours, theirs = pair()
    link = Link(ours)
    await theirs.send_all(data)

    with trio.fail_after(WITHIN):
        async with aclosing(link.messages(100)) as messages:
            assert [message async for message in messages] == []

    await ours.aclose()
    await theirs.aclose()


async def test_a_peer_that_breaks_off_ends_what_is_said(tmp_path: Path) -> None:
    """Writing to a closed socket is how a peer goes, not a fault of ours."""
    ours, theirs = pair()
    link = Link(ours)
    await theirs.aclose()
    link.say(TableReady())
    link.say(TableReady())

    with trio.fail_after(WITHIN):
        await link.pump()

    assert ours.socket.fileno() == -1


async def test_connect(tmp_path: Path) -> None:
    """A link to whoever listens, and None where nobody does."""
    path = tmp_path / "a.sock"
    assert await connect(path) is None
    door = trio.socket.socket(trio.socket.AF_UNIX, trio.socket.SOCK_STREAM)
    await door.bind(str(path))
    door.listen(1)

    link = await connect(path)
    assert link is not None
    visitor, _ = await door.accept()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(link.pump)
        link.say(TableReady())
        assert await Talker(trio.SocketStream(visitor)).hear() == TableReady()
        nursery.cancel_scope.cancel()
    visitor.close()
    door.close()
