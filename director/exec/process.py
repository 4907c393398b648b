# The exec process: nobody else starts foreign programs (but the engine, nft). It decides nothing:
# what to run, in which order and how many at once is the engine's (policy/lanes.py). It holds no
# capability, so that neither does what it starts.
"""Run programs for the engine until SIGTERM."""

import ctypes
import logging
import os
import pwd
import signal
from pathlib import Path

import trio

from director import paths
from director.exec.program import Identity, Programs, be_reaper
from director.link import Link, connect
from director.wire.messages import BEAT_EVERY, Beat, Cancel, Hello, Ran, Run

USER = "director-exec"
NOBODY = "nobody"
RECONNECT_EVERY = 0.2
# Seconds that runs may still take once the engine has gone, or we shall. The next engine's runs
# have to wait for them, or two about one object would overlap.
END_WITHIN = 5.0
RUNS_MAX = 256  # under way at once; the engine asks for far fewer
PR_SET_NO_NEW_PRIVS = 38

log = logging.getLogger("director.exec")


def run(runtime: Path) -> None:
    """Blocks until SIGTERM or SIGINT."""
    identity = give_up_root()
    be_reaper()
    trio.run(Exec(runtime, identity).main)


def give_up_root() -> Identity:
    """Become USER for good; where there is no such user, stay, and start programs as nobody.

    Root is what we are under `director up` alone. Then nobody but us may become more again either:
    a set-user-id bit counts for nothing (under systemd the unit says so).
    """
    if os.geteuid() != 0:
        return Identity()
    ctypes.CDLL(None).prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    try:
        user = pwd.getpwnam(USER)
    except KeyError:
        log.warning("there is no user %s: programs are started as %s", USER, NOBODY)
        nobody = pwd.getpwnam(NOBODY)
        return Identity(nobody.pw_uid, nobody.pw_gid, ())
    os.initgroups(USER, user.pw_gid)
    os.setgid(user.pw_gid)
    os.setuid(user.pw_uid)
    return Identity()


class Exec:
    """Programs, and the line to the engine."""

    def __init__(self, runtime: Path, identity: Identity) -> None:
        self._path = runtime / paths.WORKERS_SOCKET
        self._programs = Programs(identity)
        self._scopes: dict[int, trio.CancelScope] = {}
        self._idle = trio.Event()
        self._idle.set()
        self._link: Link | None = None

    async def main(self) -> None:
        """Until SIGTERM; what runs then may end within END_WITHIN."""
        with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._keep_linked, nursery)
                async for _ in signals:
                    break
                await self._end_all()
                nursery.cancel_scope.cancel()

    async def _keep_linked(self, runs: trio.Nursery) -> None:
        while True:
            link = await connect(self._path)
            if link is not None:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(link.pump)
                    link.say(Hello("exec", "exec", os.getpid()))
                    nursery.start_soon(self._beat, link)
                    self._link = link
                    await self._listen(link, runs)
                    self._link = None
                    nursery.cancel_scope.cancel()
                await self._end_all()
            await trio.sleep(RECONNECT_EVERY)

    async def _listen(self, link: Link, runs: trio.Nursery) -> None:
        async for message in link.messages():
            match message:
                case Run() if len(self._scopes) >= RUNS_MAX:
                    link.say(Ran(message.id, fault=f"{RUNS_MAX} programs run already"))
                case Run():
                    scope = self._scopes[message.id] = trio.CancelScope()
                    self._idle = trio.Event()
                    runs.start_soon(self._carry_out, message, scope)
                case Cancel(number) if number in self._scopes:
                    self._scopes[number].cancel()
                case _:
                    pass

    async def _carry_out(self, run: Run, scope: trio.CancelScope) -> None:
        done = Ran(run.id, fault="cancelled")
        with scope:
            done = await self._programs.run(run)
        del self._scopes[run.id]
        if self._link is not None:
            self._link.say(done)
        if not self._scopes:
            self._idle.set()

    async def _end_all(self) -> None:
        """Let what runs end, and kill what does not."""
        with trio.move_on_after(END_WITHIN):
            await self._idle.wait()
        for scope in self._scopes.values():
            scope.cancel()
        await self._idle.wait()

    async def _beat(self, link: Link) -> None:
        while True:
            due = trio.current_time() + BEAT_EVERY
            await trio.sleep_until(due)
            link.say(Beat(trio.current_time() - due))
            await self._programs.sweep()
