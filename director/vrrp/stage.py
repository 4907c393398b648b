# All virtual routers of this node, each with the task that turns it.
#
# Rules of this room:
# 1. A socket is never closed under a task that waits for it: `_stop` alone closes one, and says so
#    first (notify_closing).
# 2. A router that the new snapshot does not change is not touched.
# 3. Links and addresses are not asked for but told of (kernel/watch.py); what an event means is
#    decided where all of them have been taken in, so that a storm costs one look.
# 4. Once we are stopping nothing starts any more: an interface that comes back then is too late.
"""Play virtual routers, watch their interfaces, hand them over."""

import logging
import math
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from pathlib import Path

import trio

from director.kernel.addresses import Addresses
from director.kernel.watch import AddressGone, AddressIs, Event, Lost, Watch
from director.model.vip import Router, Vip, goes_on
from director.vrrp.advert_socket import OpenSocket, open_socket
from director.vrrp.chance import Maps
from director.vrrp.claims import Claim
from director.vrrp.ground import READ_EVERY, Ground, table_stands
from director.vrrp.lookout import Lookout, OpenSniffer
from director.vrrp.player import Player
from director.vrrp.sniffer import Sniffer
from director.vrrp.socket import Announcer
from director.vrrp.states import Off
from director.wire.messages import Role

START_AGAIN_EVERY = 1.0  # seconds, in fault; an event about its interface comes sooner
LUMP = 0.002  # seconds: 10,000 bad adverts a second are 500 wake-ups and not 10,000
PATIENCE = 0.5  # seconds, beyond four intervals, that a hand-over waits for the peer
PATIENCE_MORE = 1.0  # seconds after that in which the last VIP has to be gone, come what may
TABLE = Path("/proc/net/ip_vs")

log = logging.getLogger("director.vrrp")


class Seat:
    """A player, and what ends its task."""

    def __init__(self, player: Player) -> None:
        self.player = player
        self.scope = trio.CancelScope()
        self.nap = trio.CancelScope()

    def wake(self) -> None:
        """Its deadline has changed, or what kept it from playing has."""
        player = self.player
        self.nap.deadline = player.deadline if player.playing else -math.inf

    @property
    def patience(self) -> float:
        """Seconds that its hand-over waits for the peer."""
        return 4 * self.player.router.interval + PATIENCE


class Stage:
    """All virtual routers of this node. `run` must run for anything to happen.

    `tell` is called whenever a role may have changed; it must not wait.
    """

    def __init__(
        self,
        addresses: Addresses,
        announcer: Announcer,
        *,
        open_socket: OpenSocket = open_socket,
        maps: Maps | None = None,
        table: Path = TABLE,
        open_watch: Callable[[int], Watch] = Watch,
        open_sniffer: OpenSniffer = Sniffer,
    ) -> None:
        self._addresses = addresses
        self._ground = Ground(addresses)
        self._open_watch = open_watch
        self._lookout = Lookout(announcer, open_sniffer)
        self._lookout.heard = self._claimed
        self._covered: tuple[Router, ...] | None = None
        self._announcer = announcer
        self.tell: Callable[[], None] = lambda: None
        self._open_socket = open_socket
        self._maps = maps
        self._table = table
        self._seats: list[Seat] = []
        self._weights: Sequence[int] = ()
        self._table_ready = trio.Event()
        self._stopping = False
        self._released = trio.Event()
        self._nursery: trio.Nursery

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Until cancelled. It may be told to `play` once it has started."""
        async with trio.open_nursery() as self._nursery:
            await self._nursery.start(self._lookout.run)
            with closing(self._open_watch(self._addresses.port)) as watch:
                self._read_at = trio.current_time() + READ_EVERY
                task_status.started()
                while True:
                    await self._watch(watch)

    def roles(self) -> tuple[Role, ...]:
        """How each router stands."""
        return tuple(seat.player.role() for seat in self._seats)

    def refused(self) -> dict[str, int]:
        """How many adverts were refused, by reason."""
        return dict(sum((Counter(seat.player.refused) for seat in self._seats), Counter()))

    def take_lateness(self) -> float:
        """Seconds: how late the worst timer was since this was last asked."""
        worst = [seat.player.punctuality.take_worst() for seat in self._seats]
        return max(worst, default=0.0)

    def count(self) -> None:
        """What counts by the hour is counted anew."""
        for seat in self._seats:
            seat.player.count(trio.current_time())

    def histogram(self) -> tuple[int, ...]:
        """How many timers were how late (punctuality.BOUNDS), of all routers together."""
        each = [seat.player.punctuality.histogram for seat in self._seats]
        return tuple(map(sum, zip(*each, strict=True)))

    def weigh(self, weights: Sequence[int]) -> None:
        """The priority of every router moves with these from now on."""
        for seat in self._seats:
            seat.player.weigh(weights, trio.current_time())
        self._weights = weights
        self.tell()

    def table_ready(self) -> None:
        """VIPs may be taken from now on."""
        self._table_ready.set()

    def play(self, routers: Sequence[Router], strangers: Sequence[Vip] = ()) -> None:
        """Play these and no others; those that stay as they are go on undisturbed.

        `strangers`: VIPs of a file before, that nobody holds now. They are removed.
        """
        if self._stopping:
            return
        self._ground.remove(strangers, routers)
        kept = {seat.player.router: seat for seat in self._seats if seat.player.router in routers}
        for seat in self._seats:
            if seat.player.router not in kept:
                seat.scope.cancel()
                self._replace(seat, routers)
        fresh = [self._seat(router) for router in routers if router not in kept]
        seats = kept | {seat.player.router: seat for seat in fresh}
        self._seats = [seats[router] for router in routers]
        for seat in self._seats:
            seat.player.join(one.player for one in self._group(seat))
        stand = self._ground.vips_stand(seat.player for seat in fresh)
        if stand or table_stands(self._table):
            self._table_ready.set()
        for seat in fresh:
            self._nursery.start_soon(self._keep_playing, seat)

    def hand_over(self, router: str) -> None:
        """Let the peer take this router, or all of them ("")."""
        now = trio.current_time()
        for seat in self._seats:
            named = router in ("", seat.player.router.name)
            if not self._stopping and (named or router in self._names(self._group(seat))):
                seat.player.leave(now, patience=seat.patience, stopping=False)
        self._turned()

    async def hand_over_all(self) -> None:
        """Leave every router; return once all VIPs are the peer's, or nobody took them."""
        now = trio.current_time()
        self._stopping = True
        for seat in self._seats:
            seat.player.leave(now, patience=seat.patience, stopping=True)
        self._turned()
        longest = max((seat.patience for seat in self._seats), default=0.0)
        with trio.move_on_after(longest + PATIENCE_MORE):
            await self._released.wait()
        for seat in self._seats:
            self._stop(seat, "stopped")
        self.tell()

    def _seat(self, router: Router) -> Seat:
        player = Player(
            router,
            self._addresses,
            self._announcer,
            open_socket=self._open_socket,
            maps=self._maps,
        )
        player.weigh(self._weights, trio.current_time())
        return Seat(player)

    async def _keep_playing(self, seat: Seat) -> None:
        """The hot task of one router: wait for its socket or its deadline, and turn."""
        player = seat.player
        with seat.scope:
            await self._table_ready.wait()
            while player.playing or not self._stopping:
                if not player.playing:
                    started = player.start(
                        self._ground.links_for(player.router), trio.current_time()
                    )
                    self.tell()
                    if not started:
                        with trio.move_on_after(START_AGAIN_EVERY) as seat.nap:
                            await trio.sleep_forever()
                        continue
                # Stopped while we wait: the loop's head says whether it starts again.
                # A step of another of its group never brings its deadline forward (group.together).
                with (
                    suppress(trio.ClosedResourceError),
                    trio.move_on_at(player.deadline) as seat.nap,
                ):
                    if player.molested:  # a flood is read in lumps
                        await trio.sleep(LUMP)
                    await trio.lowlevel.wait_readable(player.fileno)
                player.turn(trio.current_time())
                self._turned()

    def _turned(self) -> None:
        self.tell()
        self._look_out()
        if self._stopping and not any(seat.player.state.hold for seat in self._seats):
            self._released.set()

    def _look_out(self) -> None:
        """For others that claim what we hold, as long as we hold it."""
        active = tuple(seat.player.router for seat in self._seats if seat.player.active)
        if active == self._covered:
            return
        self._covered = active
        held: dict[str, set[str]] = {}
        for vip in (vip for router in active if router.announced for vip in router.vips):
            held.setdefault(vip.interface, set()).add(vip.prefix.address)
        self._lookout.cover(held, self._ground.links() or {})

    def _claimed(self, claim: Claim) -> bool:
        """Is an address that somebody else claims one that we hold?"""
        now = trio.current_time()
        ours = [seat.player.claimed(claim, now) for seat in self._seats]
        for seat in self._seats:
            seat.wake()
        self._turned()
        return any(ours)

    async def _watch(self, watch: Watch) -> None:
        """Wait for news of links and addresses, or until all is read anyway."""
        with trio.move_on_at(self._read_at):
            await trio.lowlevel.wait_readable(watch.fileno)
            self._learn(watch.read())
            return
        self._read_at = trio.current_time() + READ_EVERY
        self._learn([Lost()])

    def _learn(self, events: Sequence[Event]) -> None:
        sources = {seat.player.router.source for seat in self._seats}
        moved = [event for event in events if isinstance(event, AddressIs | AddressGone)]
        if self._ground.learn(events) or any(e.held.prefix.address in sources for e in moved):
            self._look()
        now = trio.current_time()
        for seat in self._seats:
            for event in moved:
                seat.player.amend(event, now)
            seat.wake()

    def _look(self) -> None:
        """An interface that went down, away or was made anew takes its routers out of the race."""
        links = self._ground.links()
        for seat in self._seats:
            if links is None or not seat.player.playing:
                continue
            if why := seat.player.unfit(links):
                self._stop(seat, why, fault=True)
            else:
                seat.player.look(links, trio.current_time())
        self._covered = None  # the interfaces are others now, or have other MACs
        self._turned()

    def _replace(self, seat: Seat, routers: Sequence[Router]) -> None:
        """The file changed. Who goes on under other terms keeps its VIPs: they are adopted."""
        heirs = (one for one in routers if goes_on(seat.player.router, one))
        heir = next(heirs, None)
        if heir is None or not seat.player.state.hold:
            self._stop(seat, "the file changed")
            return
        trio.lowlevel.notify_closing(seat.player.fileno)
        seat.player.retire(heir)

    def _stop(self, seat: Seat, reason: str, *, fault: bool = False) -> None:
        if seat.player.playing:
            trio.lowlevel.notify_closing(seat.player.fileno)
        seat.player.stop(reason, trio.current_time(), fault=fault)
        self._ground.forget(seat.player.router)
        for one in self._group(seat) if fault else ():
            # Its fault is that of its group: they listen anew, and wait for it (group.together).
            if isinstance(one.player.state, Off) and one.player.playing:
                self._stop(one, f"{seat.player.router.name}: {reason}")

    def _group(self, seat: Seat) -> list[Seat]:
        """Those that move together with it, itself too; nobody when it moves alone."""
        group = seat.player.router.group
        return [one for one in self._seats if group and one.player.router.group == group]

    @staticmethod
    def _names(seats: Sequence[Seat]) -> list[str]:
        return [seat.player.router.name for seat in seats]
