# What happened, in order: a ring in memory, a log line each, and the hooks that asked for it. The
# journal of systemd keeps what the ring has lost.
"""Events: numbered, kept, logged, told."""

import logging
import secrets
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping

import msgspec
import trio

from director.errors import DirectorError, Exit, Fault
from director.model.event import Change, Event, Events, Hook
from director.policy.lanes import Job
from director.policy.report import rfc3339
from director.wire.messages import Ran

KEPT = 10_000
WAIT_MAX = 30.0  # seconds that one who follows may wait for an answer

log = logging.getLogger("director.events")

Tell = Callable[[Iterable[Change]], None]
# The last part of a kind that is worth a warning in the log.
BAD = ("down", "quorum-lost", "fault", "stopped", "memory-lost")


def unheard(_changes: Iterable[Change]) -> None:
    """What tells to nobody."""


class Journal:
    """The events of this run of the engine. `ask` has a hook run."""

    def __init__(self, node: str, hooks: Iterable[Hook], ask: Callable[[Job], None]) -> None:
        self._node = node
        self._hooks = tuple(hooks)
        self._ask = ask
        self._events: deque[Event] = deque(maxlen=KEPT)
        self._last = 0
        self._engine = secrets.token_hex(4)
        self._news = trio.Event()

    def renew(self, hooks: Iterable[Hook]) -> None:
        """Who is told from now on."""
        self._hooks = tuple(hooks)

    def tell(self, changes: Iterable[Change]) -> None:
        """These have happened."""
        for change in changes:
            self._last += 1
            said = {name: getattr(change, name) for name in Change.__struct_fields__}
            event = Event(**said, seq=self._last, at=rfc3339(time.time()), node=self._node)
            self._events.append(event)
            text = msgspec.json.encode(event).decode()
            if change.about != "kernel":  # whoever does something to the kernel has said so
                level = logging.WARNING if change.kind.endswith(BAD) else logging.INFO
                log.log(level, "%s", change, extra={"json": text})
            for hook in self._hooks:
                if change.about in hook.on:
                    self._ask(_job(hook, change, text))
        self._news.set()
        self._news = trio.Event()

    async def wait(self, args: Mapping[str, str]) -> None:
        """Until there is something after `since`, or for `wait` seconds."""
        try:
            since, patience = self._since(args), _seconds(args.get("wait", "0"))
        except DirectorError:
            return  # the answer says what is wrong
        with trio.move_on_after(patience):
            while since >= self._last:
                await self._news.wait()

    def after(self, args: Mapping[str, str]) -> Events:
        """What came after number `since` of this engine; everything, for another's.

        Raises DirectorError for what is no number.
        """
        since = self._since(args)
        _seconds(args.get("wait", "0"))
        first = self._events[0].seq if self._events else 0
        fresh = tuple(self._events)[max(0, since - first + 1) :]
        return Events(self._engine, self._last, fresh)

    def _since(self, args: Mapping[str, str]) -> int:
        text = args.get("since", "0")
        if not (text.isascii() and text.isdigit() and len(text) < 18):
            raise _wrong(f"{text!r} is no number of an event", "give the last one that you have")
        return int(text) if args.get("engine", self._engine) == self._engine else 0


def _seconds(text: str) -> float:
    if not (text.isascii() and text.isdigit() and int(text[:9]) <= WAIT_MAX and len(text) < 9):
        raise _wrong(f"{text!r} is no time to wait", f"give whole seconds, {WAIT_MAX:g} at most")
    return float(text)


def _wrong(fault: str, mend: str) -> DirectorError:
    return DirectorError(Exit.USAGE, Fault(fault=fault, mend=mend))


def _job(hook: Hook, change: Change, text: str) -> Job:
    return Job(
        who=f"hook {hook.run[0]}",
        object=change.object,
        argv=hook.run,
        stdin=f"{text}\n",
        timeout=hook.timeout,
        done=_heard,
    )


def _heard(_ran: Ran) -> None:
    """How it ended is logged and counted for every program; a hook is not run again."""
