"""cli/events: what happened, once and followed."""

import json
from pathlib import Path

import msgspec
import pytest

from director import paths
from director.cli import events as module
from director.cli.main import main
from director.errors import Exit
from director.model.event import Event, Events
from director.wire.messages import Answer
from tests.director.answering import engine_that_says


def event(seq: int) -> Event:
    return Event(
        kind="role.active",
        object="web",
        from_="backup",
        to="active",
        reason="",
        by="peer",
        seq=seq,
        at="2026-01-01T00:00:00.000Z",
        node="lb1",
    )


def answer(engine: str, last: int, *numbers: int) -> Answer:
    told = Events(engine, last, tuple(event(number) for number in numbers))
    return Answer(Exit.DONE, msgspec.json.encode(told).decode())


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LOOK_AGAIN_AFTER", 0.0)


def test_what_happened(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A line each, for a person or a program."""
    for words in ([], ["--json"]):
        with engine_that_says(tmp_path, [answer("a", 2, 1, 2)], paths.VIEW_SOCKET):
            assert main(["events", "--runtime", str(tmp_path), *words]) == Exit.DONE
        (tmp_path / paths.VIEW_SOCKET).unlink()

    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "2026-01-01T00:00:00.000Z role.active web: backup -> active [peer]"
    assert [json.loads(line)["seq"] for line in lines[2:]] == [1, 2]


def test_following(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    What comes after the last one, across an engine that goes away and comes again; what was missed
    is said on stderr, where it disturbs no program that reads.
    """
    script: list[Answer | bytes] = [
        answer("a", 1, 1),
        answer("a", 1),
        answer("a", 5, 4, 5),
        b"",  # it hangs up
        answer("b", 1, 1),
    ]
    shown: list[int] = []

    def show(happened: tuple[Event, ...], **_: object) -> None:
        shown.extend(one.seq for one in happened)
        if len(shown) == 4:
            raise KeyboardInterrupt

    monkeypatch.setattr(module, "_show", show)
    with engine_that_says(tmp_path, script, paths.VIEW_SOCKET) as asked:
        status = main(["events", "--follow", "--runtime", str(tmp_path)])

    assert status == 130
    assert shown == [1, 4, 5, 1]
    assert [one.args for one in asked] == [
        {},
        *[{"engine": "a", "since": since, "wait": "20"} for since in ("1", "1", "5", "5")],
    ]
    said = capsys.readouterr().err.splitlines()
    assert said[0] == "director: 2 events came too fast; see the journal"
    assert said[1].endswith("; waiting for it")
    assert said[2] == "director: the engine was started again, and counts anew"


def test_nobody_there(tmp_path: Path) -> None:
    """At the start that is an answer, and not something to wait for."""
    assert main(["events", "--follow", "--runtime", str(tmp_path)]) == Exit.UNREACHABLE
