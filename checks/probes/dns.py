# A datagram that does not answer our question is passed over: anybody can send one (the socket is
# connected, the number is of chance, and the question must come back). Only STRANGERS_MAX are. A
# truncated answer is asked for again over TCP, in what is left of the time (RFC 7766 section 5).
"""DNS: up when a question gets the wanted answer."""

import secrets

from checks.dns_wire import Answer, BadMessage, query, read
from checks.probes.on_lane import LaneProber
from checks.talk import INVALID, LISTEN, Step, Talk, Verdict
from director.model.check import DnsCheck, Target

STRANGERS_MAX = 16


class DnsTalk(Talk):
    """One question in a datagram."""

    transport = "udp"

    def __init__(self, check: DnsCheck) -> None:
        self._check = check
        self._asked = query(secrets.randbits(16), check.query, check.record)
        self._strangers = 0

    def begin(self) -> Step:
        return self._asked

    def hear(self, data: bytes) -> Step:
        try:
            answer = read(data, self._asked)
        except BadMessage:
            self._strangers += 1
            return LISTEN if self._strangers < STRANGERS_MAX else INVALID
        return DnsStreamTalk(self._check) if answer.truncated else judge(self._check, answer)


class DnsStreamTalk(Talk):
    """The same question over TCP: each message behind its length."""

    def __init__(self, check: DnsCheck) -> None:
        self._check = check
        self._asked = query(secrets.randbits(16), check.query, check.record)
        self._heard = b""

    def begin(self) -> Step:
        return len(self._asked).to_bytes(2, "big") + self._asked

    def hear(self, data: bytes) -> Step:
        self._heard += data
        size = int.from_bytes(self._heard[:2], "big")
        if len(self._heard) < 2 or len(self._heard) < 2 + size:
            return LISTEN
        try:
            return judge(self._check, read(self._heard[2 : 2 + size], self._asked))
        except BadMessage:
            return INVALID


def judge(check: DnsCheck, answer: Answer) -> Verdict:
    """Is this answer the wanted one?"""
    if answer.rcode != check.rcode:
        return Verdict(ok=False, text=f"DNS {answer.rcode}")
    if check.answer and not set(check.answer) & set(answer.addresses):
        return Verdict(ok=False, text=f"DNS {answer.rcode}, none of the wanted addresses")
    return Verdict(ok=True, text=f"DNS {answer.rcode}")


class DnsProber(LaneProber):
    """Questions over UDP, or over TCP from the first where the check says so."""

    def talk(self, target: Target) -> Talk:
        """A fresh number for each question."""
        check = target.check
        assert isinstance(check, DnsCheck)
        return DnsStreamTalk(check) if check.tcp else DnsTalk(check)


def open_prober() -> DnsProber:
    """The prober for DnsCheck."""
    return DnsProber()
