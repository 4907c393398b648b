"""ask: one question to the engine, and every way in which no answer comes."""

import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from director import paths
from director.ask import ask_engine
from director.errors import DirectorError, Exit, Fault, NoRight, Unreachable
from director.wire.framing import frame
from director.wire.messages import Answer, Ask, Beat, encode
from tests.director.answering import engine_that_says

FAULT = Fault(fault="it is not", mend="make it so")
NOBODY = 65534


def test_the_answer_to_what_was_asked(tmp_path: Path) -> None:
    """The verb and its arguments reach the engine; whatever else it says first is passed over."""
    answer = encode(Beat(0.0)) + encode(Answer(0, "[]"))

    with engine_that_says(tmp_path, [answer]) as asked:
        assert ask_engine(tmp_path, 5.0, "weight", change=True, server="web1") == Answer(0, "[]")

    assert asked == [Ask("weight", {"server": "web1"})]


def test_reading_goes_to_the_view_socket(tmp_path: Path) -> None:
    """Who only looks needs no right to change."""
    with engine_that_says(tmp_path, [Answer(1)], paths.VIEW_SOCKET):
        assert ask_engine(tmp_path, 5.0, "status").status == 1


def test_what_the_engine_found_wrong_is_raised(tmp_path: Path) -> None:
    """With the engine's own status and faults."""
    with (
        engine_that_says(tmp_path, [Answer(Exit.PARTLY, faults=(FAULT,))]),
        pytest.raises(DirectorError) as error,
    ):
        ask_engine(tmp_path, 5.0, "weight", change=True)

    assert (error.value.status, error.value.faults) == (Exit.PARTLY, (FAULT,))


NO_ANSWERS = {
    "it hangs up": b"",
    "it hangs up in the middle": frame(b"x" * 10)[:7],
    "it speaks another language": b"HTTP/1.1 400 Bad Request\r\n",
    "its message is none of ours": frame(b"\xc1"),
}


@pytest.mark.parametrize("data", NO_ANSWERS.values(), ids=NO_ANSWERS)
def test_what_is_no_answer(tmp_path: Path, data: bytes) -> None:
    """69, whatever it was."""
    with engine_that_says(tmp_path, [data]), pytest.raises(Unreachable) as error:
        ask_engine(tmp_path, 5.0, "weight", change=True)

    assert error.value.status == Exit.UNREACHABLE


def test_no_engine(tmp_path: Path) -> None:
    """69, with the place where one should be."""
    with pytest.raises(Unreachable, match="view"):
        ask_engine(tmp_path, 5.0, "status")


def test_an_engine_that_does_not_answer_in_time(tmp_path: Path) -> None:
    """It listens and says nothing: the wait is bounded."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / paths.VIEW_SOCKET))
        listener.listen(1)

        before = time.monotonic()
        with pytest.raises(Unreachable, match="timed out"):
            ask_engine(tmp_path, 0.01, "status")
        assert time.monotonic() - before < 2.0


@contextmanager
def as_nobody() -> Iterator[None]:
    """Without root's right to open everything."""
    before = os.geteuid()
    if before == 0:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(before)


@pytest.mark.parametrize(("change", "group"), [(True, "director-admin"), (False, "director-view")])
def test_a_door_that_is_not_for_us(tmp_path: Path, change: bool, group: str) -> None:
    """77, and the mend names the group that may."""
    path = tmp_path / (paths.CONTROL_SOCKET if change else paths.VIEW_SOCKET)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen(1)
        path.chmod(0o000)

        with as_nobody(), pytest.raises(NoRight) as error:
            ask_engine(tmp_path, 5.0, "status", change=change)

    assert error.value.status == Exit.RIGHTS
    assert group in error.value.faults[0].mend
