# The VIPs of one virtual router on their interfaces.
#
# Rules of this room:
# 1. A lease is refreshed four times in its length, so that three refreshes may be lost. Without a
#    lease nothing is refreshed, but what the kernel refused is tried again.
# 2. A takeover announces at once. Any other burst waits until the last one is ANNOUNCE_LEAST old
#    (or an interval, if that is longer) and is then made once, however often it was asked for: the
#    machine answers each advert of a weaker rival with one, and nobody limits the rival.
# 3. A turn holds SLICE addresses and sends a slice of announcements, whatever there is to do: our
#    next advert may be due. A VIP is announced after it is held.
# 4. What somebody else takes away or changes is put back at once, but not more often than every
#    AMEND_LEAST: two programs that want opposite things must not fight at full speed.
"""Hold, refresh, release and announce the VIPs of one virtual router."""

import logging
import math
import os
from collections import deque
from collections.abc import Callable, Iterable, Mapping

import msgspec

from director.kernel import sysctl
from director.kernel.addresses import PLAIN, Addresses, Held, Link, Look
from director.kernel.watch import AddressGone, AddressIs
from director.model.address import Family
from director.model.vip import DUMMY, Router, Vip
from director.vrrp.burst import Burst
from director.vrrp.frames import gratuitous_arp, neighbour_advertisement
from director.vrrp.moves import Moves
from director.vrrp.mute import Mute
from director.vrrp.socket import Announcer
from director.vrrp.veil import Veil

REFRESHES = 4  # of a lease: three may be lost
RETRY_EVERY = 1.0  # seconds, where there is no lease
BURST = 3  # announcements of a VIP each time
ANNOUNCE_LEAST = 0.5  # seconds between two bursts that no takeover asks for
SLICE = 64  # addresses held in one go
AMEND_LEAST = 0.05  # seconds between two repairs

Read = Callable[[Iterable[str]], Mapping[str, str]]

log = logging.getLogger("director.vrrp")


class Vips:
    """`turn` must be called at `deadline`, as long as they are held."""

    def __init__(
        self,
        router: Router,
        addresses: Addresses,
        announcer: Announcer,
        read: Read = sysctl.read,
    ) -> None:
        self._router = router
        self._addresses = addresses
        self._mute = Mute(router.name, addresses)
        self._burst = Burst(announcer)
        self._moves = Moves(router, addresses)
        self._veil = Veil(router, addresses)
        self._read = read
        self._links: dict[str, Link] = {}
        self._mine: dict[Held, Vip] = {}
        self._looks: dict[Held, Look] = {}
        self._round: deque[Held] = deque()
        self._touched: dict[Held, None] = {}
        self._refused: dict[Held, int] = {}
        self._refresh_at = math.inf
        self._amend_at = math.inf
        self._burst_at = math.inf
        self._amended_at = -math.inf
        self._next_round = math.inf
        self._announce_at = math.inf
        self._quiet_until = -math.inf

    @property
    def deadline(self) -> float:
        """When the next refresh, or a burst that was put off, is due."""
        return min(self._refresh_at, self._amend_at, self._announce_at, self._burst_at)

    @property
    def devices(self) -> tuple[str, ...]:
        """Every interface that holds one, once each."""
        return tuple(dict.fromkeys(vip.interface for vip in self._router.vips))

    def there(self, links: dict[str, Link]) -> bool:
        """Is one of them on its interface?"""
        found = self._addresses.all()
        return any(held in found for held, _ in self._held(links))

    def place(self, links: dict[str, Link], now: float) -> None:
        """The interfaces as they are now; with another MAC they are announced at once."""
        before, self._links = self._links, links
        self._mine = dict(self._held(links))
        looks = {held: Look(vip.label, vip.scope) for held, vip in self._mine.items()}
        self._looks = {held: look for held, look in looks.items() if look != PLAIN}
        self._veil.look(links)
        if any(
            device in before and device in links and before[device].mac != links[device].mac
            for device in self.devices
        ):
            self._quiet_until = -math.inf
            self._announce_at = now

    def amend(self, event: AddressIs | AddressGone, now: float) -> None:
        """Somebody else's hand was on this address: put it right soon, if it is one of ours."""
        same = isinstance(event, AddressIs) and event.valid == math.ceil(self._router.lease)
        if event.held in self._mine and not same:
            self._touched[event.held] = None
            self._amend_at = max(now, self._amended_at + AMEND_LEAST)

    def prepare(self) -> None:
        """What takes time is done now, and not when they have to move."""
        self._mute.prepare()

    def none(self) -> None:
        """None of them is here: what moves along has no place here either."""
        self._veil.lower(self._links)
        self._moves.release(self._links)

    def rise(self) -> None:
        """They are going to be held: their virtual MAC is ours, and adverts leave from there."""
        self._veil.rise(self._links)

    def adopt(self, now: float) -> None:
        """They are there from a life before: refresh them from now on."""
        self._refresh_at = now

    def take(self, now: float) -> None:
        """Put them on their interfaces; the next announcement is made at once."""
        self._quiet_until = -math.inf
        self._hold(now)

    def drop(self) -> None:
        """Take them off; they linger, mute, so that what is on its way is still forwarded."""
        self._refresh_at = self._amend_at = math.inf
        self._round.clear()
        self._touched.clear()
        self._refused = {}
        self.hush()
        self._moves.release(self._links)
        if self._router.mode != "dummy":
            self._mute.keep(self._on_the_wire())
        self._veil.lower(self._links)
        held = [one for one, _ in self._held(self._links)]
        for one, code in self._addresses.release(held).items():
            log.warning("%s: cannot release %s: %s", self._name, one.prefix, os.strerror(code))

    def leave_to(self, heir: Router) -> None:
        """Take those off that the heir does not name, and what moves along: it brings its own."""
        self._moves.release(self._links)
        named = set(heir.vips)
        left = [held for held, vip in self._mine.items() if vip not in named]
        for one, code in self._addresses.release(left).items():
            log.warning("%s: cannot release %s: %s", self._name, one.prefix, os.strerror(code))

    def announce(self, now: float) -> None:
        """A burst for each of them, now or when the last one is old enough."""
        if now < self._quiet_until:
            self._announce_at = self._quiet_until
            return
        self._announce_at = math.inf
        self._quiet_until = now + max(self._router.interval, ANNOUNCE_LEAST)
        self._burst.load(self._frames(), BURST)
        self._send(now)

    def hush(self) -> None:
        """Forget a burst that was put off: a peer is going to announce them."""
        self._announce_at = self._burst_at = math.inf
        self._burst.clear()

    def turn(self, now: float) -> None:
        """Do what is due."""
        if now >= self._amend_at:
            self._put_back(now)
        if now >= self._refresh_at:
            self._hold(now)
        if now >= self._announce_at:
            self.announce(now)
        if now >= self._burst_at:
            self._send(now)

    def _on_the_wire(self) -> list[Vip]:
        """With the interface that hears ARP instead of the device that has them beside it."""
        beside, interface = (self._router.device, DUMMY), self._router.interface
        return [
            msgspec.structs.replace(vip, interface=interface) if vip.interface in beside else vip
            for vip in self._router.vips
        ]

    @property
    def _name(self) -> str:
        return self._router.name

    def _held(self, links: dict[str, Link]) -> list[tuple[Held, Vip]]:
        return [
            (Held(links[vip.interface].index, vip.prefix), vip)
            for vip in self._router.vips
            if vip.interface in links
        ]

    def _hold(self, now: float) -> None:
        """The next slice of them; the rest follows in the next turns."""
        if not self._round:
            self._round.extend(self._mine)
            lease = self._router.lease
            self._next_round = now + (lease / REFRESHES if lease else RETRY_EVERY)
        count = min(SLICE, len(self._round))
        self._keep([self._round.popleft() for _ in range(count)], now)
        if self._round:
            self._refresh_at = now
            return
        self._moves.hold(self._links)
        if self._router.lease or self._refused or self._moves.refused:
            self._refresh_at = self._next_round
        else:
            self._refresh_at = math.inf

    def _put_back(self, now: float) -> None:
        """A slice of those that somebody else touched."""
        held = [one for one, _ in zip(self._touched, range(SLICE), strict=False)]
        for one in held:
            del self._touched[one]
        self._amended_at = now
        self._amend_at = now if self._touched else math.inf
        log.warning("%s: puts back %s and %d more", self._name, held[0].prefix, len(held) - 1)
        self._keep(held, now)

    def _keep(self, held: list[Held], now: float) -> None:
        """Have the kernel hold these, and say what it refuses, once."""
        refused = self._addresses.hold(held, self._router.lease, self._looks)
        for one in held:
            before, code = self._refused.get(one), refused.get(one)
            if code is None:
                self._refused.pop(one, None)
                if before is not None:
                    log.info("%s: holds %s after all", self._name, one.prefix)
                    self._announce_at = now
                continue
            self._refused[one] = code
            if before != code:
                where, why = self._mine[one].interface, os.strerror(code)
                log.warning("%s: cannot hold %s on %s: %s", self._name, one.prefix, where, why)

    def _send(self, now: float) -> None:
        self._burst.send()
        self._burst_at = now if self._burst else math.inf

    def _frames(self) -> list[tuple[Link, bytes]]:
        """What announces each VIP, and where; none where there is no Ethernet."""
        six = {vip.interface for vip in self._router.vips if vip.prefix.family is Family.IPV6}
        routes = {device: self._routes(device) for device in six}
        found = []
        for vip in self._router.vips:
            link, address = self._links.get(vip.interface), vip.prefix.address
            if link is None or len(link.mac) != 6 or not self._router.announced:
                continue
            if vip.prefix.family is Family.IPV4:
                frame = gratuitous_arp(link.mac, address)
            else:
                frame = neighbour_advertisement(link.mac, address, routes=routes[link.name])
            found.append((link, frame))
        return found

    def _routes(self, device: str) -> bool:
        """Does the interface forward IPv6? Hosts take us for a router when we say so."""
        name = f"net.ipv6.conf.{device.replace('.', '/')}.forwarding"
        return self._read([name]).get(name, "0") != "0"
