"""policy/report: what `director status` shows."""

import errno
import json
import re
from pathlib import Path
from typing import Any

import msgspec
import pytest

from director.model.address import Endpoint, Family
from director.model.check import Health, Standing, TcpCheck
from director.model.config import Config, SyncSettings
from director.model.match import Match
from director.model.ops import Observed, Refused, SetDestination
from director.model.pool import Member, Place, Service
from director.model.service import (
    Counters,
    Destination,
    Forwarding,
    Protocol,
    ServiceKey,
    ServiceSettings,
    VirtualService,
)
from director.model.state import Finding, ProcessState, ProgramState, State
from director.policy.desired import derive
from director.policy.facts import Facts
from director.policy.probing import target_of
from director.policy.report import (
    Surroundings,
    findings_of,
    frame_of,
    rfc3339,
    service_state,
    show_virtual,
)
from director.policy.sysctls import sysctls_wanted
from director.policy.weight import Override
from director.wire.messages import Role

CONTRACT = Path(__file__).parents[3] / "docs" / "contract.md"
WEB = ServiceKey(Family.IPV4, address="192.0.2.10", port=80)
MARK = ServiceKey(Family.IPV4, mark=20)
FOREIGN = ServiceKey(Family.IPV4, address="198.51.100.1", port=25)
ONE, TWO = Endpoint("10.0.8.11", 80), Endpoint("10.0.8.12", 80)
CHECK = TcpCheck(port=80)
SYNC = SyncSettings(interface="eth2", id=51)
SETTINGS = ServiceSettings()
HELD = Role("web", 51, "active", 150, 86400.0, ("192.0.2.10",), peer="192.0.2.3")
PROCESS = ProcessState("vrrp", 7, "2026-01-01T00:00:00.000Z", 0.5)


def facts_of(
    one: Health = "up",
    two: Health = "up",
    *,
    sync: SyncSettings | None = None,
    observed: Observed | None = None,
    **more: Any,
) -> Facts:
    members = (
        Member(name="web1", addresses=(ONE.address,), checks=(CHECK,)),
        Member(name="web2", addresses=(TWO.address,), checks=(CHECK,), forwarding=Forwarding.NAT),
    )
    service = Service(name="web", virtuals=(WEB,), settings=SETTINGS, members=members, **more)
    facts = Facts(Config(node="lb1", interfaces={}, services=(service,), sync=sync, digest="abc"))
    for endpoint, health in ((ONE, one), (TWO, two)):
        key = target_of(CHECK, endpoint).key
        facts.learn_standings([Standing(key, health, "HTTP 503", 86400.0, ("HTTP 503",))], now=0.0)
    if observed:
        observed.sysctls = observed.sysctls or sysctls_wanted(facts.config)
        facts.learn_observed(observed, 0.0)
    return facts


def state_of(facts: Facts, **around: Any) -> State:
    known: dict[str, Any] = {"at": 86400.5, "loaded_at": 86400.0, "roles": (), "processes": ()}
    desired = {name: derive(facts, name, 0.0) for name in facts.services}
    services = tuple(
        service_state(one, desired[one.name], facts.observed) for one in facts.services.values()
    )
    findings = [finding for one in services for finding in findings_of(one)]
    frame = frame_of(facts, Surroundings(**(known | around)), findings)
    return msgspec.structs.replace(frame, services=services)


def test_all_is_well() -> None:
    """Nothing to mend, and every number in its place."""
    observed = Observed(
        table={
            WEB: VirtualService(SETTINGS, {ONE: Destination(weight=100)}),
            FOREIGN: VirtualService(SETTINGS, {}),
        },
        counters={Place(WEB, ONE): Counters(active=3, inactive=1)},
        sync={"master": SYNC, "backup": SYNC},
    )
    facts = facts_of(sync=SYNC, observed=observed)
    facts.learn_override("web", "web2", Override("weight", 7))

    state = state_of(
        facts, roles=(HELD,), processes=(PROCESS,), repairs={"service lost": 1, "sysctl changed": 3}
    )

    assert (state.well, state.findings) == (True, ())
    assert (state.node, state.at) == ("lb1", "1970-01-02T00:00:00.500Z")
    assert (state.config.hash, state.config.loaded_at) == ("abc", "1970-01-02T00:00:00.000Z")
    service = state.services[0]
    assert (service.virtual, service.protocol, service.scheduler) == (
        ("192.0.2.10:80",),
        "tcp",
        "wlc",
    )
    assert (service.forwarding, service.serving) == ("dr nat", "real")
    assert (service.quorum.met, service.quorum.up, service.quorum.need) == (True, 2, 1)
    first, second = service.destinations
    assert (first.real_server, first.address, first.active, first.inactive) == (
        "web1",
        str(ONE),
        3,
        1,
    )
    assert (first.weight.configured, first.weight.wanted, first.weight.kernel) == (100, 100, 100)
    assert (first.health, first.since, first.operator) == ("up", "1970-01-02T00:00:00.000Z", "none")
    assert (second.weight.wanted, second.weight.kernel, second.operator) == (7, None, "weight")
    assert second.weight.because == ("operator",)
    assert (state.sync.master, state.sync.backup) == (True, True)
    assert state.kernel.foreign == ("tcp/198.51.100.1:25",)
    assert state.kernel.repaired == 4
    assert state.kernel.repairs == {"service lost": 1, "sysctl changed": 3}
    assert state.virtual_routers[0].peer == "192.0.2.3"
    assert state.processes == (PROCESS,)


REFUSAL = Refused(SetDestination(WEB, ONE, Destination(weight=0)), errno.ENOMEM)
LACKING = Finding("alarm", "checks", "the checks process is not connected", "see systemctl")
NOTICE = Finding("notice", "checks", "only to know", "nothing")
OFF = msgspec.structs.replace(HELD, role="off", reason="eth0 is down")
FAULT = msgspec.structs.replace(HELD, role="fault")
BACKUP = msgspec.structs.replace(HELD, role="backup")
ONE_RUNS = Observed(sync={"master": SYNC})

ONE_DOWN = ("warning", "web/web1", "down: HTTP 503 (10.0.8.11:80)")
TWO_DOWN = ("warning", "web/web2", "down: HTTP 503 (10.0.8.12:80)")
SORRY = Member(name="sorry", addresses=("10.0.8.77",), role="sorry")

# what it is: facts, surroundings, well, (severity, object, a word of the fault) of each finding
FINDINGS: dict[str, tuple[Facts, dict[str, Any], bool, list[tuple[str, str, str]]]] = {
    "one down":          (facts_of("down"), {}, False, [ONE_DOWN]),
    "unknown":           (facts_of("unknown"), {}, True, []),
    "too early to say":  (facts_of("unknown", "unknown", quorum=2), {}, True, []),
    "quorum lost":       (facts_of("down", quorum=2), {}, False, [ONE_DOWN, ("alarm", "web", "1 up, 2 needed")]),
    "none up":           (facts_of("down", "down"), {}, False, [ONE_DOWN, TWO_DOWN, ("alarm", "web", "0 up, 1 needed")]),
    "the sorry server":  (facts_of("down", "down", sorry=SORRY), {}, False, [ONE_DOWN, TWO_DOWN, ("alarm", "web", "the sorry server serves: 0 up, 1 needed")]),
    "panic":             (facts_of("down", "down", panic_below=0.3), {}, False, [ONE_DOWN, TWO_DOWN, ("alarm", "web", "all serve, whatever their checks say: 0 of 2 are up")]),
    "backup is well":    (facts_of(), {"roles": (BACKUP,)}, True, []),
    "router off":        (facts_of(), {"roles": (OFF,)}, False, [("alarm", "web", "eth0 is down")]),
    "router at fault":   (facts_of(), {"roles": (FAULT,)}, False, [("alarm", "web", "takes no part: fault")]),
    "refused":           (facts_of(), {"refused": (REFUSAL,)}, False, [("alarm", "10.0.8.11:80", "ENOMEM")]),
    "a process lacks":   (facts_of(), {"lacking": (LACKING,)}, False, [("alarm", "checks", "not connected")]),
    "a notice":          (facts_of(), {"lacking": (NOTICE,)}, True, [("notice", "checks", "only to know")]),
    "no daemon runs":    (facts_of(sync=SYNC), {}, False, [("alarm", "sync", "the master and backup sync daemon")]),
    "one daemon runs":   (facts_of(sync=SYNC, observed=ONE_RUNS), {}, False, [("alarm", "sync", "the backup sync daemon")]),
}  # fmt: skip


@pytest.mark.parametrize(("facts", "around", "well", "found"), FINDINGS.values(), ids=FINDINGS)
def test_what_is_not_well(
    facts: Facts, around: dict[str, Any], well: bool, found: list[tuple[str, str, str]]
) -> None:
    """Each with its severity, what it is about, and a mend; a notice alone is no illness."""
    state = state_of(facts, **around)

    assert state.well is well
    assert [finding.severity for finding in state.findings] == [
        severity for severity, _, _ in found
    ]
    for finding, (_, about, fault) in zip(state.findings, found, strict=True):
        assert about in finding.object
        assert fault in finding.fault
        assert finding.mend


def test_a_refusal_is_shown_with_its_mend() -> None:
    """As the kernel named it."""
    state = state_of(facts_of(), refused=(REFUSAL,))

    (shown,) = state.kernel.refused
    assert (shown.errno, shown.mend) == ("ENOMEM", REFUSAL.mend)


def test_nobody_serves() -> None:
    """All down: weight 0 everywhere."""
    assert state_of(facts_of("down", "down")).services[0].serving == "none"


def test_two_that_are_active_are_an_alarm_while_they_are() -> None:
    """It names the other one; afterwards only the count is left."""
    role = msgspec.structs.replace(HELD, conflict="192.0.2.3 is active too", conflicts=2)
    past = msgspec.structs.replace(HELD, conflicts=2)

    now, then = state_of(facts_of(), roles=(role,)), state_of(facts_of(), roles=(past,))

    (finding,) = now.findings
    assert (finding.severity, finding.object) == ("alarm", "web")
    assert finding.fault == "two are active: 192.0.2.3 is active too"
    assert "protocol 112" in finding.mend
    assert (then.well, then.virtual_routers[0].conflicts) == (True, 2)


INSTANTS = {
    0.0: "",
    -1.0: "",
    1e18: "",
    float("nan"): "",
    float("inf"): "",
    1767225600.25: "2026-01-01T00:00:00.250Z",
}


@pytest.mark.parametrize(("wall", "text"), INSTANTS.items())
def test_instants(wall: float, text: str) -> None:
    """UTC; what a worker says of no calendar ends no engine."""
    assert rfc3339(wall) == text


def test_a_mark_is_shown_as_the_file_spells_it() -> None:
    """And an address with its port, and a wide range as the range."""
    web = Service(name="web", virtuals=(WEB, MARK), settings=ServiceSettings(), members=())
    match = Match("192.0.2.10", "192.0.2.10", Protocol.TCP, 80, 180, MARK.mark)
    ranged = msgspec.structs.replace(web, matches=(match,))

    assert (show_virtual(web, MARK), show_virtual(web, WEB)) == ("fwmark 20", "192.0.2.10:80")
    assert show_virtual(ranged, MARK) == "192.0.2.10:80-180"


# Keys that the contract promises and that are not built yet; adding one means taking it out here.
NOT_BUILT = {"coverage", "lag_s", "link", "up", "peer", "same_config"}


def keys_of(value: Any) -> set[str]:
    """All keys in a JSON value, at any depth."""
    if isinstance(value, dict):
        return set(value) | {key for inner in value.values() for key in keys_of(inner)}
    if isinstance(value, list):
        return {key for inner in value for key in keys_of(inner)}
    return set()


def test_the_shape_is_the_contracts() -> None:
    """Every key of docs/contract.md, section 4, that is built; those that are not have a list."""
    block = CONTRACT.read_text().split("## 4.")[1].split("```")[1].split("\nevent:")[0]
    promised = set(re.findall(r"[a-z_]+(?=[:,}\]])", re.sub(r": [a-z|]+(?=[,}\]])", ":", block)))
    facts = facts_of("down", sync=SYNC, observed=Observed())
    ran = (ProgramState("hook /bin/log"),)
    full = state_of(facts, roles=(HELD,), processes=(PROCESS,), refused=(REFUSAL,), programs=ran)

    shown = keys_of(json.loads(msgspec.json.encode(full)))

    assert {"format", "virtual_routers", "real_server", "lateness_ms", "wanted"} <= promised
    assert promised - shown - NOT_BUILT == set()
    assert json.loads(msgspec.json.encode(full))["format"] == 1


@pytest.mark.parametrize(
    ("late", "gap", "mend"),
    [(2, 9.0, ""), (3, 0.25, '"130ms"'), (3, 0.2, '"110ms"'), (9, 2.0, '"1010ms"')],
)
def test_adverts_that_are_late_again_and_again_are_worth_a_word(
    late: int, gap: float, mend: str
) -> None:
    """It names the interval of which the gap is less than two."""
    role = msgspec.structs.replace(HELD, late=late, late_gap=gap)

    found = [one for one in state_of(facts_of(), roles=(role,)).findings if "late" in one.fault]

    assert [one.severity for one in found] == ["notice"] * bool(mend)
    assert all(mend in one.mend for one in found)


def test_a_destination_that_was_removed_says_so() -> None:
    """Down, and not in the table: one of UDP, or one that was down for `cut_after`."""
    facts = facts_of("down")
    (service,) = facts.services.values()
    facts.services["web"] = msgspec.structs.replace(service, on_fail="remove")

    one, two = state_of(facts).services[0].destinations

    assert one.weight.because == ("down", "removed")
    assert two.weight.because == ("configured",)


@pytest.mark.parametrize(
    ("family", "want"), [(Family.IPV4, "fwmark 20"), (Family.IPV6, "fwmark 20 ipv6")]
)
def test_a_mark_is_a_virtual_service_of_any_protocol(family: Family, want: str) -> None:
    """The kernel calls it TCP; packets of every protocol may have the mark."""
    facts = facts_of()
    (service,) = facts.services.values()
    member = Member(name="web1", addresses=("10.0.8.11", "2001:db8:8::11"))
    marked = msgspec.structs.replace(
        service, virtuals=(ServiceKey(family, mark=20),), members=(member,)
    )

    state = state_of(Facts(Config(node="lb1", interfaces={}, services=(marked,)))).services[0]

    assert (state.virtual, state.protocol) == ((want,), "any")


def test_a_program_that_failed_the_last_time_is_worth_a_word() -> None:
    """No more than a word: nothing is out of order here, and nobody can take it back."""
    well = ProgramState("hook /bin/log", runs=3, failed=2, last="exit status 0")
    failed = ProgramState("hook /bin/mail", runs=1, failed=1, last="signal 9", last_failed=True)

    state = state_of(facts_of(), programs=(well, failed))

    assert state.programs == (well, failed)
    assert state.well
    (finding,) = state.findings
    assert (finding.severity, finding.object) == ("notice", "hook /bin/mail")
    assert finding.fault == "its last run failed: signal 9"
