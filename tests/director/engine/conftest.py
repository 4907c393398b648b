"""What several tests of the engine stand on."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.director.engine.running import WITHIN


@pytest.fixture
def told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """What systemd hears."""
    path = tmp_path / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(str(path))
        sock.settimeout(WITHIN)
        monkeypatch.setenv("NOTIFY_SOCKET", str(path))
        yield sock
