"""The kinds that travel on the lane: what each says, and every answer it may get. No network."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from checks.dns_wire import HEADER, query
from checks.probes.agent import LINE_MAX, AgentTalk
from checks.probes.dns import STRANGERS_MAX, DnsStreamTalk, DnsTalk
from checks.probes.ping import PingTalk
from checks.probes.tcp import HEARD_MAX, ExpectTalk
from checks.probes.udp import UdpTalk
from checks.talk import CLOSED, INVALID, LISTEN, Step, Talk, Verdict
from director.model.check import AgentCheck, DnsCheck, TcpCheck, UdpCheck

AGENTS = {
    # the server says            so
    b"up\n":                     (True, "agent: up"),
    b"ready\r\n":                (True, "agent: ready"),
    b"75%\n":                    (True, "agent: 75%"),
    b"up 75%\n":                 (True, "agent: 75%"),
    b"maxconn:30, up\n":         (True, "agent: up"),
    b"UP\n":                     (True, "agent: up"),
    b"0%\n":                     (True, "agent: 0%"),
    b"drain\n":                  (True, "agent: drain"),
    b"maint\n":                  (True, "agent: maint"),
    b"75% drain\n":              (True, "agent: drain"),
    b"drain 75%\n":              (True, "agent: drain"),
    b"75% down\n":               (False, "agent: down"),
    b"ready,down#no_disk\n":     (False, "agent: down#no_disk"),
    b"stopped\nup\n":            (False, "agent: stopped"),
    b"failed#\x1b[2J\n":         (False, "agent: failed#?[2J"),
    b"hello\n":                  (False, "layer7 invalid response"),
    b"\n":                       (False, "layer7 invalid response"),
    b"\xffup\n":                 (False, "layer7 invalid response"),
    b"x" * (LINE_MAX + 1):       (False, "layer7 invalid response"),
}  # fmt: skip


def _said(step: Step) -> tuple[bool, str]:
    assert isinstance(step, Verdict), step
    return step.ok, step.text


@pytest.mark.parametrize(("data", "said"), AGENTS.items())
def test_what_an_agent_says(data: bytes, said: tuple[bool, str]) -> None:
    """Whole and byte by byte."""
    whole, pieces = AgentTalk(AgentCheck()), AgentTalk(AgentCheck())
    steps = [pieces.hear(bytes([one])) for one in data]

    assert whole.begin() == LISTEN
    assert _said(whole.hear(data)) == said
    assert _said(next(step for step in steps if step != LISTEN)) == said


SHARES = {
    b"up\n": 1.0, b"ready 75%\n": 0.75, b"100%\n": 1.0, b"999%\n": 1.0, b"0%\n": 0.0,
    b"maint\n": 0.0, b"drain\n": 0.0, b"down\n": None,
}  # fmt: skip


@pytest.mark.parametrize(("data", "share"), SHARES.items())
def test_what_share_an_agent_asks_for(data: bytes, share: float | None) -> None:
    """Of its weight; one that is down asks for nothing."""
    verdict = AgentTalk(AgentCheck()).hear(data)

    assert isinstance(verdict, Verdict)
    assert verdict.share == share


def test_an_agent_may_end_its_line_by_closing() -> None:
    talk, silent = AgentTalk(AgentCheck(send="web\n")), AgentTalk(AgentCheck())

    assert talk.begin() == b"web\n"
    assert talk.hear(b"80%") == LISTEN
    assert _said(talk.end()) == (True, "agent: 80%")
    assert silent.end() == CLOSED


def test_expect() -> None:
    """Found across pieces; not found within the bound, or before the end, is another answer."""
    check = TcpCheck(send="PING\r\n", expect="+PONG")
    found, flooded, ended, silent = (ExpectTalk(check) for _ in range(4))

    assert found.begin() == b"PING\r\n"
    assert found.hear(b"hello +PO") == LISTEN
    assert _said(found.hear(b"NG\r\n")) == (True, "layer7 ok")
    assert flooded.hear(b"x" * (HEARD_MAX - 1)) == LISTEN
    assert _said(flooded.hear(b"+PONG")) == (False, "another answer than expected")
    assert ended.hear(b"-ERR") == LISTEN
    assert _said(ended.end()) == (False, "another answer than expected")
    assert silent.end() == CLOSED


def test_udp() -> None:
    """Silence is up unless an answer is due; an answer that does not fit is neither."""
    loose = UdpTalk(UdpCheck())
    due = UdpTalk(UdpCheck(payload=b"hi", must_answer=True))
    fits = UdpTalk(UdpCheck(expect=b"pong", must_answer=True))

    assert loose.begin() == b"\0"
    assert due.begin() == b"hi"
    assert loose.silence() == Verdict(ok=True, text="no answer, no error")
    assert _said(loose.hear(b"")) == (True, "answered")
    assert due.silence() is None
    assert fits.hear(b"other") == LISTEN
    assert fits.silence() == Verdict(ok=False, text="another answer than expected")
    assert _said(fits.hear(b"a pong")) == (True, "answered")


def test_ping() -> None:
    """The echo of our own data, of the family's type, and nothing else."""
    for six, reply in ((False, 0), (True, 129)):
        talk = PingTalk(six=six)
        sent = talk.begin()
        assert isinstance(sent, bytes)
        assert sent[0] == (128 if six else 8)
        assert talk.hear(sent) == LISTEN
        assert talk.hear(bytes([reply]) + sent[1:-1] + b"?") == LISTEN
        assert _said(talk.hear(bytes([reply]) + sent[1:])) == (True, "echo reply")


def _reply(asked: bytes, flags: int, record: bytes = b"") -> bytes:
    return (
        HEADER.pack(int.from_bytes(asked[:2], "big"), flags, 1, bool(record), 0, 0)
        + asked[12:]
        + record
    )


def _asked(talk: Talk) -> bytes:
    sent = talk.begin()
    assert isinstance(sent, bytes)
    return sent


ADDRESS = b"\xc0\x0c\0\1\0\1\0\0\0\1\0\4\xc0\0\2\1"
DNS = {
    # the check wants                                   flags   record    so
    "the code":       (DnsCheck(query="a.b"),           0x8180, b"",      (True, "DNS NOERROR")),
    "another code":   (DnsCheck(query="a.b"),           0x8182, b"",      (False, "DNS SERVFAIL")),
    "no such name":   (DnsCheck(query="a.b", rcode="NXDOMAIN"), 0x8183, b"", (True, "DNS NXDOMAIN")),
    "an address":     (DnsCheck(query="a.b", answer=("192.0.2.1", "192.0.2.2")), 0x8180, ADDRESS, (True, "DNS NOERROR")),
    "another address": (DnsCheck(query="a.b", answer=("192.0.2.2",)), 0x8180, ADDRESS, (False, "DNS NOERROR, none of the wanted addresses")),
}  # fmt: skip


@pytest.mark.parametrize(("check", "flags", "record", "said"), DNS.values(), ids=DNS)
def test_dns(check: DnsCheck, flags: int, record: bytes, said: tuple[bool, str]) -> None:
    """The same over a datagram and over a stream."""
    talk, stream = DnsTalk(check), DnsStreamTalk(check)
    framed = _reply(_asked(stream)[2:], flags, record)

    assert _said(talk.hear(_reply(_asked(talk), flags, record))) == said
    assert stream.hear(len(framed).to_bytes(2, "big") + framed[:5]) == LISTEN
    assert _said(stream.hear(framed[5:])) == said


def test_a_cut_answer_is_asked_for_again_over_tcp() -> None:
    talk = DnsTalk(DnsCheck(query="a.b"))

    step = talk.hear(_reply(_asked(talk), 0x8380))

    assert isinstance(step, DnsStreamTalk)
    assert step.transport == "tcp"


def test_strangers_are_passed_over_but_not_for_ever() -> None:
    """Anybody can send a datagram; an answer to another question is one of those."""
    talk = DnsTalk(DnsCheck(query="a.b"))
    other = _reply(query(1, "c.d", "A"), 0x8180)

    steps = [talk.hear(other) for _ in range(STRANGERS_MAX)]

    assert steps == [LISTEN] * (STRANGERS_MAX - 1) + [INVALID]
    assert DnsStreamTalk(DnsCheck(query="a.b")).hear(b"\0\1?") == INVALID


TALKS = {
    "agent": lambda: AgentTalk(AgentCheck()),
    "expect": lambda: ExpectTalk(TcpCheck(expect="\0never\0")),
    "udp": lambda: UdpTalk(UdpCheck(expect=b"\0never\0")),
    "ping": lambda: PingTalk(six=False),
    "dns": lambda: DnsTalk(DnsCheck(query="a.b")),
    "dns over tcp": lambda: DnsStreamTalk(DnsCheck(query="a.b")),
}


@pytest.mark.parametrize("make", TALKS.values(), ids=TALKS)
@given(pieces=st.lists(st.binary(min_size=1, max_size=4096), max_size=20))
def test_no_bytes_make_a_talk_raise(make: "type[Talk]", pieces: list[bytes]) -> None:
    """A stranger's bytes are a step, whatever they are."""
    talk = make()
    talk.begin()
    for piece in pieces:
        step = talk.hear(piece)
        assert isinstance(step, bytes | Verdict | Talk)
        if step != LISTEN:
            return
    assert isinstance(talk.end(), Verdict)


@pytest.mark.parametrize("make", TALKS.values(), ids=TALKS)
def test_every_talk_ends_by_itself(make: "type[Talk]") -> None:
    """However much a server sends: 64 KiB and a message at most, or so many datagrams."""
    talk = make()
    talk.begin()

    assert any(talk.hear(b"x" * 4096) != LISTEN for _ in range(17))
