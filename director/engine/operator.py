# What an operator says about real servers: kept apart from all other inputs of a weight, recorded
# in state.json so that it survives us, and taken back by the operator alone or by its own time.
#
# A place has one word. Whoever would replace maintenance or a drain by a mere weight is told so: it
# would silently put the server back into traffic.
"""`maintenance`, `drain`, `undrain`, `weight`."""

import re
from collections.abc import Mapping
from pathlib import Path

import msgspec
import trio

from director.engine import memory
from director.engine.news import News
from director.errors import DirectorError, Exit, Fault
from director.model.service import WEIGHT_MAX
from director.policy.facts import Facts
from director.policy.weight import Override
from director.units import parse_duration
from director.wire.messages import Answer, Ask

FOR_MAX = 3650 * 86400.0  # seconds

Place = tuple[str, str]  # service, real server


class Operator:
    """Takes an operator's words about real servers, and records them."""

    def __init__(
        self, facts: Facts, news: News, remembered: memory.Memory, state_file: Path
    ) -> None:
        self._facts = facts
        self._news = news
        self._memory = remembered
        self._state_file = state_file

    def maintenance(self, ask: Ask) -> Answer:
        """Weight 0 until it is taken back."""
        places = self._find(ask.args.get("server", ""))
        switch = ask.args.get("switch", "")
        if switch not in ("on", "off"):
            raise refusal(Exit.USAGE, f"{switch!r} is no switch", "give on or off")
        if switch == "on":
            return self._override(places, dict.fromkeys(places, Override("maintenance")))
        # A weight by hand is another matter, and stays.
        return self._override(places, self._without(places, "maintenance"))

    def drain(self, ask: Ask) -> Answer:
        """Weight 0, and gone once it is empty, or at the deadline; said again: a new deadline."""
        places = self._find(ask.args.get("server", ""))
        self._refuse_over(places, "maintenance")
        now = trio.current_time()
        given = _parse_time(ask.args["deadline"]) if "deadline" in ask.args else None
        words: dict[Place, Override] = {}
        for service, name in places:
            lasts = self._facts.services[service].drain if given is None else given
            words[service, name] = Override("drain", until=now + lasts, lasts=lasts)
        answer = self._override(places, words)
        if answer.faults:
            return answer
        longest = max(one.lasts for one in words.values())
        body = {"places": ["/".join(place) for place in places], "seconds": longest}
        return Answer(answer.status, msgspec.json.encode(body).decode())

    def undrain(self, ask: Ask) -> Answer:
        """Back to what the file and health say."""
        places = self._find(ask.args.get("server", ""))
        return self._override(places, self._without(places, "drain"))

    def weight(self, ask: Ask) -> Answer:
        """A weight by hand, for a time or until it is taken back."""
        places = self._find(ask.args.get("server", ""))
        override = _parse_weight(ask.args, trio.current_time())
        self._refuse_over(places, "maintenance", "drain")
        return self._override(places, dict.fromkeys(places, override))

    def _refuse_over(self, places: list[Place], *kinds: str) -> None:
        for place in places:
            if (kind := self._kind(place)) in kinds:
                name = "/".join(place)
                fault = (
                    f"{name} is in maintenance" if kind == "maintenance" else f"{name} is drained"
                )
                undo = "maintenance off" if kind == "maintenance" else "undrain"
                raise refusal(Exit.NO, fault, f"director {undo} {name}")

    def _without(self, places: list[Place], kind: str) -> dict[Place, Override | None]:
        return dict.fromkeys(place for place in places if self._kind(place) == kind)

    def _kind(self, place: Place) -> str:
        override = self._facts.overrides.get(place)
        return "" if override is None else override.kind

    def _find(self, server: str) -> list[Place]:
        """`SERVICE/NAME` is one place, a bare `NAME` is the real server in all its services."""
        service_name, _, name = server.rpartition("/")
        found = [
            (service.name, member.name)
            for service in self._facts.services.values()
            for member in service.pool
            if member.name == name and service_name in ("", service.name)
        ]
        if not found:
            known = sorted(
                {member.name for one in self._facts.services.values() for member in one.pool}
            )
            mend = f"one of: {', '.join(known[:20])}"
            raise refusal(Exit.NO, f"there is no {server!r}", mend)
        return found

    def _override(self, places: list[Place], overrides: Mapping[Place, Override | None]) -> Answer:
        """Learn and record; the answer names `places`, of which some may have nothing to change."""
        for (service, name), override in overrides.items():
            self._news.tell(self._facts.learn_override(service, name, override))
        self._memory.overrides = memory.from_overrides(self._facts.overrides, trio.current_time())
        try:
            memory.store(self._state_file, self._memory)
        except OSError as error:
            # The word counts all the same: refusing a drain because a disk is full helps nobody.
            fault = Fault(
                fault=f"done, but not recorded: {error.strerror}",
                mend=f"make room at {self._state_file}, then say it again",
            )
            return Answer(Exit.PARTLY, faults=(fault,))
        return Answer(Exit.DONE, msgspec.json.encode([f"{s}/{n}" for s, n in places]).decode())


def _parse_weight(args: Mapping[str, str], now: float) -> Override | None:
    """What `weight` asks for; None is `auto`."""
    text = args.get("weight", "")
    lasts = _parse_time(args["for"]) if "for" in args else 0.0
    if "for" in args and not lasts:
        mend = "give a time above 0s, or leave --for out: until revoked"
        raise refusal(Exit.USAGE, f"{args['for']!r} is no time to wait for", mend)
    if text == "auto":
        return None
    digits = text.removesuffix("%")
    if re.fullmatch("[0-9]{1,5}", digits) is None or int(digits) > WEIGHT_MAX:
        mend = f"give 0..{WEIGHT_MAX}, a share (50%) or auto"
        raise refusal(Exit.USAGE, f"{text!r} is no weight", mend)
    return Override("weight", int(digits), text.endswith("%"), now + lasts if lasts else 0.0, lasts)


def _parse_time(text: str) -> float:
    """Seconds."""
    try:
        seconds = parse_duration(text)
    except ValueError as error:
        raise refusal(Exit.USAGE, str(error), 'write "1h"') from error
    if seconds > FOR_MAX:
        raise refusal(Exit.USAGE, f"{text!r} is no time to wait for", "give a time up to 3650d")
    return seconds


def refusal(status: Exit, fault: str, mend: str) -> DirectorError:
    """An answer that is no."""
    return DirectorError(status, Fault(fault=fault, mend=mend))
