"""kernel/seat: one writer in a network namespace."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest

from director.errors import Exit
from director.kernel import seat
from director.kernel.seat import Taken, take_seat


@pytest.fixture(autouse=True)
def own_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who tests beside us may sit at the real one."""
    monkeypatch.setattr(seat, "NAME", f"\0ipvs-director/test-{os.getpid()}")


@pytest.fixture
def held() -> Iterator[seat.Seat]:
    taken = take_seat()
    yield taken
    taken.close()


def test_the_second_one_is_refused(held: seat.Seat) -> None:
    """75, and it is said who sits there."""
    with pytest.raises(Taken, match=f"process {os.getpid()} writes") as error:
        take_seat()

    assert error.value.status == Exit.LATER
    held.close()
    take_seat().close()


def test_many_may_look(held: seat.Seat) -> None:
    """Those who were refused fill no queue that the next one waits for."""
    for _ in range(3 * seat.LOOKS_MAX):
        with pytest.raises(Taken):
            take_seat()

    held.close()


def test_the_seat_is_free_when_its_holder_dies() -> None:
    """By SIGKILL too: the kernel gives the name back."""
    code = (
        "from director.kernel import seat; import sys; seat.NAME = sys.argv[1];"
        "held = seat.take_seat(); print(flush=True); sys.stdin.read()"
    )
    name = seat.NAME.removeprefix("\0")
    with subprocess.Popen(
        [sys.executable, "-c", code.replace("sys.argv[1]", "chr(0) + sys.argv[1]"), name],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        with pytest.raises(Taken, match=f"process {holder.pid} "):
            take_seat()
        holder.kill()
        holder.wait()

        take_seat().close()


def test_who_may_not_write_keeps_nobody_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Any user can bind the name; that must not stop a director."""
    monkeypatch.setattr(seat, "_trusted", lambda: {4711})

    with socket.socket(socket.AF_UNIX) as squatter:
        squatter.bind(seat.NAME)
        squatter.listen(1)

        take_seat().close()
