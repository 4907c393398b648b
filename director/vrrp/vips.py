# The VIPs of one virtual router on their interfaces.
#
# Rules of this room:
# 1. A lease is refreshed four times in its length, so that three refreshes may be lost. Without a
#    lease nothing is refreshed, but what the kernel refused is tried again.
# 2. A takeover announces at once. Any other burst waits until the last one is ANNOUNCE_LEAST old
#    (or an interval, if that is longer) and is then made once, however often it was asked for: the
#    machine answers each advert of a weaker rival with one, and nobody limits the rival.
"""Hold, refresh, release and announce the VIPs of one virtual router."""

import logging
import math
import os

from director.kernel.addresses import Addresses, Held, Link
from director.model.address import Family
from director.model.vip import Router, Vip
from director.vrrp.frames import gratuitous_arp, neighbour_advertisement
from director.vrrp.mute import Mute
from director.vrrp.socket import Announcer

REFRESHES = 4  # of a lease: three may be lost
RETRY_EVERY = 1.0  # seconds, where there is no lease
BURST = 3  # announcements of a VIP each time
ANNOUNCE_LEAST = 0.5  # seconds between two bursts that no takeover asks for

log = logging.getLogger("director.vrrp")


class Vips:
    """`turn` must be called at `deadline`, as long as they are held."""

    def __init__(self, router: Router, addresses: Addresses, announcer: Announcer) -> None:
        self._router = router
        self._addresses = addresses
        self._announcer = announcer
        self._mute = Mute(router.name, addresses)
        self._links: dict[str, Link] = {}
        self._refused: dict[Held, int] = {}
        self._refresh_at = math.inf
        self._announce_at = math.inf
        self._quiet_until = -math.inf

    @property
    def deadline(self) -> float:
        """When the next refresh, or a burst that was put off, is due."""
        return min(self._refresh_at, self._announce_at)

    @property
    def devices(self) -> tuple[str, ...]:
        """Every interface that holds one, once each."""
        return tuple(dict.fromkeys(vip.interface for vip in self._router.vips))

    def there(self, links: dict[str, Link]) -> bool:
        """Is one of them on its interface?"""
        found = self._addresses.all()
        return any(held in found for held, _ in self._held(links))

    def place(self, links: dict[str, Link]) -> None:
        """The interfaces as they are now."""
        self._links = links

    def prepare(self) -> None:
        """What takes time is done now, and not when they have to move."""
        self._mute.prepare()

    def adopt(self, now: float) -> None:
        """They are there from a life before: refresh them from now on."""
        self._refresh_at = now

    def take(self, now: float) -> None:
        """Put them on their interfaces; the next announcement is made at once."""
        self._quiet_until = -math.inf
        self._hold(now)

    def drop(self) -> None:
        """Take them off; they linger, mute, so that what is on its way is still forwarded."""
        self._refresh_at = math.inf
        self._refused = {}
        self.hush()
        self._mute.keep(self._router.vips)
        held = [one for one, _ in self._held(self._links)]
        for one, code in self._addresses.release(held).items():
            log.warning("%s: cannot release %s: %s", self._name, one.prefix, os.strerror(code))

    def announce(self, now: float) -> None:
        """A burst for each of them, now or when the last one is old enough."""
        if now < self._quiet_until:
            self._announce_at = self._quiet_until
            return
        self._announce_at = math.inf
        self._quiet_until = now + max(self._router.interval, ANNOUNCE_LEAST)
        frames = [one for vip in self._router.vips if (one := self._frame(vip)) is not None]
        for _ in range(BURST):
            for link, frame in frames:
                self._announcer.send(link, frame)

    def hush(self) -> None:
        """Forget a burst that was put off: a peer is going to announce them."""
        self._announce_at = math.inf

    def turn(self, now: float) -> None:
        """Do what is due."""
        if now >= self._refresh_at:
            self._hold(now)
        if now >= self._announce_at:
            self.announce(now)

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
        held = dict(self._held(self._links))
        before = self._refused
        self._refused = self._addresses.hold(list(held), self._router.lease)
        for one, code in self._refused.items():
            if before.get(one) != code:
                where, why = held[one].interface, os.strerror(code)
                log.warning("%s: cannot hold %s on %s: %s", self._name, one.prefix, where, why)
        for one in before.keys() - self._refused.keys():
            log.info("%s: holds %s after all", self._name, one.prefix)
            self._announce_at = now
        if self._router.lease:
            self._refresh_at = now + self._router.lease / REFRESHES
        else:
            self._refresh_at = now + RETRY_EVERY if self._refused else math.inf

    def _frame(self, vip: Vip) -> tuple[Link, bytes] | None:
        """The interface and what announces the VIP there; None where there is no Ethernet."""
        link = self._links.get(vip.interface)
        if link is None or len(link.mac) != 6:
            return None
        address = vip.prefix.address
        if vip.prefix.family is Family.IPV4:
            return link, gratuitous_arp(link.mac, address)
        return link, neighbour_advertisement(link.mac, address, routes=True)
