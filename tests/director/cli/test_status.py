"""cli/status and cli/operate: what an operator sees, and says."""

import json
import sys
from pathlib import Path
from types import SimpleNamespace

import msgspec
import pytest

from director import paths
from director.cli import operate
from director.cli.main import main
from director.cli.status import lines
from director.errors import Exit
from director.model.state import (
    ConfigState,
    DestinationState,
    Finding,
    KernelState,
    QuorumState,
    RouterState,
    ServiceState,
    State,
    SyncState,
    WeightState,
)
from director.wire.messages import Answer, Ask
from tests.director.answering import engine_that_says


def destination(health: str, kernel: int | None) -> DestinationState:
    return DestinationState(
        real_server="web1",
        virtual="192.0.2.10:80",
        address="10.0.8.11:80",
        weight=WeightState(configured=100, wanted=100, kernel=kernel, because=("configured",)),
        health=health,
        reason="HTTP 200",
        since="",
        operator="none",
        active=3,
        inactive=1,
        outcomes=(),
    )


def router(role: str, name: str = "web") -> RouterState:
    return RouterState(name, 51, role, 150, "", ("192.0.2.10",))


STATE = State(
    node="lb1",
    at="2026-01-01T00:00:00.000Z",
    config=ConfigState("digest", ""),
    well=False,
    findings=(Finding("warning", "web/web2", "down: timeout", "look at it"),),
    virtual_routers=(router("active"),),
    services=(
        ServiceState(
            name="web",
            virtual=("192.0.2.10:80",),
            protocol="tcp",
            scheduler="wlc",
            forwarding="dr",
            quorum=QuorumState(met=True, up=1, need=1),
            serving="real",
            destinations=(destination("up", 100), destination("down", 0), destination("up", None)),
        ),
    ),
    sync=SyncState(master=True, backup=False),
    kernel=KernelState((), (), 0),
    processes=(),
)
SCREEN = """\
lb1: NOT WELL at 2026-01-01T00:00:00.000Z
router web  active  priority 150  192.0.2.10
sync  master
service web  192.0.2.10:80  wlc  1 up, 1 needed
  web1         10.0.8.11:80           up       weight 100  active 3 inactive 1  configured: HTTP 200
  web1         10.0.8.11:80           down     weight 0 (wanted 100)  active 3 inactive 1  configured: HTTP 200
  web1         10.0.8.11:80           up       weight - (wanted 100)  active 3 inactive 1  configured: HTTP 200
warning: web/web2: down: timeout
  mend: look at it"""
WELL = msgspec.structs.replace(STATE, well=True, findings=(), sync=SyncState(False, False))


def body(state: State) -> str:
    return msgspec.json.encode(state).decode()


def test_the_screen() -> None:
    """One screen: who, routers, sync, services, and what to do."""
    assert "\n".join(lines(STATE, colour=False)) == SCREEN


def test_a_screen_when_all_is_well() -> None:
    """Nothing to mend, and a daemon that does not run is said."""
    shown = lines(WELL, colour=False)

    assert shown[0] == "lb1: well at 2026-01-01T00:00:00.000Z"
    assert shown[2] == "sync  not running"
    assert not any("mend" in line for line in shown)


def test_colour_moves_no_column() -> None:
    """Take the codes away, and it is the same screen."""
    shown = "\n".join(lines(STATE, colour=True))

    assert "\033[32mactive\033[0m" in shown
    assert "\033[31mdown\033[0m" in shown
    for code in ("\033[31m", "\033[32m", "\033[33m", "\033[0m"):
        shown = shown.replace(code, "")
    assert shown == SCREEN


@pytest.mark.parametrize("row", [
    (True, None, True),
    (True, "", True),
    (True, "1", False),
    (False, None, False),
])  # fmt: skip
def test_when_there_is_colour(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    row: tuple[bool, str | None, bool],
) -> None:
    """On a terminal, unless $NO_COLOR says something."""
    tty, no_color, coloured = row
    monkeypatch.setattr(sys.stdout, "isatty", lambda: tty)
    monkeypatch.delenv("NO_COLOR", raising=False)
    if no_color is not None:
        monkeypatch.setenv("NO_COLOR", no_color)

    with engine_that_says(tmp_path, [Answer(Exit.NO, body(STATE))], paths.VIEW_SOCKET):
        status = main(["status", "--runtime", str(tmp_path)])

    assert status == Exit.NO
    assert ("\033[" in capsys.readouterr().out) is coloured


def test_status_as_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What the engine said, and its word on whether all is well."""
    with engine_that_says(tmp_path, [Answer(Exit.DONE, body(WELL))], paths.VIEW_SOCKET):
        assert main(["status", "--json", "--runtime", str(tmp_path)]) == Exit.DONE

    assert msgspec.json.decode(capsys.readouterr().out, type=State) == WELL


SAID = {
    "maintenance on web1": Ask("maintenance", {"server": "web1", "switch": "on"}),
    "maintenance off web/web1": Ask("maintenance", {"server": "web/web1", "switch": "off"}),
    "weight web1 50%": Ask("weight", {"server": "web1", "weight": "50%"}),
    "weight web1 7 --for 1h": Ask("weight", {"server": "web1", "weight": "7", "for": "1h"}),
    "weight web1 7 --for=": Ask("weight", {"server": "web1", "weight": "7", "for": ""}),
}


@pytest.mark.parametrize(("words", "asked"), SAID.items(), ids=SAID)
def test_an_operators_word_reaches_the_engine(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: str, asked: Ask
) -> None:
    """As typed: the engine judges it. The places that it answers are shown."""
    with engine_that_says(tmp_path, [Answer(0, '["web/web1", "api/web1"]')]) as heard:
        assert main([*words.split(), "--runtime", str(tmp_path)]) == 0

    assert heard == [asked]
    assert capsys.readouterr().out == "done: web/web1, api/web1\n"


def test_an_operators_word_as_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The list of places."""
    with engine_that_says(tmp_path, [Answer(0, '["web/web1"]')]):
        main(["maintenance", "on", "web1", "--json", "--runtime", str(tmp_path)])

    assert json.loads(capsys.readouterr().out) == ["web/web1"]


def test_a_failover_does_not_wait_unless_told(tmp_path: Path) -> None:
    """The router's name goes along."""
    with engine_that_says(tmp_path, [Answer(0)]) as heard:
        assert main(["failover", "web", "--runtime", str(tmp_path)]) == 0

    assert heard == [Ask("failover", {"router": "web"})]


WAITS = {
    # what happens                      asked  roles of web and mail, look by look
    "the peer has taken it":            ("",    (("active", "off"), ("active", "off"), ("backup", "off"))),
    "one of two is still ours":         ("",    (("backup", "active"), ("backup", "backup"))),
    "another router is not waited for": ("web", (("backup", "active"),)),
}  # fmt: skip


@pytest.mark.parametrize(("name", "roles"), WAITS.values(), ids=WAITS)
def test_a_failover_that_waits(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    roles: tuple[tuple[str, str], ...],
) -> None:
    """Until no router that was meant is active here."""
    monkeypatch.setattr(operate, "LOOK_EVERY", 0.0)
    states = [
        msgspec.structs.replace(WELL, virtual_routers=(router(web), router(mail, "mail")))
        for web, mail in roles
    ]
    looks = [Answer(0, body(state)) for state in states]
    words = ["failover", *([name] if name else []), "--wait", "--runtime", str(tmp_path)]

    with (
        engine_that_says(tmp_path, [Answer(0)]),
        engine_that_says(tmp_path, looks, paths.VIEW_SOCKET) as looked,
    ):
        assert main(words) == Exit.DONE

    assert len(looked) == len(roles)


def test_a_failover_that_nobody_takes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """After --timeout: 1, and this node goes on."""
    instants = iter([0.0, 5.0, 5.1])
    clock = SimpleNamespace(monotonic=lambda: next(instants), sleep=lambda _: None)
    monkeypatch.setattr(operate, "time", clock)
    looks = [Answer(1, body(STATE))] * 2

    with (
        engine_that_says(tmp_path, [Answer(0)]),
        engine_that_says(tmp_path, looks, paths.VIEW_SOCKET),
    ):
        status = main(["failover", "--wait", "--timeout", "5s", "--runtime", str(tmp_path)])

    assert status == Exit.NO
    assert "no peer took over" in capsys.readouterr().err
