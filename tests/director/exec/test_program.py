"""exec/program: real programs, their ends and their deadlines."""

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import trio

from director.drill.places import eventually
from director.exec import program
from director.exec.program import KEPT, LINE_MAX, Identity, Programs, Tail, be_reaper
from director.wire.messages import Ran, Run

pytestmark = pytest.mark.trio
LONG = 60.0  # seconds: a deadline that a test does not wait for
# Says its process id into the file of its first argument and waits for ever.
LINGER = "import os, sys, signal; {before}; open(sys.argv[1], 'w').write(str(os.getpid())); {then}"


def lingering(path: Path, *, before: str = "pass", then: str = "signal.pause()") -> tuple[str, ...]:
    return sys.executable, "-c", LINGER.format(before=before, then=then), str(path)


async def ended(*argv: str, stdin: str = "", within: float = LONG) -> Ran:
    with trio.fail_after(LONG):
        return await Programs(Identity()).run(Run(3, argv, stdin, within))


async def until(reached: Callable[[], bool], what: str) -> None:
    await trio.to_thread.run_sync(eventually, reached, 20.0, what)


@pytest.fixture
def reaper() -> Iterator[None]:
    """This process adopts who loses his parent, for the length of a test."""
    be_reaper()
    yield
    be_reaper(on=False)


def pid_in(path: Path) -> int:
    return int(path.read_text())


def written(path: Path) -> bool:
    return path.exists() and bool(path.read_text())


def alive(pid: int) -> bool:
    """Does it run? One that nobody has taken leave of yet does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


ENDS = {
    # what is run                                     status  signal  last line
    "exit 0":                                         (0,     0,      ""),
    "exit 3":                                         (3,     0,      ""),
    "echo one; echo two >&2; exit 1":                 (1,     0,      "two"),
    "echo said; echo; echo '  '":                     (0,     0,      "said"),
    "kill -9 $$":                                     (None,  9,      ""),
    "cat":                                            (0,     0,      '{"kind": "role.active"}'),
    "printf '\\033[31mred'":                          (0,     0,      "?[31mred"),
    "pwd":                                            (0,     0,      "/"),
}  # fmt: skip


@pytest.mark.parametrize(("text", "end"), ENDS.items(), ids=ENDS)
async def test_how_a_program_ended(text: str, end: tuple[int | None, int, str]) -> None:
    """Exit status, signal, and the last line of what it said, harmless to a terminal."""
    ran = await ended("/bin/sh", "-c", text, stdin='{"kind": "role.active"}\n')

    assert (ran.status, ran.signal, ran.output) == end
    assert (ran.id, ran.fault, ran.well) == (3, "", end[0] == 0)


async def test_the_environment_is_ours() -> None:
    """Nothing of the process's own reaches a program."""
    script = "import os; print(sorted(os.environ))"

    ran = await ended(sys.executable, "-c", script)

    assert ran.output == "['DIRECTOR_RUN', 'LANG', 'PATH']"


@pytest.mark.parametrize("argv", [("/nowhere/at/all",), ("/etc/passwd",), ("a\0b",)])
async def test_what_cannot_be_started_is_a_value(argv: tuple[str, ...]) -> None:
    """No such file, no program, no name at all."""
    ran = await ended(*argv)

    assert ran.fault.startswith("cannot be started: ")
    assert ran.status is None


async def test_a_program_that_does_not_read_or_says_too_much_ends_all_the_same() -> None:
    """No pipe blocks it or us, and no more than the tail is kept."""
    script = f"import os; os.write(1, b'x' * {KEPT * 64} + b'\\nend\\n')"

    ran = await ended(sys.executable, "-c", script, stdin="y" * (1 << 20))

    assert (ran.status, ran.output) == (0, "end")


async def test_a_tail_is_bounded() -> None:
    """Whatever the pieces, the last bytes alone are kept, and a line has an end."""
    tail = Tail()
    for _ in range(100):
        tail.add(b"z" * 1000)

    assert tail.last_line() == "z" * LINE_MAX
    assert len(tail._kept) == KEPT


async def test_the_deadline_ends_the_whole_group(
    reaper: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SIGTERM, and for those who do not listen SIGKILL; a child of the program as well."""
    monkeypatch.setattr(program, "KILL_AFTER", 0.1)
    child, parent = tmp_path / "child", tmp_path / "parent"
    deaf = "signal.signal(signal.SIGTERM, signal.SIG_IGN)"
    forks = (
        f"{deaf}; os.fork() or (open({str(child)!r}, 'w').write(str(os.getpid())), signal.pause())"
    )

    ran = await ended(*lingering(parent, before=forks), within=1.0)

    assert ran.fault == "no end within 1 s"
    assert (ran.status, ran.signal, ran.well) == (None, 0, False)
    assert [alive(pid_in(path)) for path in (child, parent)] == [False, False]


async def test_sigterm_comes_first(tmp_path: Path) -> None:
    """A program may put its things in order at the deadline; it has failed all the same."""
    script = "trap 'echo in order; exit 0' TERM; echo begun; while :; do read x; done"

    ran = await ended("/bin/sh", "-c", script, within=0.5)

    assert (ran.fault, ran.output) == ("no end within 0.5 s", "in order")


@pytest.mark.parametrize("moves", ["pass", "os.setsid()"])
async def test_nothing_is_left_of_a_program_that_ended(
    reaper: None, tmp_path: Path, moves: str
) -> None:
    """A child in the background goes with it, also one that made a session of its own."""
    child = tmp_path / "child"
    script = (
        f"import os, signal, time\nif os.fork() == 0:\n    {moves}\n"
        f"    open({str(child)!r}, 'w').write(str(os.getpid()))\n    signal.pause()\n"
        f"while not os.path.exists({str(child)!r}) or not os.path.getsize({str(child)!r}):\n"
        "    time.sleep(0.01)\n"
    )

    ran = await ended(sys.executable, "-c", script)

    assert ran.status == 0
    await until(lambda: not alive(pid_in(child)), "the end of the child")


async def test_a_sweep_leaves_what_still_runs(
    reaper: None, nursery: trio.Nursery, tmp_path: Path
) -> None:
    """
    A run's child in a session of its own, whose parent is gone, is ours now: it goes when its run
    has ended and not before.
    """
    programs = Programs(Identity())
    child, ready = tmp_path / "child", tmp_path / "ready"
    # The program's child ends at once, and leaves one of its own.
    script = (
        "import os, signal, sys\n"
        "def stay(path):\n"
        "    open(path, 'w').write(str(os.getpid()))\n"
        "    signal.pause()\n"
        "if os.fork() == 0:\n"
        "    os.setsid()\n"
        f"    os.fork() or stay({str(child)!r})\n"
        "    os._exit(0)\n"
        "os.wait()\n"
        "stay(sys.argv[1])\n"
    )
    scope = trio.CancelScope()

    async def run() -> None:
        with scope:
            await programs.run(Run(4, (sys.executable, "-c", script, str(ready)), "", LONG))

    nursery.start_soon(run)
    await until(lambda: written(ready) and written(child), "both")
    await programs.sweep()
    assert alive(pid_in(child))

    scope.cancel()

    await until(lambda: not alive(pid_in(child)) and not alive(pid_in(ready)), "the end")


async def test_cancelling_kills(nursery: trio.Nursery, tmp_path: Path) -> None:
    """Whoever gives up on a run does not leave its program behind."""
    ready = tmp_path / "ready"
    with trio.CancelScope() as scope:
        nursery.start_soon(_cancel_when, ready, scope)
        await Programs(Identity()).run(Run(5, lingering(ready), "", LONG))

    assert scope.cancelled_caught
    assert not alive(pid_in(ready))


async def _cancel_when(ready: Path, scope: trio.CancelScope) -> None:
    await until(lambda: written(ready), "the program")
    scope.cancel()


@pytest.mark.skipif(os.geteuid() != 0, reason="root alone can start programs as somebody else")
async def test_as_somebody_else() -> None:
    """User, group, and no further groups."""
    programs = Programs(Identity(65534, 65534, ()))

    ran = await programs.run(Run(6, ("/usr/bin/id",), "", LONG))

    assert ran.output.startswith("uid=65534")
    assert "groups=65534" in ran.output
    assert "root" not in ran.output
