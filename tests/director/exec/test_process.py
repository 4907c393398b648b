"""exec/process: the whole process, with an engine that is the test."""

import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
import trio

from director import paths
from director.drill.places import eventually
from director.exec import process
from director.exec.process import Exec, give_up_root
from director.exec.program import Identity
from director.wire.messages import Beat, Cancel, Hello, Message, Ran, Run
from tests.director.engine.talk import Talker

pytestmark = pytest.mark.trio
WITHIN = 30.0


class Engine:
    """Takes one connection after the other."""

    def __init__(self, listener: trio.SocketListener, stack: AsyncExitStack) -> None:
        self._listener = listener
        self._stack = stack

    async def meet(self) -> Talker:
        with trio.fail_after(WITHIN):
            stream = await self._listener.accept()
        talker = Talker(await self._stack.enter_async_context(stream))
        hello = await talker.hear()
        assert isinstance(hello, Hello)
        assert (hello.role, hello.pid) == ("exec", os.getpid())
        return talker


async def answer(talker: Talker) -> Message | None:
    """The next word that is no beat."""
    while isinstance(message := await talker.hear(), Beat):
        pass
    return message


@pytest.fixture
async def engine(tmp_path: Path) -> AsyncIterator[Engine]:
    sock = trio.socket.socket(trio.socket.AF_UNIX)
    await sock.bind(str(tmp_path / paths.WORKERS_SOCKET))
    sock.listen()
    async with trio.SocketListener(sock) as listener, AsyncExitStack() as stack:
        yield Engine(listener, stack)


@pytest.fixture
def start(nursery: trio.Nursery, tmp_path: Path) -> Callable[[], trio.Event]:
    def begin() -> trio.Event:
        over = trio.Event()

        async def live() -> None:
            await Exec(tmp_path, Identity()).main()
            over.set()

        nursery.start_soon(live)
        return over

    return begin


def stays(path: Path) -> tuple[str, ...]:
    """A program that says that it is there, and stays until it is told to go."""
    return "/bin/sh", "-c", f"echo $$ > {path}; while :; do sleep 0.1; done"


async def begun(path: Path) -> int:
    """Its process id, once it runs."""

    def there() -> bool:
        return path.exists() and path.read_text().endswith("\n")

    await trio.to_thread.run_sync(eventually, there, WITHIN, "the program")
    return int(await trio.Path(path).read_text())


async def test_it_runs_what_the_engine_says(
    engine: Engine, start: Callable[[], trio.Event], tmp_path: Path
) -> None:
    """Several at once, each answered by its number; one that is cancelled is answered too."""
    start()
    talker = await engine.meet()

    await talker.say(Run(1, stays(tmp_path / "one"), "", WITHIN))
    await begun(tmp_path / "one")
    await talker.say(Run(2, ("/bin/sh", "-c", "cat; exit 4"), "hello", WITHIN))

    ran = await answer(talker)
    assert isinstance(ran, Ran)
    assert (ran.id, ran.status, ran.output) == (2, 4, "hello")
    await talker.say(Cancel(77), Cancel(1))
    assert await answer(talker) == Ran(1, fault="cancelled")


async def test_too_much_at_once_is_refused(
    engine: Engine,
    start: Callable[[], trio.Event],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The engine bounds it; nothing rests on that alone."""
    monkeypatch.setattr(process, "RUNS_MAX", 1)
    start()
    talker = await engine.meet()

    await talker.say(Run(1, stays(tmp_path / "one"), "", WITHIN), Run(2, ("/bin/true",), "", 1.0))

    assert await answer(talker) == Ran(2, fault="1 programs run already")
    await talker.say(Cancel(1))


async def test_the_next_engine_waits_for_the_runs_of_the_last(
    engine: Engine,
    start: Callable[[], trio.Event],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Two runs about one object never overlap: what does not end in time is killed first."""
    monkeypatch.setattr(process, "END_WITHIN", 0.2)
    start()
    talker = await engine.meet()
    await talker.say(Run(1, stays(tmp_path / "one"), "", WITHIN))
    pid = await begun(tmp_path / "one")

    await talker.stream.aclose()
    again = await engine.meet()

    assert not await trio.Path(f"/proc/{pid}").exists()
    await again.say(Run(1, ("/bin/true",), "", WITHIN))
    ran = await answer(again)
    assert isinstance(ran, Ran)
    assert (ran.id, ran.status) == (1, 0)


async def test_at_sigterm_what_runs_may_end(
    engine: Engine, start: Callable[[], trio.Event], tmp_path: Path
) -> None:
    """The last note of a director that stops is told to its end."""
    over = start()
    talker = await engine.meet()
    go, told = tmp_path / "go", tmp_path / "told"
    script = (
        f"echo $$ > {tmp_path / 'one'}; while [ ! -e {go} ]; do sleep 0.05; done; echo > {told}"
    )
    await talker.say(Run(1, ("/bin/sh", "-c", script), "", WITHIN))
    await begun(tmp_path / "one")

    os.kill(os.getpid(), signal.SIGTERM)
    go.touch()

    with trio.fail_after(WITHIN):
        await over.wait()
    assert told.exists()


RIGHTS = """
import os, sys
from director.drill.places import eventually
from director.exec import process
process.USER = sys.argv[1]
identity = process.give_up_root()
status = open("/proc/self/status").read().splitlines()
caps = next(line.split()[1] for line in status if line.startswith("CapEff"))
new = next(line.split()[1] for line in status if line.startswith("NoNewPrivs"))
print(os.geteuid(), int(caps, 16) != 0, new, identity.user)
"""


@pytest.mark.parametrize(
    ("user", "says"),
    [("daemon", "1 False 1 None"), ("no-such-user", "0 True 1 65534")],
)
async def test_root_is_given_up(user: str, says: str) -> None:
    """For the user that there is for it; else for each program, which becomes nobody."""
    done = await trio.run_process([sys.executable, "-c", RIGHTS, user], capture_stdout=True)

    assert done.stdout.decode().strip() == says


async def test_who_is_no_root_has_nothing_to_give_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """As under systemd, where the unit has done all of it."""
    monkeypatch.setattr(os, "geteuid", lambda: 994)

    assert give_up_root() == Identity()
