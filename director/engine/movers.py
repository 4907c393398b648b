# Virtual routers in mode "hook": a command moves the address, as in a cloud that has no ARP.
#
# vrrp starts no programs: it says its roles, and from here director-exec is asked to run it.
#
# Rules of this room:
# 1. It is a state that is told and not a change: `active` again every AGAIN_EVERY while we are, and
#    anew by every engine. Whoever changed the cloud meanwhile, also a late command of the node that
#    was active before, is put right by that. So the command has to bear being told twice.
# 2. One command a router at a time. One whose word is no longer true is killed before the next one.
# 3. What fails while we are active is tried again, longer apart each time, and is an alarm until it
#    went well.
# 4. `backup` is told RELEASE_AFTER later, and tried once: make before break. Told at once it would
#    overtake a slow claim of the new active director, and the address would point nowhere between
#    the two, while the old one still serves what comes. A director that is stopped meanwhile leaves
#    the address where it points.
"""Tell the commands that move addresses whether we are active."""

import math
import time
from collections.abc import Callable, Iterable

import msgspec
import trio

from director.engine.programs import Programs
from director.model.config import Config
from director.model.event import Mover
from director.model.state import Finding
from director.policy.lanes import Job
from director.policy.report import rfc3339
from director.wire.messages import Ran, Role

AGAIN_EVERY = 60.0  # seconds
RELEASE_AFTER = 5.0  # seconds: as long as an address that was given up lingers (vrrp/mute.py)
BACK_OFF_FIRST, BACK_OFF_MAX = 1.0, 60.0
UNKNOWN = "unknown"


class Move(msgspec.Struct, frozen=True, rename={"from_": "from"}):
    """What a command reads: this node went `from` one role `to` another, or is in it still."""

    router: str
    node: str
    at: str
    from_: str
    to: str
    addresses: tuple[str, ...]
    format: int = 1


class Movers:
    """The routers whose addresses a command moves."""

    def __init__(self, config: Config, programs: Programs) -> None:
        self._programs = programs
        self._seats: dict[str, Seat] = {}
        self._nursery: trio.Nursery | None = None
        self.renew(config)

    async def run(self) -> None:
        """For ever."""
        async with trio.open_nursery() as self._nursery:
            for seat in self._seats.values():
                self._nursery.start_soon(seat.run)
            await trio.sleep_forever()

    def renew(self, config: Config, roles: Iterable[Role] = ()) -> None:
        """Another file. A command that it names as before goes on; what it does not name ends."""
        addresses = {one.name: tuple(str(vip.prefix) for vip in one.vips) for one in config.routers}
        before, self._seats = self._seats, {}
        for mover in config.movers:
            fresh = Seat(mover, config.node, addresses[mover.router], self._programs)
            there = before.get(mover.router)
            if there is not None and there.is_like(fresh):
                self._seats[mover.router] = before.pop(mover.router)
                continue
            self._seats[mover.router] = fresh
            if self._nursery is not None:
                self._nursery.start_soon(fresh.run)
        for seat in before.values():
            seat.scope.cancel()
        self.learn(roles)

    def learn(self, roles: Iterable[Role]) -> None:
        """How the routers stand."""
        for role in roles:
            if role.router in self._seats:
                self._seats[role.router].learn("active" if role.role == "active" else "backup")

    def lacking(self) -> list[Finding]:
        """Routers that are active here and whose addresses may be elsewhere."""
        return [
            Finding(
                "alarm",
                name,
                f"active, but the command that moves its addresses failed: {seat.failure}",
                "see the log for earlier ones; it is tried again, a minute apart at most",
            )
            for name, seat in self._seats.items()
            if seat.failure
        ]


class Seat:
    """One router. `failure` says how its command failed while it is active."""

    def __init__(
        self, mover: Mover, node: str, addresses: tuple[str, ...], programs: Programs
    ) -> None:
        self.failure = ""
        self._mover = mover
        self._node = node
        self._addresses = addresses
        self._programs = programs
        self.does = mover, addresses
        self.scope = trio.CancelScope()
        self._role = UNKNOWN
        self._from = UNKNOWN
        self._changed = trio.Event()

    def learn(self, role: str) -> None:
        """`active` or `backup`."""
        if role != self._role:
            self._from, self._role = self._role, role
            self._changed.set()
            self._changed = trio.Event()

    def is_like(self, other: "Seat") -> bool:
        """Would the other one do the same?"""
        return self.does == other.does

    async def run(self) -> None:
        """Until its scope is cancelled."""
        with self.scope:
            await self._run()

    async def _run(self) -> None:
        """For ever, from the first word on."""
        while self._role == UNKNOWN:
            await self._changed.wait()
        failures = 0
        told = ""
        while True:
            changed, role = self._changed, self._role
            if role != "active":
                self.failure = ""
                if await _happens_within(changed, RELEASE_AFTER):
                    continue
            ran = await self._tell(changed, self._from if told != role else role)
            if changed.is_set():
                failures, self.failure = 0, ""
                continue
            failures = 0 if ran.well else failures + 1
            self.failure = "" if ran.well or role != "active" else str(ran)
            told = role if ran.well else told
            await _happens_within(changed, _patience(role, failures))

    async def _tell(self, changed: trio.Event, from_: str) -> Ran:
        """Run the command and wait for its end; killed when what it tells is no longer true."""
        ended: list[Ran] = []
        end = trio.Event()

        def done(ran: Ran) -> None:
            ended.append(ran)
            end.set()

        job = self._job(from_, done)
        self._programs.ask(job)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._cancel_when, changed, job)
            await end.wait()
            nursery.cancel_scope.cancel()
        return ended[0]

    async def _cancel_when(self, changed: trio.Event, job: Job) -> None:
        await changed.wait()
        self._programs.cancel(job.who, job.object)

    def _job(self, from_: str, done: Callable[[Ran], None]) -> Job:
        mover = self._mover
        at = rfc3339(time.time())
        move = Move(mover.router, self._node, at, from_, self._role, self._addresses)
        return Job(
            who=f"command {mover.run[0]}",
            object=mover.router,
            argv=mover.run,
            stdin=msgspec.json.encode(move).decode() + "\n",
            timeout=mover.timeout,
            done=done,
            urgent=True,
            quiet=from_ == self._role,
        )


async def _happens_within(event: trio.Event, seconds: float) -> bool:
    with trio.move_on_after(seconds):
        await event.wait()
    return event.is_set()


def _patience(role: str, failures: int) -> float:
    """Seconds until it is told again while nothing changes."""
    if role != "active":
        return math.inf
    if not failures:
        return AGAIN_EVERY
    return float(min(BACK_OFF_MAX, BACK_OFF_FIRST * 2 ** min(failures - 1, 10)))
