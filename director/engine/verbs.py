"""What a command may ask of the engine, and the answers."""

import re
import time
from collections.abc import Callable, Mapping
from contextlib import aclosing
from pathlib import Path

import msgspec
import trio

from director.engine import memory
from director.engine.firewall import Firewall
from director.engine.reconcile import News, Reconciler
from director.engine.workers import Workers
from director.errors import DirectorError, Exit, Fault
from director.link import Link
from director.model.service import WEIGHT_MAX
from director.model.state import Finding, State
from director.policy.facts import Facts
from director.policy.report import Surroundings, report
from director.policy.weight import Override
from director.units import parse_duration
from director.wire.messages import Answer, Ask

REQUESTS_MAX = 64  # of one connection: a command asks once or twice, `--wait` polls
ASK_MAX = 64 * 1024  # bytes
FOR_MAX = 3650 * 86400.0  # seconds

Place = tuple[str, str]  # service, real server


class Verbs:
    """Answers Asks. Reading is for everybody at view.sock, changing for those at control.sock."""

    def __init__(
        self,
        *,
        facts: Facts,
        reconciler: Reconciler,
        workers: Workers,
        firewall: Firewall,
        news: News,
        remembered: memory.Memory,
        state_file: Path,
    ) -> None:
        self._facts = facts
        self._reconciler = reconciler
        self._workers = workers
        self._firewall = firewall
        self._news = news
        self._memory = remembered
        self._state_file = state_file
        self._loaded_at = time.time()
        self._reading: dict[str, Callable[[Ask], Answer]] = {"status": self._status}
        self._changing: dict[str, Callable[[Ask], Answer]] = {
            "maintenance": self._maintenance,
            "weight": self._weight,
            "failover": self._failover,
        }

    async def view(self, stream: trio.SocketStream) -> None:
        """A conversation that may only read."""
        await self._converse(stream, self._reading)

    async def control(self, stream: trio.SocketStream) -> None:
        """A conversation that may change things."""
        await self._converse(stream, self._reading | self._changing)

    def state(self) -> State:
        """Everything, now."""
        around = Surroundings(
            at=time.time(),
            loaded_at=self._loaded_at,
            roles=self._workers.roles,
            processes=self._workers.states(),
            refused=self._reconciler.refused,
            repaired=self._reconciler.repaired,
            lacking=(
                *(_not_connected(role) for role in self._workers.missing()),
                *self._firewall.lacking,
            ),
        )
        return report(self._facts, self._reconciler.desired, around)

    async def _converse(
        self, stream: trio.SocketStream, verbs: dict[str, Callable[[Ask], Answer]]
    ) -> None:
        link = Link(stream)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(link.pump)
            asked = 0
            async with aclosing(link.messages(ASK_MAX)) as messages:
                async for message in messages:
                    asked += 1
                    if not isinstance(message, Ask) or asked > REQUESTS_MAX:
                        break
                    link.say(self._answer(message, verbs))
            nursery.cancel_scope.cancel()

    def _answer(self, ask: Ask, verbs: dict[str, Callable[[Ask], Answer]]) -> Answer:
        verb = verbs.get(ask.verb)
        if verb is None:
            fault = Fault(
                fault=f"{ask.verb!r} is not to be asked here",
                mend="the verbs that change something need the group director-admin",
            )
            return Answer(Exit.RIGHTS, faults=(fault,))
        try:
            return verb(ask)
        except DirectorError as error:
            return Answer(error.status, faults=error.faults)

    def _status(self, _ask: Ask) -> Answer:
        state = self.state()
        return Answer(Exit.DONE if state.well else Exit.NO, msgspec.json.encode(state).decode())

    def _maintenance(self, ask: Ask) -> Answer:
        places = self._find(ask.args.get("server", ""))
        switch = ask.args.get("switch", "")
        if switch not in ("on", "off"):
            raise _error(Exit.USAGE, f"{switch!r} is no switch", "give on or off")
        if switch == "on":
            return self._override(places, dict.fromkeys(places, Override("maintenance")))
        # A weight by hand is another matter, and stays.
        return self._override(places, dict.fromkeys(filter(self._in_maintenance, places)))

    def _weight(self, ask: Ask) -> Answer:
        places = self._find(ask.args.get("server", ""))
        override = _parse_weight(ask.args, trio.current_time())
        if quiet := [f"{one}/{name}" for one, name in places if self._in_maintenance((one, name))]:
            fault, mend = f"{quiet[0]} is in maintenance", f"director maintenance off {quiet[0]}"
            raise _error(Exit.NO, fault, mend)
        return self._override(places, dict.fromkeys(places, override))

    def _failover(self, ask: Ask) -> Answer:
        router = ask.args.get("router", "")
        names = [one.name for one in self._facts.config.routers]
        if router and router not in names:
            fault = f"there is no virtual router {router!r}"
            raise _error(Exit.NO, fault, f"one of: {', '.join(names)}")
        if not self._workers.hand_over(router):
            fault = "the vrrp process is not connected"
            raise _error(Exit.UNREACHABLE, fault, "it restarts by itself; see `director status`")
        return Answer(Exit.DONE)

    def _find(self, server: str) -> list[Place]:
        """`SERVICE/NAME` is one place, a bare `NAME` is the real server in all its services."""
        service_name, _, name = server.rpartition("/")
        found = [
            (service.name, member.name)
            for service in self._facts.services.values()
            for member in service.members
            if member.name == name and service_name in ("", service.name)
        ]
        if not found:
            known = sorted(
                {member.name for one in self._facts.services.values() for member in one.members}
            )
            mend = f"one of: {', '.join(known[:20])}"
            raise _error(Exit.NO, f"there is no {server!r}", mend)
        return found

    def _in_maintenance(self, place: Place) -> bool:
        override = self._facts.overrides.get(place)
        return override is not None and override.kind == "maintenance"

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


def _not_connected(role: str) -> Finding:
    return Finding(
        "alarm",
        role,
        f"the {role} process is not connected",
        f"systemctl status director-{role}, or the log of `director up`",
    )


def _parse_weight(args: Mapping[str, str], now: float) -> Override | None:
    """What `weight` asks for; None is `auto`."""
    text = args.get("weight", "")
    until = now + _parse_for(args["for"]) if "for" in args else 0.0
    if text == "auto":
        return None
    digits = text.removesuffix("%")
    if re.fullmatch("[0-9]{1,5}", digits) is None or int(digits) > WEIGHT_MAX:
        mend = f"give 0..{WEIGHT_MAX}, a share (50%) or auto"
        raise _error(Exit.USAGE, f"{text!r} is no weight", mend)
    return Override("weight", int(digits), text.endswith("%"), until)


def _parse_for(text: str) -> float:
    """Seconds; never 0, which would mean for ever."""
    try:
        seconds = parse_duration(text)
    except ValueError as error:
        raise _error(Exit.USAGE, str(error), 'write "1h"') from error
    if not 0 < seconds <= FOR_MAX:
        mend = "give a time up to 3650d, or leave --for out: until revoked"
        raise _error(Exit.USAGE, f"{text!r} is no time to wait for", mend)
    return seconds


def _error(status: Exit, fault: str, mend: str) -> DirectorError:
    return DirectorError(status, Fault(fault=fault, mend=mend))
