"""checks/once and `director probe`: attempts by hand, with the worker's own probers."""

import json
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from director.cli.main import main
from director.errors import Exit

FILE = """
format = 1
[nodes.lb1]
[nodes.lb2]
[kernel]
sysctls = "report"
[real_servers]
web1 = "10.0.8.11"
[services.web]
virtual = "192.0.2.10:80"
held = "elsewhere"
real_servers = ["web1"]
checks = [
  {{ kind = "tcp", address = "10.0.8.11", port = {port} }},
  {{ kind = "none" }},
]
[services.quiet]
virtual = "192.0.2.11:80"
held = "elsewhere"
real_servers = ["web1"]
checks = "none"
"""


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as opened:
        yield opened


def ask(tmp_path: Path, port: int, server: str, *more: str) -> int:
    """The loopback stands for the real server: no file may name it, but the fixture's."""
    path = tmp_path / "director.toml"
    path.write_text(FILE.format(port=port))
    return main(["probe", server, "--config", str(path), "--node", "lb1", *more])


@pytest.fixture
def at_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    """Probes to the file's server end here."""
    from director.cli import probe
    from director.model.address import Endpoint
    from director.model.check import Check, Target
    from director.policy.probing import target_of

    def here(check: Check, endpoint: Endpoint) -> Target:
        target = target_of(check, endpoint)
        return Target(target.key, Endpoint("127.0.0.1", target.endpoint.port), target.check)

    monkeypatch.setattr(probe, "target_of", here)


@pytest.mark.usefixtures("at_loopback")
def test_what_passes(
    tmp_path: Path, listener: socket.socket, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each check is a row, with what it found and how long it took."""
    port = listener.getsockname()[1]

    assert ask(tmp_path, port, "web/web1", "--json") == Exit.DONE

    tcp, none = json.loads(capsys.readouterr().out)
    assert (tcp["server"], tcp["check"], tcp["ok"], tcp["outcome"]) == (
        "web/web1",
        "tcp",
        True,
        "layer4 ok",
    )
    assert tcp["seconds"] > 0
    assert (none["check"], none["outcome"]) == ("none", "not checked")


@pytest.mark.usefixtures("at_loopback")
def test_what_fails(
    tmp_path: Path, listener: socket.socket, capsys: pytest.CaptureFixture[str]
) -> None:
    """1, and the reason in the field's words."""
    port = listener.getsockname()[1]
    listener.close()

    assert ask(tmp_path, port, "web1") == Exit.NO

    out = capsys.readouterr().out
    assert f"FAILED  web/web1  tcp/192.0.2.10:80  tcp 127.0.0.1:{port}: connection refused" in out
    assert "ok      web/web1  tcp/192.0.2.10:80  none" in out


def test_what_is_not_checked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing fails there."""
    assert ask(tmp_path, 80, "quiet/web1") == Exit.DONE
    assert capsys.readouterr().out == "nothing is checked there\n"


@pytest.mark.parametrize("server", ["web9", "shop/web1", ""])
def test_a_server_that_is_not_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], server: str
) -> None:
    """1, and those that there are."""
    assert ask(tmp_path, 80, server) == Exit.NO
    assert "one of: web1" in capsys.readouterr().err
