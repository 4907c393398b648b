# The text protocol of HAProxy's agent-check (its configuration manual, "agent-check"): a connection
# on which the server says one line of words, separated by spaces, tabs or commas, and closes.
#
#   up, ready       it may serve
#   down, failed, stopped (each perhaps with #and a reason)     it is down, as fast as `fall` says
#   maint, drain    no new connections, at once: it is well, and asks for none
#   0% to 100%      its share of the weight, at once
#   maxconn:N       passed over
#
# Of several words the worst decides. Nothing that is known is no answer.
"""agent: what a program on the real server says of it."""

import re

from checks.probes.on_lane import LaneProber
from checks.talk import CLOSED, INVALID, LISTEN, Step, Talk, Verdict
from director.model.check import AgentCheck, Target

LINE_MAX = 1024
WORDS = re.compile(r"[ \t,]+")
SHARE = re.compile(r"([0-9]{1,3})%")
SERVING = {"up", "ready"}
DOWN = {"down", "failed", "fail", "stopped"}
RESTING = {"maint", "drain"}


class AgentTalk(Talk):
    """One line, whole when it ends or the connection does."""

    def __init__(self, check: AgentCheck) -> None:
        self._say = check.send.encode()
        self._heard = b""

    def begin(self) -> Step:
        return self._say

    def hear(self, data: bytes) -> Step:
        self._heard += data
        line, end, _ = self._heard.partition(b"\n")
        if end:
            return judge(line)
        return LISTEN if len(self._heard) <= LINE_MAX else INVALID

    def end(self) -> Verdict:
        return judge(self._heard) if self._heard.strip() else CLOSED


def judge(line: bytes) -> Verdict:
    """What a line says."""
    if len(line) > LINE_MAX or not line.isascii() or b"\0" in line:
        return INVALID
    found: tuple[float, str] | None = None  # the share, and the word for it
    for word in WORDS.split(line.decode().strip()):
        name = word.partition("#")[0].lower()
        if name in DOWN:
            return Verdict(ok=False, text=f"agent: {_shown(word)}")
        share = _share_of(name)
        if share is not None and (found is None or share < found[0]):
            found = share, name
    if found is None:
        return INVALID
    return Verdict(ok=True, text=f"agent: {found[1]}", share=found[0])


def _share_of(name: str) -> float | None:
    """Of its weight; None for a word that says nothing of it."""
    if percent := SHARE.fullmatch(name):
        return min(int(percent[1]), 100) / 100
    if name in RESTING:
        return 0.0
    return 1.0 if name in SERVING else None


def _shown(word: str) -> str:
    return "".join(one if one.isprintable() else "?" for one in word)[:80]


class AgentProber(LaneProber):
    """Asks agents over the lane."""

    def talk(self, target: Target) -> Talk:
        """One question."""
        assert isinstance(target.check, AgentCheck)
        return AgentTalk(target.check)


def open_prober() -> AgentProber:
    """The prober for AgentCheck."""
    return AgentProber()
