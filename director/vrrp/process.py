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
from collections import Counter
from pathlib import Path

import msgspec
import trio

from director import paths
from director.kernel.addresses import Addresses
from director.link import Link, connect
from director.systemd import Systemd
from director.vrrp.player import Player
from director.vrrp.socket import Announcer
from director.wire.messages import (
    BEAT_EVERY,
    LEVELS_EVERY,
    Beat,
    HandOver,
    Hello,
    Roles,
    Snapshot,
    TableReady,
)

RECONNECT_EVERY = 0.2
LOOK_AT_LINKS_EVERY = 0.5
PATIENCE = 0.5  # seconds, beyond four intervals, that a hand-over waits for the peer
REALTIME_PRIORITY = 20
MCL_CURRENT_AND_FUTURE = 3

log = logging.getLogger("director.vrrp")


def run(runtime: Path) -> None:
    """Blocks until SIGTERM or SIGINT, then hands over. Raises NoRight, SystemLacks."""
    be_punctual()
    trio.run(Vrrp(runtime).main)


def be_punctual() -> None:
    """Real-time scheduling, locked memory, no garbage collection.

    Each may be denied, and then the process is later than it could be, not wrong. Measured beside
    busy processes: p99 of a timer's lateness 1.3 ms with SCHED_RR, 20 to 60 ms without.
    """
    gc.freeze()
    gc.disable()  # no cycles are made in the loop
    ctypes.CDLL(None).mlockall(MCL_CURRENT_AND_FUTURE)
    try:
        policy = os.SCHED_RR | os.SCHED_RESET_ON_FORK
        os.sched_setscheduler(0, policy, os.sched_param(REALTIME_PRIORITY))
    except PermissionError:
        if os.sched_getscheduler(0) & os.SCHED_RR == 0:
            log.warning("no real-time scheduling: adverts may be late under load")


class Vrrp:
    """All virtual routers of this node."""

    def __init__(self, runtime: Path) -> None:
        self._runtime = runtime
        self._addresses = Addresses()
        self._announcer = Announcer()
        self._players: list[Player] = []
        self._snapshot: Snapshot | None = None
        self._table_ready = trio.Event()
        self._link: Link | None = None
        self._said: tuple[object, ...] = ()
        self._released: trio.Event | None = None
        self._nursery: trio.Nursery
        self._scopes: list[trio.CancelScope] = []

    async def main(self) -> None:
        """Until SIGTERM."""
        with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
            async with trio.open_nursery() as nursery:
                self._nursery = nursery
                self._adopt_snapshot()
                nursery.start_soon(self._keep_linked)
                nursery.start_soon(self._watch_links)
                Systemd().say("READY=1")
                async for _ in signals:
                    break
                Systemd().say("STOPPING=1")
                await self._hand_over_all()
                nursery.cancel_scope.cancel()

    def _adopt_snapshot(self) -> None:
        """Start from the file that the last engine wrote, if there is one."""
        try:
            data = (self._runtime / paths.SNAPSHOT).read_bytes()
            self._play(msgspec.json.decode(data, type=Snapshot))
        except FileNotFoundError:
            log.info("no snapshot yet: waiting for the engine")
        except (OSError, msgspec.MsgspecError) as error:
            log.warning("the snapshot cannot be read: %s", error)

    def _play(self, snapshot: Snapshot) -> None:
        """Play these routers; those that stay as they are go on undisturbed."""
        if self._snapshot is not None and self._snapshot.routers == snapshot.routers:
            return
        now = trio.current_time()
        for scope in self._scopes:
            scope.cancel()
        for player in self._players:
            player.stop("the file changed", now)
        self._snapshot = snapshot
        self._players = [
            Player(router, self._addresses, self._announcer) for router in snapshot.routers
        ]
        self._scopes = []
        links = self._addresses.links()
        if any(player.holds_any(links) for player in self._players) or _table_stands():
            self._table_ready.set()
        for player in self._players:
            scope = trio.CancelScope()
            self._scopes.append(scope)
            self._nursery.start_soon(self._keep_playing, player, scope)

    async def _keep_playing(self, player: Player, scope: trio.CancelScope) -> None:
        """The hot task of one router: wait for its socket or its deadline, and turn."""
        with scope:
            await self._table_ready.wait()
            while True:
                if not player.playing:
                    if not player.start(self._addresses.links(), trio.current_time()):
                        self._say_roles()
                        await trio.sleep(LOOK_AT_LINKS_EVERY)
                        continue
                    self._say_roles()
                try:
                    with trio.move_on_at(player.deadline):
                        await trio.lowlevel.wait_readable(player.fileno)
                except trio.ClosedResourceError:
                    continue  # it was stopped while we waited
                player.turn(trio.current_time())
                self._say_roles()
                if self._released and not any(one.state.hold for one in self._players):
                    self._released.set()

    async def _watch_links(self) -> None:
        """An interface that goes down takes its routers out of the race."""
        while True:
            await trio.sleep(LOOK_AT_LINKS_EVERY)
            links = self._addresses.links()
            for player in self._players:
                link = links.get(player.router.interface)
                if player.playing and (link is None or not link.up):
                    trio.lowlevel.notify_closing(player.fileno)
                    player.stop(f"fault: {player.router.interface} is down", trio.current_time())
            self._say_roles()

    async def _keep_linked(self) -> None:
        """Talk to the engine whenever there is one."""
        while True:
            link = await connect(self._runtime / paths.WORKERS_SOCKET)
            if link is not None:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(link.pump)
                    nursery.start_soon(self._beat, link)
                    link.say(Hello("vrrp", "vrrp", os.getpid()))
                    self._link, self._said = link, ()
                    self._say_roles()
                    await self._listen(link)
                    self._link = None
                    nursery.cancel_scope.cancel()
            await trio.sleep(RECONNECT_EVERY)

    async def _listen(self, link: Link) -> None:
        async for message in link.messages():
            match message:
                case Snapshot():
                    self._play(message)
                case TableReady():
                    self._table_ready.set()
                case HandOver(router):
                    self._hand_over(router)
                case _:
                    pass
            self._say_roles()

    async def _beat(self, link: Link) -> None:
        beats = 0
        while True:
            await trio.sleep(BEAT_EVERY)
            lateness = max((player.lateness for player in self._players), default=0.0)
            for player in self._players:
                player.lateness = 0.0
            link.say(Beat(lateness))
            beats += 1
            if beats % round(LEVELS_EVERY / BEAT_EVERY) == 0:
                self._said = ()
                self._say_roles()

    def _say_roles(self) -> None:
        """Tell the engine, when something changed."""
        roles = tuple(player.role() for player in self._players)
        if self._link is None or roles == self._said:
            return
        self._said = roles
        refused = sum((player.refused for player in self._players), start=Counter())
        self._link.say(Roles(roles, dict(refused)))

    def _hand_over(self, router: str) -> None:
        now = trio.current_time()
        for player in self._players:
            if player.playing and router in ("", player.router.name):
                patience = 4 * player.router.interval + PATIENCE
                player.leave(now, patience=patience, stopping=False)

    async def _hand_over_all(self) -> None:
        """Leave every router; return once all VIPs are the peer's, or nobody took them."""
        now = trio.current_time()
        for player in self._players:
            patience = 4 * player.router.interval + PATIENCE
            player.leave(now, patience=patience, stopping=True)
        self._say_roles()
        if any(player.state.hold for player in self._players):
            self._released = trio.Event()
            await self._released.wait()


def _table_stands() -> bool:
    """Are there virtual services in the kernel?"""
    try:
        with Path("/proc/net/ip_vs").open() as table:
            return sum(1 for _ in table) > 3  # three lines of heading
    except OSError:
        return False
