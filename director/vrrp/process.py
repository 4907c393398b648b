# The vrrp process: alone in its address space, so that nothing else can make it late.
#
# It owns the VIPs. From losing the peer to holding the VIP nobody is asked. It starts from the last
# snapshot that the engine wrote and needs no living engine; but a freshly booted node takes no VIP
# before the engine has said that the table stands. A node on which our VIPs or a table are found
# was not freshly booted, and need not wait.
"""Run the vrrp process until SIGTERM."""

import ctypes
import gc
import logging
import os
import signal
from pathlib import Path

import msgspec
import trio

from director import paths
from director.kernel.addresses import Addresses
from director.link import Link, connect
from director.systemd import Systemd
from director.vrrp.chance import open_maps
from director.vrrp.socket import Announcer
from director.vrrp.stage import Stage
from director.vrrp.strays import NAME, Strays
from director.wire.messages import (
    BEAT_EVERY,
    LEVELS_EVERY,
    Beat,
    HandOver,
    Hello,
    Role,
    Roles,
    Snapshot,
    TableReady,
)

RECONNECT_EVERY = 0.2
# Seconds without a word of the engine, gone or hung, until a whole peer may have our place. It is
# started again within a second or two, and adopts the table: that moves nothing.
ENGINE_GRACE = 15.0
LEAST = (-254,)  # what brings any priority down to 1, but for an owner's
LAST_WORD = 0.01  # seconds for the engine to hear how it ended
REALTIME_PRIORITY = 20
MCL_CURRENT_AND_FUTURE = 3

log = logging.getLogger("director.vrrp")


def run(runtime: Path) -> None:
    """Blocks until SIGTERM or SIGINT, then hands over. Raises NoRight."""
    be_punctual()
    trio.run(play, runtime)


async def play(runtime: Path) -> None:
    """The same within a loop that runs already."""
    await Vrrp(runtime, Addresses(), Announcer()).main()


def be_punctual() -> None:
    """Real-time scheduling, locked memory, no garbage collection.

    Each may be denied, and then the process is later than it could be, not wrong. Measured beside
    busy processes: p99 of a timer's lateness 1.3 ms with SCHED_RR, 20 to 60 ms without.
    """
    gc.freeze()
    gc.disable()  # no cycles are made in the loop
    if ctypes.CDLL(None, use_errno=True).mlockall(MCL_CURRENT_AND_FUTURE) != 0:
        why = os.strerror(ctypes.get_errno())
        log.warning("memory is not locked: adverts may be late while the host swaps: %s", why)
    try:
        policy = os.SCHED_RR | os.SCHED_RESET_ON_FORK
        os.sched_setscheduler(0, policy, os.sched_param(REALTIME_PRIORITY))
    except OSError as error:
        if os.sched_getscheduler(0) & ~os.SCHED_RESET_ON_FORK not in (os.SCHED_RR, os.SCHED_FIFO):
            log.warning("no real-time scheduling: adverts may be late under load: %s", error)


class Vrrp:
    """The stage, and its line to the engine."""

    def __init__(
        self,
        runtime: Path,
        addresses: Addresses,
        announcer: Announcer,
        stage: Stage | None = None,
        strays: Strays | None = None,
    ) -> None:
        self._runtime = runtime
        self._stage = stage or Stage(addresses, announcer, maps=open_maps())
        self._stage.tell = self._say_roles
        self._strays = strays or Strays()
        self._link: Link | None = None
        self._said: tuple[Role, ...] | None = None
        self._heard_at = 0.0
        self._alone = False

    async def main(self) -> None:
        """Until SIGTERM."""
        with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
            async with trio.open_nursery() as nursery:
                await nursery.start(self._stage.run)
                self._adopt_snapshot()
                nursery.start_soon(self._keep_linked)
                nursery.start_soon(self._watch_engine)
                Systemd().say("READY=1")
                async for _ in signals:
                    break
                Systemd().say("STOPPING=1")
                await self._stage.hand_over_all()
                await trio.sleep(LAST_WORD)
                nursery.cancel_scope.cancel()

    def _adopt_snapshot(self) -> None:
        """Start from the file that the last engine wrote, if there is one."""
        try:
            data = (self._runtime / paths.SNAPSHOT).read_bytes()
            snapshot = msgspec.json.decode(data, type=Snapshot)
        except FileNotFoundError:
            log.info("no snapshot yet: waiting for the engine")
        except (OSError, msgspec.MsgspecError) as error:
            log.warning("the snapshot cannot be read; waiting for the engine: %s", error)
        else:
            self._play(snapshot)

    def _play(self, snapshot: Snapshot) -> None:
        self._stage.play(snapshot.routers, snapshot.strangers)
        self._strays.play(snapshot.routers)

    async def _keep_linked(self) -> None:
        """Talk to the engine whenever there is one."""
        while True:
            link = await connect(self._runtime / paths.WORKERS_SOCKET)
            if link is not None:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(link.pump)
                    nursery.start_soon(self._beat, link)
                    link.say(Hello("vrrp", "vrrp", os.getpid()))
                    self._link, self._said = link, None
                    self._say_roles()
                    await self._listen(link)
                    self._link = None
                    nursery.cancel_scope.cancel()
            await trio.sleep(RECONNECT_EVERY)

    async def _listen(self, link: Link) -> None:
        async for message in link.messages():
            self._heard_at = trio.current_time()
            match message:
                case Snapshot():
                    self._play(message)
                case TableReady():
                    self._stage.table_ready()
                case HandOver(router):
                    self._stage.hand_over(router)
                case _:
                    pass
            self._say_roles()

    async def _watch_engine(self) -> None:
        """Without an engine nobody mends the table or quiesces a dead server here."""
        self._heard_at = trio.current_time()
        while True:
            await trio.sleep(BEAT_EVERY)
            self._strays.read(trio.current_time())
            alone = trio.current_time() - self._heard_at > ENGINE_GRACE
            if alone is self._alone:
                continue
            self._alone = alone
            self._stage.weigh(LEAST if alone else ())
            if alone:
                log.warning("no word of the engine for %g s: priority 1", ENGINE_GRACE)
            else:
                log.info("the engine is back: priorities as in the file")

    async def _beat(self, link: Link) -> None:
        beats = 0
        while True:
            await trio.sleep(BEAT_EVERY)
            self._stage.count()
            link.say(Beat(self._stage.take_lateness(), self._stage.histogram()))
            beats += 1
            if beats % round(LEVELS_EVERY / BEAT_EVERY) == 0:
                self._said = None
                self._say_roles()

    def _say_roles(self) -> None:
        """Tell the engine, when something changed."""
        if self._link is None:
            return
        roles = self._stage.roles()
        if roles != self._said:
            self._said = roles
            strays = {NAME: self._strays.count} if self._strays.count else {}
            self._link.say(Roles(roles, self._stage.refused() | strays))
