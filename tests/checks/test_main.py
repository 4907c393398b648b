"""The worker as a process: what it says first, how it ends."""

import asyncio
import signal
import sys
import tempfile
from pathlib import Path

import pytest

from checks.__main__ import KEPT_MAX, Room, find_room, main, parser
from director.errors import Exit
from director.model.address import Endpoint
from director.model.check import Target, TcpCheck
from director.paths import WORKERS_SOCKET
from director.wire.framing import Unframer
from director.wire.messages import Hello, Levels, Message, Targets, decode, encode

PATIENCE = 20.0


async def _hear(reader: asyncio.StreamReader, kind: type[Message]) -> Message:
    """The first message of a kind; what comes before it, or with it, is dropped."""
    unframer = Unframer()
    while data := await reader.read(65536):
        for payload in unframer.feed(data):
            message = decode(payload)
            if isinstance(message, kind):
                return message
    pytest.fail(f"the worker hung up before {kind.__name__}")


async def _started_and_terminated(runtime: Path) -> tuple[int | None, str]:
    """Run the program against an engine of ours, SIGTERM it, and give status and complaints."""
    met: asyncio.Future[tuple[asyncio.StreamReader, asyncio.StreamWriter]]
    met = asyncio.get_running_loop().create_future()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        met.set_result((reader, writer))

    server = await asyncio.start_unix_server(serve, runtime / WORKERS_SOCKET)
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-W", "error", "-m", "checks",
        "--runtime", str(runtime), "--name", "w",
        stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        async with asyncio.timeout(PATIENCE):
            reader, writer = await met
            hello = await _hear(reader, Hello)
            assert hello == Hello(role="checks", name="w", pid=process.pid)
            targets = [Target(key, Endpoint("127.0.0.1", 1), TcpCheck()) for key in "ab"]
            writer.write(encode(Targets(1, tuple(targets))))
            await _hear(reader, Levels)
            process.send_signal(signal.SIGTERM)
            _, complaints = await process.communicate()
            writer.close()
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()
        server.close()
        await server.wait_closed()
    return process.returncode, complaints.decode()


def test_sigterm_ends_the_process_with_0() -> None:
    """
    The whole program says Hello, probes, and ends without a complaint.
    """
    with tempfile.TemporaryDirectory(prefix="checks") as runtime:
        status, complaints = asyncio.run(_started_and_terminated(Path(runtime)))

    assert complaints.splitlines() == ["INFO list 1: 2 targets, 2 new, 0 gone"]
    assert status == Exit.DONE


def test_wrong_usage_is_64(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["--nonsense"])

    assert caught.value.code == Exit.USAGE
    assert "--nonsense" in capsys.readouterr().err


def test_the_command_line() -> None:
    args = parser().parse_args(["--runtime", "/run/x", "--name", "3"])

    assert (args.runtime, args.name) == (Path("/run/x"), "3")


ROOMS = {
    -1: Room(4000, KEPT_MAX),
    1 << 20: Room(4000, KEPT_MAX),
    5064: Room(4000, 1000),
    1064: Room(1000, 0),
    80: Room(16, 0),
}


@pytest.mark.parametrize(("hard", "room"), ROOMS.items())
def test_room_is_what_the_descriptors_allow(
    hard: int, room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    raised = []
    monkeypatch.setattr("resource.getrlimit", lambda _which: (20, hard))
    monkeypatch.setattr("resource.setrlimit", lambda _which, limits: raised.append(limits))

    assert find_room(4000) == room
    assert raised == [(hard, hard)]


def test_too_few_descriptors_is_71(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("resource.getrlimit", lambda _which: (20, 70))
    monkeypatch.setattr("resource.setrlimit", lambda _which, _limits: None)

    assert main([]) == Exit.SYSTEM
    assert "mend: give LimitNOFILE=" in capsys.readouterr().err


def test_a_bug_is_70(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """
    It ends with a status of its own and its traceback, so that the supervisor starts anew.
    """

    async def broken(_path: Path, _name: str, _room: Room) -> None:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr("checks.__main__.run", broken)
    monkeypatch.setattr("checks.__main__.find_room", lambda: Room(100, 0))

    assert main([]) == Exit.BUG
    assert "ZeroDivisionError: a bug" in capsys.readouterr().err
