"""cli/table, cli/show: each verb into each of its statuses, and what it says."""

import gc
import json
from contextlib import ExitStack
from pathlib import Path

import msgspec
import pytest

from director import paths
from director.cli import check, planning, show
from director.cli.main import main
from director.cli.table import REFUSALS_TOLD
from director.errors import Exit, Fault, NoRight
from director.kernel import seat
from director.model.address import Endpoint
from director.model.ops import SetSysctl
from director.model.service import Destination, ServiceSettings, VirtualService
from director.model.shown import Heading, ShownDestination, ShownService
from director.wire.messages import Answer, encode
from tests.director.answering import engine_that_says
from tests.director.engine.scene import ONE, TWO, WEB
from tests.fakes.kernel import FakeKernel
from tests.fakes.look import FakeLook

FILE = """
format = 1
[interfaces]
front = "lo"
[nodes.lb1]
addresses = { front = "127.0.0.2" }
[kernel]
sysctls = "report"
[services.web]
virtual = "192.0.2.10:80"
held = "elsewhere"
real_servers = ["10.0.8.11", "10.0.8.12"]
"""
ENGINE_HEADING = Answer(
    0, msgspec.json.encode(Heading(source="engine", node="lb1")).decode(), more=True
)
WANTED = VirtualService(
    ServiceSettings(), {ONE: Destination(weight=100), TWO: Destination(weight=100)}
)
SHOWN = ShownService(
    name="web",
    virtual="192.0.2.10:80",
    protocol="tcp",
    family="ipv4",
    scheduler="wlc",
    destinations=(
        ShownDestination(
            address=str(ONE), real_server="10.0.8.11", forwarding="dr", weight=100, health="up"
        ),
        ShownDestination(
            address=str(TWO), real_server="10.0.8.12", forwarding="dr", weight=0, health="down"
        ),
    ),
)


class Kernel(FakeKernel):
    def close(self) -> None:
        """Nothing is open."""


class Place:
    """A file, a runtime directory, a kernel."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.kernel = Kernel()
        self.write(FILE)

    def write(self, text: str) -> None:
        (self.folder / "director.toml").write_text(text)

    def run(self, words: str) -> int:
        places = ("--runtime", str(self.folder), "--state", str(self.folder / "state"))
        verb, *rest = words.split()
        if verb in ("plan", "apply"):
            rest += ["--config", str(self.folder / "director.toml"), "--node", "lb1"]
        return main([verb, *places, *rest])


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    made = Place(tmp_path)
    monkeypatch.setattr(seat, "NAME", f"\0ipvs-director/test-{tmp_path.name}-{id(made)}")
    monkeypatch.setattr(planning, "KernelHands", lambda: made.kernel)
    monkeypatch.setattr("director.kernel.look.KernelLook", lambda: FakeLook(made.kernel))
    monkeypatch.setattr(show, "CONNECTIONS", tmp_path / "connections")
    return made


def no_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> None:
        raise NoRight("IPVS may not be used", mend="become root")

    monkeypatch.setattr(planning, "KernelHands", refuse)


def pieces(*services: ShownService) -> list[Answer | bytes]:
    return [ENGINE_HEADING, Answer(0, msgspec.json.encode(list(services)).decode())]


def test_plan_alone(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    """2 and a line for each change; after `apply` 0 and none."""
    place.kernel.table[WEB] = VirtualService(
        ServiceSettings("rr"),
        {ONE: Destination(weight=5), Endpoint("10.0.8.99", 80): Destination()},
    )

    assert place.run("plan") == Exit.DIFFERS
    assert capsys.readouterr().out.splitlines() == [
        "~ tcp/192.0.2.10:80 scheduler rr -> scheduler wlc",
        "~ tcp/192.0.2.10:80 10.0.8.11:80 weight 5 -> 100",
        "+ tcp/192.0.2.10:80 10.0.8.12:80 add, weight 100 dr",
        "~ tcp/192.0.2.10:80 10.0.8.99:80 weight 1 -> 0",
        "4 changes; read here: no engine runs",
    ]
    assert place.run("apply") == Exit.DONE
    assert place.run("apply") == Exit.DONE  # what was quiesced is empty, and goes
    assert place.run("plan") == Exit.DONE
    assert place.kernel.table[WEB] == WANTED


def test_plan_as_json(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    """The same as one object; what the file does not name is listed, and stays."""
    other = msgspec.structs.replace(WEB, port=81)
    place.kernel.table[other] = VirtualService(ServiceSettings(), {})

    assert place.run("plan --json") == Exit.DIFFERS

    said = json.loads(capsys.readouterr().out)
    assert (said["source"], said["foreign"]) == ("kernel", [str(other)])
    assert [(one["sign"], one["change"]) for one in said["changes"]] == [
        ("+", "add-service"),
        ("+", "add-destination"),
        ("+", "add-destination"),
    ]
    place.run("apply")
    assert place.run("plan --json") == Exit.DONE


def test_plan_by_the_engine(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    """What it knows counts: a server that is down stays at 0, with another scheduler too."""
    place.write(FILE + 'scheduler = "rr"\n')

    with engine_that_tells(place, SHOWN):
        assert place.run("plan") == Exit.DIFFERS

    assert capsys.readouterr().out.splitlines() == [
        "~ tcp/192.0.2.10:80 scheduler wlc -> scheduler rr",
        "1 changes; told by the engine",
    ]


def engine_that_tells(place: Place, *services: ShownService) -> ExitStack:
    """One conversation of two answers."""
    stack = ExitStack()
    (place.folder / paths.VIEW_SOCKET).unlink(missing_ok=True)
    both = b"".join(encode(one) for one in pieces(*services) if isinstance(one, Answer))
    stack.enter_context(engine_that_says(place.folder, [both], paths.VIEW_SOCKET))
    return stack


def test_apply_beside_an_engine(place: Place) -> None:
    """75: one writer a table."""
    held = seat.take_seat()

    assert place.run("apply") == Exit.LATER
    assert place.kernel.applied == []

    held.close()
    assert place.run("apply") == Exit.DONE


def test_apply_that_is_refused(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    """1, each refusal with its mend and not a thousand of them; the rest is done."""
    many = ", ".join(f'"10.0.9.{number}"' for number in range(1, 101))
    place.write(
        FILE
        + f"""
scheduler = "twos"
[services.other]
virtual = "192.0.2.10:81"
held = "elsewhere"
real_servers = [{many}]
"""
    )

    assert place.run("apply --json") == Exit.NO

    faults = json.loads(capsys.readouterr().err)["faults"]
    assert "modprobe ip_vs_twos" in faults[0]["mend"]
    assert len(faults) <= REFUSALS_TOLD + 1
    assert msgspec.structs.replace(WEB, port=81) in place.kernel.table


def test_apply_records_what_stood_before(place: Place) -> None:
    """So that `clear` can put it back; what was recorded first stays."""
    place.write(FILE.replace("report", "enforce"))

    place.run("apply")
    place.kernel.apply([SetSysctl("net.ipv4.vs.expire_nodest_conn", "0")])
    place.run("apply")

    stored = json.loads((place.folder / "state" / paths.STATE_FILE).read_bytes())
    assert stored["sysctls_before"]["net.ipv4.vs.expire_nodest_conn"] == "0"
    assert stored["services"] == [str(WEB)]
    assert place.kernel.sysctls["net.ipv4.vs.expire_nodest_conn"] == "1"


def test_export(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    """From the kernel, or as the engine tells it: the same words."""
    lines = [
        "-A -t 192.0.2.10:80 -s wlc",
        "-a -t 192.0.2.10:80 -r 10.0.8.11:80 -g -w 100",
        "-a -t 192.0.2.10:80 -r 10.0.8.12:80 -g -w 0",
    ]
    place.kernel.table[WEB] = VirtualService(
        ServiceSettings(), {ONE: Destination(weight=100), TWO: Destination(weight=0)}
    )

    assert place.run("export") == Exit.DONE
    assert capsys.readouterr().out.splitlines() == lines
    with engine_that_tells(place, SHOWN):
        assert place.run("export --json") == Exit.DONE
    assert json.loads(capsys.readouterr().out) == lines


@pytest.mark.parametrize("view", ["", "--stats", "--rate", "--persistent"])
def test_show(place: Place, capsys: pytest.CaptureFixture[str], view: str) -> None:
    """0 from the engine, in words; without one 69 and the kernel's part."""
    with engine_that_tells(place, SHOWN):
        assert place.run(f"show {view}") == Exit.DONE
    said = capsys.readouterr().out
    assert "web  192.0.2.10:80  tcp  wlc" in said
    assert "10.0.8.12:80" in said
    assert "down" in said

    place.kernel.table[WEB] = WANTED
    assert place.run(f"show tcp/192.0.2.10:80 {view}") == Exit.UNREACHABLE
    said, complaint = capsys.readouterr()
    assert "10.0.8.12:80" in said
    assert "from the kernel alone" in complaint


def test_show_as_json(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    """One object with everything."""
    with engine_that_tells(place, SHOWN, msgspec.structs.replace(SHOWN, name="")):
        assert place.run("show --json") == Exit.DONE

    said = json.loads(capsys.readouterr().out)
    assert (said["format"], said["source"]) == (1, "engine")
    assert msgspec.convert(said["services"][0], ShownService) == SHOWN
    assert len(said["services"]) == 2


def test_connections(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    """Those of one service, or all."""
    (place.folder / "connections").write_text(
        "Pro FromIP   FPrt ToIP     TPrt DestIP   DPrt State       Expires PEName PEData\n"
        "TCP CB007101 D9A4 C000020A 0050 0A00080B 0050 ESTABLISHED     887\n"
        "TCP CB007101 D9A5 C000020B 0050 0A00080B 0050 ESTABLISHED     886\n"
    )

    with engine_that_tells(place, SHOWN):
        assert place.run("show web --connections") == Exit.DONE
    assert "192.0.2.11:80" not in (said := capsys.readouterr().out)
    assert "887s" in said
    with engine_that_tells(place, SHOWN):
        assert place.run("show --connections --json") == Exit.DONE
    assert len(json.loads(capsys.readouterr().out)) == 2


def test_zero(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    """It says of how many."""
    with engine_that_says(place.folder, [Answer(0, "3")]) as asked:
        assert place.run("zero web") == Exit.DONE

    assert asked[0].args == {"service": "web"}
    assert capsys.readouterr().out == "done: 3 virtual services\n"


def test_schema(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    """JSON, with or without --json."""
    assert place.run("schema") == Exit.DONE

    assert "services" in json.loads(capsys.readouterr().out)["$defs"]["FileTable"]["properties"]


UNKNOWN = Answer(Exit.NO, faults=(Fault(fault="there is no service 'wbe'", mend="web?"),))
BAD = FILE.replace("[kernel]", "[kernle]")
RUNS_OTHER = FILE.replace("[nodes.lb1]", '[nodes.lb1]\nruns = "keepalived"')
STATUSES = {
    # what is typed                what there is      status
    "plan of a wrong file":        ("plan", "bad", 78),
    "apply of a wrong file":       ("apply", "bad", 78),
    "apply where keepalived runs": ("apply", "other", 78),
    "plan without right":          ("plan", "no kernel", 77),
    "apply without right":         ("apply", "no kernel", 77),
    "export without right":        ("export", "no kernel", 77),
    "show without anything":       ("show", "no kernel", 69),
    "zero without an engine":      ("zero", "", 69),
    "show of an unknown service":  ("show wbe", "unknown", 1),
    "zero of an unknown service":  ("zero wbe", "unknown", 1),
    "plan of two files":           ("plan a b", "", 64),
    "show in two views":           ("show --stats --rate", "", 64),
    "export of a service":         ("export web", "", 64),
}  # fmt: skip


@pytest.mark.parametrize(("words", "there", "status"), STATUSES.values(), ids=STATUSES)
def test_statuses(
    place: Place, monkeypatch: pytest.MonkeyPatch, words: str, there: str, status: int
) -> None:
    """docs/contract.md, section 3. What is 0, 1, 2, 69 and 75 beside these is above."""
    place.write({"bad": BAD, "other": RUNS_OTHER}.get(there, FILE))
    if there == "no kernel":
        no_kernel(monkeypatch)
    door = paths.CONTROL_SOCKET if words.startswith("zero") else paths.VIEW_SOCKET
    with ExitStack() as stack:
        if there == "unknown":
            stack.enter_context(engine_that_says(place.folder, [UNKNOWN], door))
        try:
            found = place.run(words)
        except SystemExit as left:
            found = int(left.code or 0)

    assert found == status


def test_garbage_collection_goes_on_afterwards(place: Place) -> None:
    """It rests while a file is read."""
    with check.undisturbed():
        assert not gc.isenabled()

    place.run("plan")
    assert gc.isenabled()
