"""engine/doors: who may listen where, and who may knock."""

import os
import socket
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from director.engine.doors import open_door, serve
from director.errors import Exit, SystemLacks

pytestmark = pytest.mark.trio
NOBODYS_GROUP = "no-such-group-here"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "view.sock"


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def is_socket(path: Path) -> bool:
    return path.is_socket()


@pytest.fixture
def deaf(path: Path) -> Iterator[socket.socket]:
    """Somebody who listens and never answers, and whose backlog is full."""
    with (
        socket.socket(socket.AF_UNIX) as listener,
        socket.socket(socket.AF_UNIX) as first,
        socket.socket(socket.AF_UNIX) as second,
    ):
        listener.bind(str(path))
        listener.listen(0)
        for visitor in (first, second):
            visitor.settimeout(0)
            try:
                visitor.connect(str(path))
            except BlockingIOError:
                break
        yield listener


async def test_a_door_is_for_its_owner_and_group(path: Path) -> None:
    """0660 whatever the umask; and the umask is as it was."""
    before = os.umask(0o000)
    try:
        async with await open_door(path, NOBODYS_GROUP):
            assert mode_of(path) == 0o660
        assert os.umask(0o000) == 0o000
    finally:
        os.umask(before)


async def test_the_group_is_handed_the_door(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its id is looked up by name; the owner stays."""
    handed: list[tuple[Path, int, int]] = []
    monkeypatch.setattr("os.chown", lambda *args: handed.append(args))

    async with await open_door(path, "root"):
        assert handed == [(path, -1, 0)]


async def test_who_may_not_hand_over_keeps_the_door(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Less access, never more, and no fault."""

    def denied(*_args: object) -> None:
        raise PermissionError

    monkeypatch.setattr("os.chown", denied)

    async with await open_door(path, "root"):
        assert mode_of(path) == 0o660


async def test_a_socket_that_nobody_listens_at_is_replaced(path: Path) -> None:
    """An engine that was killed leaves its files."""
    with socket.socket(socket.AF_UNIX) as old:
        old.bind(str(path))

    async with await open_door(path, NOBODYS_GROUP):
        visitor = await trio.open_unix_socket(path)
        await visitor.aclose()


async def test_a_second_engine_is_refused(path: Path) -> None:
    """71, and the first one goes on."""
    async with await open_door(path, NOBODYS_GROUP) as first:
        with pytest.raises(SystemLacks, match="another engine") as refusal:
            await open_door(path, NOBODYS_GROUP)

        assert refusal.value.status == Exit.SYSTEM
        visitor = await trio.open_unix_socket(path)
        async with visitor, await first.accept():
            pass


async def test_an_engine_that_hangs_is_an_engine(path: Path, deaf: socket.socket) -> None:
    """Its backlog is full: asking does not wait, and its door is not taken."""
    with trio.fail_after(5), pytest.raises(SystemLacks, match="another engine"):
        await open_door(path, NOBODYS_GROUP)

    assert is_socket(path)


@pytest.fixture(params=["file", "folder"])
def precious(request: pytest.FixtureRequest, path: Path) -> Iterator[Path]:
    """Something in the way, which must be there afterwards."""
    if request.param == "file":
        path.write_text("precious")
    else:
        path.mkdir()
    yield path
    assert path.is_dir() or path.read_text() == "precious"


async def test_what_is_no_socket_is_not_removed(precious: Path) -> None:
    """Whatever lies there is somebody's."""
    with pytest.raises(SystemLacks, match="Address already in use"):
        await open_door(precious, NOBODYS_GROUP)


NOWHERE = {
    "no folder": ("gone/view.sock", "No such file or directory"),
    "a path too long": ("x" * 200, "path too long"),
}


@pytest.mark.parametrize(("name", "fault"), NOWHERE.values(), ids=NOWHERE)
async def test_where_nobody_can_listen(tmp_path: Path, name: str, fault: str) -> None:
    """The fault is the system's own word."""
    with pytest.raises(SystemLacks, match=fault):
        await open_door(tmp_path / name, NOBODYS_GROUP)


async def test_every_visitor_is_answered(nursery: trio.Nursery, path: Path) -> None:
    """Two at a time; the one who is slow does not keep the other."""
    listener = await open_door(path, NOBODYS_GROUP)

    async def echo(stream: trio.SocketStream) -> None:
        await stream.send_all(await stream.receive_some(100))

    nursery.start_soon(serve, listener, echo)
    async with await trio.open_unix_socket(path) as slow, await trio.open_unix_socket(path) as fast:
        await wait_all_tasks_blocked()
        await fast.send_all(b"fast")
        assert await fast.receive_some(100) == b"fast"
        assert await fast.receive_some(100) == b""
        await slow.send_all(b"slow")
        assert await slow.receive_some(100) == b"slow"
