"""policy/events: what happened, from what was and what is."""

import msgspec
import pytest

from director.model.address import Endpoint, Family
from director.model.check import Health, Standing, TcpCheck
from director.model.config import Config, SyncSettings
from director.model.event import By, Change
from director.model.ops import (
    AddDestination,
    DeleteService,
    Op,
    Refused,
    SetSysctl,
    SetTimeouts,
    StartSync,
    StopSync,
)
from director.model.pool import Member, Service
from director.model.service import Destination, ServiceKey, ServiceSettings
from director.policy.desired import DesiredService, derive
from director.policy.events import (
    about,
    applied,
    config_changes,
    refused,
    role_changes,
    service_changes,
)
from director.policy.facts import Facts
from director.policy.weight import Override
from director.wire.messages import Role, RoleName

HTTP, HTTPS = (ServiceKey(Family.IPV4, address="192.0.2.10", port=port) for port in (80, 443))
ONE = Endpoint("10.0.8.11", 80)
NOW = 1000.0


def facts_of(*, virtuals: tuple[ServiceKey, ...] = (HTTP,), quorum: int = 1) -> Facts:
    """One service with two real servers, each checked by itself."""
    members = tuple(
        Member(name=name, addresses=(address,), checks=(TcpCheck(),))
        for name, address in (("web1", ONE.address), ("web2", "10.0.8.12"))
    )
    service = Service(
        name="web", virtuals=virtuals, settings=ServiceSettings(), members=members, quorum=quorum
    )
    return Facts(Config(node="lb1", interfaces={}, services=(service,), digest="abc"))


class Story:
    """Facts, and what each piece of news is told as."""

    def __init__(self, facts: Facts) -> None:
        self.facts = facts
        self.stands: DesiredService = derive(facts, "web", NOW)

    def hear(self, address: str, health: Health, reason: str = "because") -> list[Change]:
        keys = [
            key for key, target in self.facts.probing.targets.items()
            if target.endpoint.address == address
        ]  # fmt: skip
        self.facts.learn_standings([Standing(key, health, reason) for key in keys], NOW)
        return self.turn()

    def say(self, override: Override | None) -> list[Change]:
        self.facts.learn_override("web", "web1", override)
        return self.turn()

    def turn(self, now: float = NOW) -> list[Change]:
        before, self.stands = self.stands, derive(self.facts, "web", now)
        self.facts.learn_courses(self.stands.courses)
        return service_changes(self.facts.services["web"], before, self.stands, now)


def settled(facts: Facts) -> Story:
    story = Story(facts)
    story.hear(ONE.address, "up")
    story.hear("10.0.8.12", "up")
    return story


def test_what_was_never_known_is_no_news() -> None:
    """The first look at a service, and first verdicts that are good, its quorum with them."""
    facts = facts_of()
    story = Story(facts)

    assert service_changes(facts.services["web"], None, story.stands, NOW) == []
    assert story.hear(ONE.address, "up") == []
    assert story.hear("10.0.8.12", "up") == []


def test_a_first_verdict_that_is_bad_is_news() -> None:
    """And with the last one it is known that the quorum is not met; not before."""
    story = Story(facts_of(quorum=2))

    first, second = story.hear(ONE.address, "down", "HTTP 503"), story.hear("10.0.8.12", "up")

    assert first == [
        Change(
            "destination.down", "web/web1", "unknown", "down", "HTTP 503 (10.0.8.11:80)", "check"
        )
    ]
    assert second == [
        Change("service.quorum-lost", "web", "unknown", "lost", "1 up, 2 needed", "check")
    ]


def test_up_and_down() -> None:
    """With the reason, who is about it, and the quorum when it goes and comes."""
    story = settled(facts_of(quorum=2))

    assert story.hear(ONE.address, "down", "layer4 timeout") == [
        Change(
            "destination.down", "web/web1", "up", "down", "layer4 timeout (10.0.8.11:80)", "check"
        ),
        Change("service.quorum-lost", "web", "met", "lost", "1 up, 2 needed", "check"),
    ]
    assert story.hear(ONE.address, "down", "HTTP 503") == []
    assert story.hear(ONE.address, "up", "layer4 ok") == [
        Change("destination.up", "web/web1", "down", "up", "layer4 ok (10.0.8.11:80)", "check"),
        Change("service.quorum-met", "web", "lost", "met", "2 up, 2 needed", "check"),
    ]


def test_one_endpoint_is_told_of_once() -> None:
    """In two virtual services that send to one port; each port of its own is another matter."""
    port = Member(name="web1", addresses=(ONE.address,), port=80, checks=(TcpCheck(port=80),))
    facts = facts_of(virtuals=(HTTP, HTTPS))
    service = msgspec.structs.replace(facts.services["web"], members=(port,))
    shared = Facts(msgspec.structs.replace(facts.config, services=(service,)))

    assert [one.kind for one in settled(shared).hear(ONE.address, "down")] == [
        "destination.down",
        "service.quorum-lost",
        "service.serving",
    ]
    kinds = [(one.kind, one.reason) for one in settled(facts).hear(ONE.address, "down")]
    assert kinds == [
        ("destination.down", "because (10.0.8.11:80)"),
        ("destination.down", "because (10.0.8.11:443)"),
    ]


FIVE = Override("weight", 5, until=NOW + 9)
QUIET = Override("maintenance")
WORDS = {
    # before                      then                                  now      kind, from, to, by
    "into maintenance":     (None,  QUIET,                                NOW,     ("maintenance", "none", "maintenance", "operator")),
    "out of maintenance":   (QUIET, None,                                 NOW,     ("maintenance", "maintenance", "none", "operator")),
    "a weight":             (None,  Override("weight", 50, percent=True), NOW,     ("weight", "100", "50", "operator")),
    "another weight":       (FIVE,  Override("weight", 7),                NOW,     ("weight", "5", "7", "operator")),
    "a weight taken back":  (FIVE,  None,                                 NOW,     ("weight", "5", "100", "operator")),
    "a weight's time over": (FIVE,  FIVE,                                 NOW + 9, ("weight", "5", "100", "time")),
}  # fmt: skip


@pytest.mark.parametrize(("before", "then", "now", "told"), WORDS.values(), ids=WORDS)
def test_an_operators_word(
    before: Override | None, then: Override | None, now: float, told: tuple[str, str, str, str]
) -> None:
    """What it changes, and whether somebody or the clock has taken it back."""
    story = settled(facts_of())
    story.say(before)
    story.facts.learn_override("web", "web1", then)

    (change,) = story.turn(now)

    kind, *ends = told
    assert (change.kind, change.object) == (f"destination.{kind}", "web/web1")
    assert [change.from_, change.to, change.by] == ends


def test_who_serves() -> None:
    """From the real servers to nobody, and back."""
    story = settled(facts_of())
    story.hear(ONE.address, "down")

    gone, back = story.hear("10.0.8.12", "down"), story.hear("10.0.8.12", "up")

    told = [(one.kind, one.from_, one.to) for one in gone + back]
    assert told == [
        ("destination.down", "up", "down"),
        ("service.quorum-lost", "met", "lost"),
        ("service.serving", "real", "none"),
        ("destination.up", "down", "up"),
        ("service.quorum-met", "lost", "met"),
        ("service.serving", "none", "real"),
    ]


def test_a_drain_has_an_end() -> None:
    """Its beginning, and that the destination is gone: here at once, since nobody is connected."""
    changes = settled(facts_of()).say(Override("drain", until=NOW + 60))

    assert [(one.kind, one.from_, one.to, one.by) for one in changes] == [
        ("destination.drain", "none", "drain", "operator"),
        ("destination.drained", "drain", "gone", "time"),
    ]


ROLES: dict[str, tuple[str | None, RoleName, bool, tuple[str, By] | None]] = {
    # was, is, asked to hand over -> kind, by
    "heard first":           (None,     "active", False, ("role.active", "peer")),
    "heard first, off":      (None,     "off",    False, None),
    "as it was":             ("active", "active", False, None),
    "taken over":            ("backup", "active", False, ("role.active", "peer")),
    "given up":              ("active", "backup", False, ("role.backup", "peer")),
    "given up as asked":     ("active", "backup", True,  ("role.backup", "operator")),
    "asked and broken":      ("active", "fault",  True,  ("role.fault", "kernel")),
    "stopped":               ("backup", "off",    False, ("role.off", "kernel")),
}  # fmt: skip


@pytest.mark.parametrize(("was", "is_", "asked", "told"), ROLES.values(), ids=ROLES)
def test_roles(was: str | None, is_: RoleName, asked: bool, told: tuple[str, By] | None) -> None:
    """Who moved it; what is heard first comes from `unknown`."""
    role = Role("web", 51, is_, 150, 1.0, (), reason="why")

    changes = role_changes({"web": was} if was else {}, [role], ["web"] if asked else [])

    want = [] if told is None else [Change(told[0], "web", was or "unknown", is_, "why", told[1])]
    assert changes == want


SYNC = StartSync("master", SyncSettings(interface="eth2", id=51))
DONE: dict[str, tuple[Op, bool, list[tuple[str, str, str, str]]]] = {
    # operation                 repairs  kind, object, to, by
    "as wanted":        (SetSysctl("net.ipv4.vs.am_droprate", "10"), False, []),
    "drift":            (SetSysctl("net.ipv4.vs.am_droprate", "10"), True,
                         [("kernel.repaired", "net.ipv4.vs.am_droprate", "", "kernel")]),
    "sync starts":      (SYNC, False, [("sync.running", "master", "running", "operator")]),
    "sync stops":       (StopSync("backup"), False, [("sync.stopped", "backup", "stopped", "operator")]),
    "sync was stopped": (SYNC, True, [("kernel.repaired", "sync master", "", "kernel"),
                                      ("sync.running", "master", "running", "kernel")]),
}  # fmt: skip


@pytest.mark.parametrize(("op", "repairs", "told"), DONE.values(), ids=DONE)
def test_what_was_done_to_the_kernel(
    op: Op, repairs: bool, told: list[tuple[str, str, str, str]]
) -> None:
    """What the file asks for is no news; what somebody else undid is, and sync always."""
    changes = applied(op, repairs=repairs)

    assert [(one.kind, one.object, one.to, one.by) for one in changes] == told


def test_what_an_operation_is_about() -> None:
    """The object of a refusal as commands and the kernel name it."""
    add = AddDestination(HTTP, ONE, Destination(weight=1))

    assert about(add) == "tcp/192.0.2.10:80 10.0.8.11:80"
    assert about(DeleteService(HTTP)) == "tcp/192.0.2.10:80"
    assert about(SetTimeouts(tcp=1.0)) == "timeouts"
    change = refused(Refused(add, 28))
    assert (change.kind, change.object) == ("kernel.refused", "tcp/192.0.2.10:80 10.0.8.11:80")
    assert "ENOSPC" in change.reason


def test_a_file_in_force() -> None:
    """And what was lost beside it."""
    config = facts_of().config

    assert config_changes(config, "") == [Change("config.loaded", "lb1", "", "abc", "", "operator")]
    assert [one.kind for one in config_changes(config, "torn")] == [
        "config.loaded",
        "config.memory-lost",
    ]
