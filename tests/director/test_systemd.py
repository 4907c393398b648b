"""systemd: what the service manager hears."""

import os
import socket
from pathlib import Path

import pytest

from director.systemd import Systemd


@pytest.mark.parametrize("kind", ["path", "abstract"])
def test_a_word_reaches_the_socket(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """A path, or an abstract name, which is written with an @."""
    name = str(tmp_path / "notify") if kind == "path" else f"@{tmp_path.name}-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(name.replace("@", "\0"))
        manager.settimeout(5)
        monkeypatch.setenv("NOTIFY_SOCKET", name)

        Systemd().say("READY=1")

        assert manager.recv(100) == b"READY=1"


@pytest.mark.parametrize("path", [None, "", "/nowhere/notify"])
def test_where_nobody_listens_nothing_happens(
    monkeypatch: pytest.MonkeyPatch, path: str | None
) -> None:
    """A lost word is no fault."""
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    if path is not None:
        monkeypatch.setenv("NOTIFY_SOCKET", path)

    Systemd().say("READY=1")


WATCHDOGS = {
    # what it is          usec        pid           seconds
    "none":              (None,       None,         0.0),
    "half the limit":    ("30000000", None,         15.0),
    "ours":              ("30000000", os.getpid(),  15.0),
    "another process's": ("30000000", os.getppid(), 0.0),
    "nonsense":          ("soon",     None,         0.0),
}  # fmt: skip


@pytest.mark.parametrize(("usec", "pid", "seconds"), WATCHDOGS.values(), ids=WATCHDOGS)
def test_how_often_the_watchdog_is_fed(
    monkeypatch: pytest.MonkeyPatch, usec: str | None, pid: int | None, seconds: float
) -> None:
    """sd_watchdog_enabled(3): half the limit, and only by whom it is meant for."""
    monkeypatch.delenv("WATCHDOG_USEC", raising=False)
    monkeypatch.delenv("WATCHDOG_PID", raising=False)
    if usec is not None:
        monkeypatch.setenv("WATCHDOG_USEC", usec)
    if pid is not None:
        monkeypatch.setenv("WATCHDOG_PID", str(pid))

    assert Systemd().watchdog_every == seconds
