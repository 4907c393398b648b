"""log: for journald with a level, for a person with a name."""

import io
import logging
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

import pytest

from director.log import start_logging


@pytest.fixture(autouse=True)
def as_it_was() -> Iterator[None]:
    """The logger of the package without our handlers."""
    root = logging.getLogger("director")
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.fixture
def stderr(tmp_path: Path) -> Iterator[TextIO]:
    """To be put in place by the test: pytest changes sys.stderr between set-up and call."""
    with (tmp_path / "stderr").open("w+") as file:
        yield file


def said(file: TextIO) -> str:
    file.flush()
    file.seek(0)
    return file.read()


def test_an_event_is_json_for_the_journal_alone(
    stderr: TextIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever searches the journal gets fields; a person gets words."""
    said_of: dict[str, str] = {}
    for reader, stream in (("journal", stderr), ("person", None)):
        at = os.fstat(stderr.fileno())
        monkeypatch.setattr(sys, "stderr", stderr)
        monkeypatch.setenv("JOURNAL_STREAM", f"{at.st_dev}:{at.st_ino}" if stream else "")
        start_logging()
        logging.getLogger("director.events").info("words", extra={"json": '{"seq": 1}'})
        said_of[reader] = said(stderr).splitlines()[-1]
        logging.getLogger("director").handlers.pop()

    assert said_of["journal"] == '<6>{"seq": 1}'
    assert said_of["person"].endswith("director.events: words")


LEVELS = [
    (logging.CRITICAL, "<2>"),
    (logging.ERROR, "<3>"),
    (logging.WARNING, "<4>"),
    (logging.INFO, "<6>"),
    (logging.INFO + 5, "<5>"),
]


@pytest.mark.parametrize(("level", "mark"), LEVELS)
def test_the_journal_hears_the_level(
    stderr: TextIO, monkeypatch: pytest.MonkeyPatch, level: int, mark: str
) -> None:
    """sd-daemon(3). A line that goes on is indented, so that it has no level of its own."""
    monkeypatch.setattr(sys, "stderr", stderr)
    there = os.fstat(stderr.fileno())
    monkeypatch.setenv("JOURNAL_STREAM", f"{there.st_dev}:{there.st_ino}")
    start_logging()

    logging.getLogger("director.engine").log(level, "one\n<0>two")

    assert said(stderr) == f"{mark}one\n <0>two\n"


@pytest.mark.parametrize("stream", [None, "8:1", "nonsense"])
def test_a_person_hears_the_name(
    stderr: TextIO, monkeypatch: pytest.MonkeyPatch, stream: str | None
) -> None:
    """Also where the journal's variable was inherited and stderr was led elsewhere."""
    monkeypatch.setattr(sys, "stderr", stderr)
    monkeypatch.delenv("JOURNAL_STREAM", raising=False)
    if stream is not None:
        monkeypatch.setenv("JOURNAL_STREAM", stream)
    start_logging()

    logging.getLogger("director.engine").info("ready")
    logging.getLogger("director.engine").debug("not said")

    assert said(stderr).endswith(" director.engine: ready\n")


def test_a_stderr_that_is_no_file(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing to compare, so no journal."""
    words = io.StringIO()
    monkeypatch.setattr(sys, "stderr", words)
    monkeypatch.setenv("JOURNAL_STREAM", "8:1")

    start_logging()
    logging.getLogger("director.engine").info("ready")

    assert words.getvalue().endswith(" director.engine: ready\n")
