"""What a command may ask of the engine, and the answers."""

import time
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from pathlib import Path

import msgspec
import trio

from director.engine import memory
from director.engine.firewall import Firewall
from director.engine.journal import Journal
from director.engine.news import News
from director.engine.operator import Operator, refusal
from director.engine.reading import Reading
from director.engine.reconcile import Reconciler
from director.engine.telling import tell_status
from director.engine.workers import Workers
from director.errors import DirectorError, Exit
from director.kernel.look import KernelLook, Look
from director.link import Link
from director.model.state import Finding
from director.policy.facts import Facts
from director.policy.report import Surroundings
from director.wire.framing import BrokenFrame
from director.wire.messages import Answer, Ask

REQUESTS_MAX = 64  # of one connection: a command asks once or twice, `--wait` polls
ASK_MAX = 64 * 1024  # bytes

Told = Callable[[Ask], Answer]
ToldInPieces = Callable[[Ask], AsyncGenerator[Answer, None]]
Known = Mapping[str, Told | ToldInPieces]


class Verbs:
    """Answers Asks. Reading is for everybody at view.sock, changing for those at control.sock."""

    def __init__(
        self,
        *,
        facts: Facts,
        reconciler: Reconciler,
        workers: Workers,
        firewall: Firewall,
        journal: Journal,
        news: News,
        remembered: memory.Memory,
        state_file: Path,
        open_look: Callable[[], Look] = KernelLook,
    ) -> None:
        self._facts = facts
        self._reconciler = reconciler
        self._workers = workers
        self._firewall = firewall
        self.loaded_at = time.time()
        operator = Operator(facts, news, remembered, state_file)
        self._journal = journal
        reading = Reading(facts, reconciler, time.time, open_look)
        self._reading: Known = {
            "status": self._status,
            "show": reading.show,
            "events": self._events,
        }
        self._changing: dict[str, Told | ToldInPieces] = {
            "maintenance": operator.maintenance,
            "drain": operator.drain,
            "undrain": operator.undrain,
            "weight": operator.weight,
            "failover": self._failover,
            "zero": reading.zero,
        }

    def add(self, verb: str, told: ToldInPieces) -> None:
        """One more that changes something."""
        self._changing[verb] = told

    async def view(self, stream: trio.SocketStream) -> None:
        """A conversation that may only read."""
        await self._converse(stream, self._reading)

    async def control(self, stream: trio.SocketStream) -> None:
        """A conversation that may change things."""
        await self._converse(stream, {**self._reading, **self._changing})

    def _look_around(self) -> Surroundings:
        """All but the services, now."""
        return Surroundings(
            at=time.time(),
            loaded_at=self.loaded_at,
            roles=self._workers.roles,
            processes=self._workers.states(),
            refused=self._reconciler.refused,
            repairs=dict(self._reconciler.repairs),
            leaving=tuple(self._reconciler.ownership.leaving),
            lacking=(
                *(_not_connected(role) for role in self._workers.missing()),
                *self._firewall.lacking,
                *self._reconciler.findings(),
                *self._workers.movers.lacking(),
            ),
            programs=self._workers.programs.states(),
        )

    async def _converse(self, stream: trio.SocketStream, verbs: Known) -> None:
        link = Link(stream)
        asked = 0
        async with stream, aclosing(link.messages(ASK_MAX)) as messages:
            async for message in messages:
                asked += 1
                if not isinstance(message, Ask) or asked > REQUESTS_MAX:
                    break
                try:
                    async with aclosing(_answers(message, verbs)) as answers:
                        async for answer in answers:
                            await link.send(answer)
                except (trio.BrokenResourceError, trio.ClosedResourceError):
                    break
                except BrokenFrame as error:
                    said = refusal(Exit.BUG, str(error), "director show SERVICE tells less")
                    await link.send(Answer(Exit.BUG, faults=said.faults))

    def _status(self, _ask: Ask) -> AsyncGenerator[Answer, None]:
        return tell_status(self._facts, self._reconciler, self._look_around)

    async def _events(self, ask: Ask) -> AsyncGenerator[Answer, None]:
        await self._journal.wait(ask.args)
        fresh = self._journal.after(ask.args)
        yield Answer(Exit.DONE, msgspec.json.encode(fresh).decode())

    def _failover(self, ask: Ask) -> Answer:
        router = ask.args.get("router", "")
        names = [one.name for one in self._facts.config.routers]
        if router and router not in names:
            fault = f"there is no virtual router {router!r}"
            raise refusal(Exit.NO, fault, f"one of: {', '.join(names)}")
        if not self._workers.hand_over(router):
            fault = "the vrrp process is not connected"
            raise refusal(Exit.UNREACHABLE, fault, "it restarts by itself; see `director status`")
        return Answer(Exit.DONE)


async def _answers(ask: Ask, verbs: Known) -> AsyncGenerator[Answer, None]:
    verb = verbs.get(ask.verb)
    try:
        if verb is None:
            mend = "the verbs that change something need the group director-admin"
            raise refusal(Exit.RIGHTS, f"{ask.verb!r} is not to be asked here", mend)
        answer = verb(ask)
        if isinstance(answer, Answer):
            yield answer
            return
        async with aclosing(answer) as pieces:
            async for piece in pieces:
                yield piece
    except DirectorError as error:
        yield Answer(error.status, faults=error.faults)


def _not_connected(role: str) -> Finding:
    return Finding(
        "alarm",
        role,
        f"the {role} process is not connected",
        f"systemctl status director-{role}, or the log of `director up`",
    )
