"""cli/up: the supervisor, over small children of our own, in a process of its own."""

import argparse
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest

from director.cli import processes, up
from director.cli.up import BACK_OFF_FIRST, BACK_OFF_MAX, LIVED_WELL, Child, commands
from director.errors import Exit, NoRight

ROOT = Path(__file__).parents[3]
WITHIN = 20
# Says its name when it starts and when it is told to stop.
POLITE = """
import signal, sys, os
def stop(*_):
    os.write(1, b"stop {name}\\n")
    os._exit(0)
signal.signal(signal.SIGTERM, stop)
os.write(1, b"start {name}\\n")
while True: signal.pause()
"""
DEAF = """
import signal, os
signal.signal(signal.SIGTERM, signal.SIG_IGN)
os.write(1, b"start {name}\\n")
while True: signal.pause()
"""
MASK = """
import signal, os
os.write(1, f"start {{sorted(signal.pthread_sigmask(signal.SIG_BLOCK, []))}}\\n".encode())
while True: signal.pause()
"""
ENDS = 'import os; os.write(1, b"start {name}\\n"); os._exit({status})'


def child(name: str, code: str, **words: object) -> tuple[str, list[str]]:
    return name, [sys.executable, "-c", code.format(name=name, **words)]


@contextmanager
def supervising(
    *children: tuple[str, list[str]], stop_within: float = 10.0, setting: str = "pass"
) -> Iterator["subprocess.Popen[str]"]:
    """`supervise` in a process; what the children say is on its stdout."""
    code = (
        "import sys; from director.cli import up; from director.log import start_logging;"
        f"start_logging(); up.STOP_WITHIN = {stop_within}; {setting};"
        f"sys.exit(up.supervise({children!r}))"
    )
    argv = [sys.executable, "-c", code]
    pipe = subprocess.PIPE
    with subprocess.Popen(argv, cwd=ROOT, stdout=pipe, stderr=pipe, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def line(process: "subprocess.Popen[str]") -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def rest(process: "subprocess.Popen[str]") -> tuple[list[str], str]:
    """What it said until its end, and its log."""
    out, err = process.communicate(timeout=WITHIN)
    return out.splitlines(), err


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_ends_all_children_vrrp_first(number: signal.Signals) -> None:
    """In the order in which they are named, one after the other; SIGHUP too: no orphans."""
    names = ("vrrp", "engine", "checks@1")
    with supervising(*(child(name, POLITE) for name in names)) as process:
        assert sorted(line(process) for _ in names) == sorted(f"start {name}" for name in names)

        process.send_signal(number)

        said, _ = rest(process)
        assert said == [f"stop {name}" for name in names]
        assert process.returncode == Exit.DONE


def test_a_child_that_died_is_started_again() -> None:
    """And again: how it ended is logged, and the others are left alone."""
    with supervising(child("dies", ENDS, status=1), child("lives", POLITE)) as process:
        heard = [line(process) for _ in range(4)]
        process.terminate()
        said, log = rest(process)

    assert heard.count("start lives") + said.count("start lives") == 1
    assert (heard + said).count("start dies") >= 3
    assert "dies ended with 1; starting it again" in log


@pytest.mark.parametrize("status", [Exit.USAGE, Exit.RIGHTS, Exit.CONFIG])
def test_what_a_restart_would_not_mend_ends_the_whole(status: Exit) -> None:
    """With the child's status, and the others are stopped."""
    with supervising(
        child("lives", POLITE), child("hopeless", ENDS, status=int(status))
    ) as process:
        said, _ = rest(process)

        assert process.returncode == status
    assert said.count("start hopeless") == 1
    assert said.count("stop lives") == said.count("start lives")


def test_a_child_that_does_not_listen_is_killed() -> None:
    """After its time; the next one is stopped all the same."""
    with supervising(child("deaf", DEAF), child("polite", POLITE), stop_within=0.05) as process:
        for _ in range(2):
            line(process)
        process.terminate()
        said, log = rest(process)

        assert process.returncode == Exit.DONE
    assert said == ["stop polite"]
    assert "deaf does not stop: killed" in log


def test_a_child_is_born_with_no_signal_blocked() -> None:
    """Else it could not be stopped."""
    with supervising(child("mask", MASK)) as process:
        assert line(process) == "start []"
        process.terminate()
        rest(process)


def test_a_child_that_cannot_be_started_is_tried_again() -> None:
    """The supervisor goes on, and so do the others."""
    with supervising(("gone", ["/nowhere/to/be/found"]), child("lives", POLITE)) as process:
        assert line(process) == "start lives"
        assert process.stderr is not None
        failures = 0
        while failures < 2:
            failures += "gone ended with 127" in process.stderr.readline()
        process.terminate()
        said, _ = rest(process)

    assert said == ["stop lives"]


def test_a_host_that_starts_nothing_is_asked_again() -> None:
    """No process to spare, no setpriv: it is said each time, and the supervisor goes on."""
    with supervising(
        child("lives", POLITE), setting='up.ENDING_WITH_US = ("/nowhere/to/be/found",)'
    ) as process:
        assert process.stderr is not None
        for _ in range(2):
            assert "lives cannot be started" in process.stderr.readline()
        process.terminate()
        rest(process)

        assert process.returncode == Exit.DONE


def test_children_end_in_order_when_the_supervisor_is_killed() -> None:
    """SIGKILL of it is SIGTERM for them: no orphans, which nobody would start again."""
    with supervising(child("polite", POLITE)) as process:
        assert line(process) == "start polite"

        process.kill()

        assert rest(process)[0] == ["stop polite"]


class Instants:
    """A clock that the test sets."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_who_dies_again_and_again_waits_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    """At once, then doubled up to a bound; who lived well starts anew."""
    clock = Instants()
    monkeypatch.setattr(up, "time", SimpleNamespace(monotonic=clock))
    one = Child("dies", [sys.executable, "-c", ""])
    waits = []
    for lived in [0.0] * 9 + [LIVED_WELL, LIVED_WELL + 1, 0.0]:
        one.start()
        assert one.process is not None
        one.process.wait(WITHIN)
        clock.now += lived
        assert one.ended() == 0
        assert one.ended() is None
        waits.append(one.start_at - clock.now)
        clock.now = one.start_at

    first = [BACK_OFF_FIRST * 2**power for power in range(7)]
    assert waits == pytest.approx([0.0, *first, BACK_OFF_MAX, BACK_OFF_MAX, 0.0, BACK_OFF_FIRST])


def test_who_has_ended_needs_no_stopping() -> None:
    """Nothing to do, and no fault."""
    Child("never started", ["/nowhere"]).stop(1.0)


def arguments(*, node: str | None = None, workers: int = 1) -> argparse.Namespace:
    """As typed."""
    return argparse.Namespace(
        runtime=Path("/run/a"), state=Path("/lib/a"), config=Path("/etc/a.toml"),
        node=node, workers=workers,
    )  # fmt: skip


def test_the_processes_in_the_order_of_stopping() -> None:
    """vrrp first; each is told only what it needs."""
    made = commands(arguments(workers=2))

    assert [name for name, _ in made] == ["vrrp", "engine", "exec", "checks@1", "checks@2"]
    assert dict(made)["engine"][1:] == [
        *("-m", "director", "engine", "--runtime", "/run/a"),
        *("--config", "/etc/a.toml", "--state", "/lib/a"),
    ]
    assert dict(made)["checks@2"][1:] == [
        "-m", "checks", "--runtime", "/run/a", "--name", "checks@2",
    ]  # fmt: skip


def test_the_engine_is_told_which_node_it_is() -> None:
    """Where --node was given."""
    assert dict(commands(arguments(node="lb2")))["engine"][-2:] == ["--node", "lb2"]


@pytest.fixture
def rights(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """/proc/self/status as the test writes it."""
    real = Path.read_text
    path = tmp_path / "status"

    def read(asked: Path, *args: str, **words: str) -> str:
        return real(path if str(asked) == "/proc/self/status" else asked, *args, **words)

    monkeypatch.setattr(Path, "read_text", read)
    for module in (up, processes):  # a handler would outlive the test
        monkeypatch.setattr(module, "start_logging", lambda: None)
    return path


@pytest.mark.parametrize("verb", ["up", "engine", "vrrp"])
def test_without_the_right_nothing_starts(
    rights: Path, verb: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """77, said once, before anything was touched."""
    from director.cli.main import main

    rights.write_text("Name:\tpython\nCapEff:\t0000000000002000\n")

    assert main([verb, "--runtime", "/nowhere", "--state", "/nowhere"]) == Exit.RIGHTS
    assert capsys.readouterr().err.count("needs CAP_NET_ADMIN") == 1


@pytest.mark.parametrize("mask", ["000001ffffffffff", "0000000000001000"])
def test_the_capability_is_enough(rights: Path, mask: str) -> None:
    """Root, or a unit that gives it."""
    rights.write_text(f"CapEff:\t{mask}\n")

    processes.need_net_admin("up")


def test_root_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the right itself is not enough."""
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(NoRight, match="real-server needs root"):
        processes.need_root("real-server")

    monkeypatch.setattr(os, "geteuid", lambda: 0)
    processes.need_root("real-server")


def test_up_ends_at_once_with_a_wrong_file(
    rights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The status of `check`, and no child was ever started."""
    rights.write_text("CapEff:\t000001ffffffffff\n")
    started: list[object] = []
    monkeypatch.setattr(up, "supervise", started.append)
    args = arguments(node="lb1")
    args.config = tmp_path / "gone.toml"

    assert up.up(args) == Exit.CONFIG
    assert started == []
