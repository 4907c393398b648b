# One virtual router, played: the machine decides, this does.
#
# Everything here is synchronous and short, so that an advert leaves in the same turn of the loop in
# which its deadline was noticed. The order within a turn is the machine's rule 2: first hear what
# waits on the socket, then tick, and only then refresh VIPs.
"""Play one virtual router."""

import logging
import math
import os
import time
from collections.abc import Iterable

import msgspec

from director.kernel.addresses import Addresses, Link
from director.kernel.netlink import Torn
from director.kernel.watch import AddressGone, AddressIs
from director.model.vip import Router
from director.vrrp import machine
from director.vrrp.advert import RESIGNING, Advert, Rejected
from director.vrrp.advert_socket import BACKLOG_MAX, AdvertSocket, OpenSocket, open_socket
from director.vrrp.chance import Chance, Maps
from director.vrrp.claims import Claim
from director.vrrp.conflict import Conflict
from director.vrrp.frames import Datagram
from director.vrrp.group import Member, together
from director.vrrp.machine import Effect, Rules, State, Step
from director.vrrp.punctuality import Punctuality
from director.vrrp.rules import effective_priority
from director.vrrp.secret import read_secret
from director.vrrp.socket import Announcer
from director.vrrp.speech import Speech
from director.vrrp.standing import Standing
from director.vrrp.states import why_ticked
from director.vrrp.tally import Tally
from director.vrrp.vips import Vips
from director.wire.messages import Role

BURST_MAX = 64  # datagrams that an active router reads in one go

log = logging.getLogger("director.vrrp")


class Player:
    """Owns the state, the socket and the VIPs of one virtual router."""

    def __init__(
        self,
        router: Router,
        addresses: Addresses,
        announcer: Announcer,
        *,
        open_socket: OpenSocket = open_socket,
        maps: Maps | None = None,
    ) -> None:
        self.router = router
        self.rules = Rules.of(router)
        self._speech = Speech(router)
        self._group: dict[str, Player] = {}
        self._addresses = addresses
        self.state: State = machine.Off()
        self.punctuality = Punctuality()
        self.molested = False  # was an advert refused in the last turn?
        self._refused = Tally(f"{router.name}: adverts refused")
        self._odd = Tally(f"{router.name}: adverts heeded that differ from ours")
        self._unsent = Tally(f"{router.name}: adverts not sent")
        self._rivals = Tally(f"{router.name}: two are active")
        self._vips = Vips(router, addresses, announcer)
        self._conflict = Conflict(router.interval)
        self._standing = Standing(router, self._conflict, self.punctuality)
        self._chance = Chance(router, maps)
        self._links: dict[str, Link] = {}
        self._open_socket = open_socket
        self._socket: AdvertSocket | None = None
        self._spoke_last = ""

    @property
    def deadline(self) -> float:
        """When `turn` must be called at the latest."""
        if self.state.hold:
            return min(self.state.deadline, self._vips.deadline)
        return self.state.deadline

    @property
    def fileno(self) -> int:
        """The descriptor to wait on; -1 while there is none."""
        return self._socket.fileno if self._socket is not None else -1

    @property
    def playing(self) -> bool:
        """Does it take part?"""
        return self._socket is not None

    @property
    def refused(self) -> dict[str, int]:
        """How many adverts were refused, by reason."""
        return dict(self._refused.counts)

    def weigh(self, weights: Iterable[int], now: float) -> None:
        """Priorities move with these from now on; the next advert says so."""
        priority = effective_priority(self.router.priority, weights)
        self.rules = msgspec.structs.replace(self.rules, priority=priority)
        self.count(now)

    def count(self, now: float) -> None:
        """What counts by the hour has changed, perhaps."""
        self._standing.count(now)
        self._changed()

    def join(self, group: Iterable["Player"]) -> None:
        """Move together with these from now on (itself may be among them); nobody: alone."""
        self._group = {player.router.name: player for player in group}

    @property
    def active(self) -> bool:
        """Does it hold the VIPs, and mean to go on?"""
        return isinstance(self.state, machine.Active)

    def claimed(self, claim: Claim, now: float) -> bool:
        """Another machine says that it has this address; are we active for it?"""
        if not any(claim.address == vip.prefix.address for vip in self.router.vips):
            return False
        self.turn(now)  # an advert that waits may tell that we are succeeded
        if self.active and self._conflict.seen(claim, now):
            self._alarm(now)
        return self.active

    def holds_any(self, links: dict[str, Link]) -> bool:
        """Is one of our VIPs on its interface, from a life before?"""
        return self._vips.there(links)

    def unfit(self, links: dict[str, Link]) -> str:
        """Why it cannot take part on these interfaces; empty when it can.

        One that was deleted and made anew has another index, and our socket is bound to the old.
        """
        for device in (self.router.interface, *self._vips.devices):
            if device not in links:
                return f"there is no interface {device}"
            if self.playing and links[device].index != self._links[device].index:
                return f"{device} was made anew"
        there = links[self.router.interface]
        if not there.up:
            return f"{there.name} is down"
        source = self.router.source or (self.rules.source if self.playing else "")
        if source and not self._addresses.is_local(source, there.index):
            return f"the fixed address {source} is not on this node"
        return ""

    def start(self, links: dict[str, Link], now: float) -> bool:
        """Take part from now on; False when it is not fit, with `reason` set."""
        if why := self.unfit(links):
            self._fail(why)
            return False
        router = self.router
        index = links[router.interface].index
        try:
            source = router.source or self._addresses.link_local(index)
            if not source:
                self._fail(f"{router.interface} has no link-local address to send from")
                return False
            secret = read_secret(router.auth)
            holding = self.holds_any(links)
            self._socket = self._open_socket(router, index, source)
        except (OSError, Torn, ValueError) as error:
            # The interface went while we looked, we lack a right, or the secret is not as it must.
            self._fail(f"cannot start on {router.interface}: {error}")
            return False
        self.rules = msgspec.structs.replace(self.rules, source=source)
        self._speech.begin(source, secret, time.time())
        self._vips.prepare()
        self.look(links, now)
        self._standing.fault = False
        if holding:
            self._vips.adopt(now)
        else:
            self._vips.none()
        self._do(machine.start(self.rules, now, holding=holding), "started", now)
        return True

    def look(self, links: dict[str, Link], now: float) -> None:
        """The same interfaces, but their MAC may have changed: then VIPs are announced anew."""
        self._links = links
        self._vips.place(links, now)

    def amend(self, event: AddressIs | AddressGone, now: float) -> None:
        """Somebody else's hand was on an address: one of ours is put right, while we hold it."""
        if self.playing and self.state.hold:
            self._vips.amend(event, now)

    def stop(self, reason: str, now: float, *, fault: bool = False) -> None:
        """Out at once. Who waits on `fileno` must have been told before (notify_closing)."""
        self._standing.fault = fault
        if fault:
            self._do(machine.stop(self.state), reason, now)
        else:  # the file changed, or we end: what becomes of the others is said to each
            self.perform(machine.stop(self.state), reason, now)
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        self._say(reason)

    def retire(self, heir: Router) -> None:
        """The same virtual router is going to be played under other terms, and adopts the VIPs.

        Nothing is said, or the peer would take them. `fileno`: as for `stop`.
        """
        self._vips.leave_to(heir)
        self.state = machine.Off()
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def leave(self, now: float, *, patience: float, stopping: bool) -> None:
        """Hand over, make before break."""
        step = machine.leave(self.rules, self.state, now, patience=patience, stopping=stopping)
        self._do(step, "hands over" if step.state.hold else "stopped", now)

    def turn(self, now: float) -> None:
        """Hear what waits, do what is due."""
        if self._socket is None:
            return
        self.molested = False
        if now >= self.deadline:
            self.punctuality.turned(now - self.deadline)
        # A flood must not keep a speaker from its own advert. Who listens may not take what lies
        # behind the first of many for silence.
        for datagram in self._socket.receive(BURST_MAX if self.state.hold else BACKLOG_MAX):
            self._hear(datagram, now)
        if now >= self.state.deadline:
            step = machine.tick(self.rules, self.state, now)
            self._do(step, why_ticked(self.state, step.state), now)
        if self.state.hold:
            self._vips.turn(now)
        if self._conflict.lapse(now):
            self._changed()

    def role(self) -> Role:
        """As `status` shows it; the same object as long as nothing has changed."""
        return self._standing.role

    def _changed(self) -> None:
        self._standing.tell(self.state, self.rules)

    def _mark(self, source: str, interval: float, now: float) -> None:
        if self.punctuality.advert(source, interval, now):
            self.count(now)

    def _say(self, reason: str) -> None:
        """The role, or why it is played, may have changed."""
        self._standing.reason = reason
        self._changed()

    def _fail(self, why: str) -> None:
        self._standing.fault = True
        if why != self._standing.reason:
            log.warning("%s: fault: %s", self.router.name, why)
        self._say(why)

    def _hear(self, datagram: Datagram, now: float) -> None:
        heard = self._speech.judge(datagram)
        if isinstance(heard, Rejected):
            self.molested = True
            self._refused.add(heard.reason.value, now)
        elif heard is not None:
            if why := self._speech.differs(heard.advert):
                self._odd.add(why, now)
            self._heed(heard.advert, datagram.source, now)

    def _heed(self, advert: Advert, source: str, now: float) -> None:
        why = f"{source} is active at {advert.priority}"
        peer = source
        if advert.priority == RESIGNING:
            why, peer = f"{source} resigned", ""
        self._spoke_last = source
        if isinstance(self.state, machine.Backup):
            self._mark(source, advert.interval, now)
        if peer != self._standing.peer:
            self._standing.peer = peer
            self._changed()
        rivals, known = self.active and advert.priority != RESIGNING, self._conflict.says
        self._do(machine.hear(self.rules, self.state, advert, source, now), why, now)
        if rivals and self.active:
            if self._conflict.heard(source, advert.interval, now):
                self._alarm(now)
        elif rivals and not known and self.rules.preempt_after == math.inf:
            # Nobody preempts, so that he was active all the time: a split that has healed.
            self._conflict.count += 1
            self._changed()

    def _alarm(self, now: float) -> None:
        self._rivals.add(self._conflict.says, now)
        self._changed()

    def _do(self, step: Step, why: str, now: float) -> None:
        """What the machine says, and what becomes of our group by it."""
        if not self._group:
            self.perform(step, why, now)
            return
        members = {name: Member(one.rules, one.state) for name, one in self._group.items()}
        ours = self.router.name
        for name, each in together(members, ours, step, now).items():
            self._group[name].perform(each, why if name == ours else f"{ours}: {why}", now)

    def perform(self, step: Step, why: str, now: float) -> None:
        """Do as the machine says: for itself, and for others of its group."""
        before, self.state = self.state, step.state
        if step.state.hold:
            self._vips.rise()
        for effect in step.effects:
            self._effect(effect, now)
        if type(before) is type(step.state):
            return
        self.punctuality.start_over()
        self._conflict.turned(now, active=self.active)
        self._say(why)
        log.info(
            "%s: %s to %s: %s",
            self.router.name,
            type(before).__name__.lower(),
            type(step.state).__name__.lower(),
            why,
        )

    def _effect(self, effect: Effect, now: float) -> None:
        match effect:
            case Effect.SEND_ADVERT:
                self._send(self.rules.priority, now)
            case Effect.SEND_RESIGNATION:
                self._vips.hush()
                self._send(RESIGNING, now)
            case Effect.TAKE_VIPS:
                self._chance.offer(self._spoke_last)
                self._vips.take(now)
            case Effect.DROP_VIPS:
                self._chance.withdraw()
                self._vips.drop()
            case Effect.ANNOUNCE:
                self._vips.announce(now)

    def _send(self, priority: int, now: float) -> None:
        assert self._socket is not None
        if priority != RESIGNING:
            self._mark(self.rules.source, self.rules.interval, now)
        for destination in self._socket.destinations:
            packet = self._speech.packet(priority, destination)
            if code := self._socket.send(packet, destination):
                self._unsent.add(f"to {destination}: {os.strerror(code)}", now)
