# One virtual router, played: the machine decides, this does.
#
# Everything here is synchronous and short, so that an advert leaves in the same turn of the loop in
# which its deadline was noticed. The order within a turn is the machine's rule 2: first hear what
# waits on the socket, then tick, and only then refresh VIPs.
"""Play one virtual router."""

import logging
import time
from collections import Counter

from director.kernel.addresses import Addresses, Held, Link
from director.model.address import Family
from director.model.vip import Router
from director.vrrp import machine
from director.vrrp.advert import RESIGNING, Advert, Heard, decode, encode
from director.vrrp.frames import Datagram, gratuitous_arp, neighbour_advertisement
from director.vrrp.machine import Effect, Rules, State, Step
from director.vrrp.socket import AdvertSocket, Announcer
from director.wire.messages import Role, RoleName

REFRESHES = 4  # of a lease: three may be lost
BURST = 3  # announcements of a VIP each time

log = logging.getLogger("director.vrrp")


class Player:
    """Owns the state, the socket and the VIPs of one virtual router."""

    def __init__(self, router: Router, addresses: Addresses, announcer: Announcer) -> None:
        self.router = router
        self.rules = Rules.of(router)
        self.state: State = machine.Off()
        self.reason = "waits for the engine's word that the table stands"
        self.refused: Counter[str] = Counter()
        self.lateness = 0.0
        self._addresses = addresses
        self._announcer = announcer
        self._links: dict[str, Link] = {}
        self._socket: AdvertSocket | None = None
        self._peer = ""
        self._since = time.time()
        self._refresh_at = 0.0

    @property
    def deadline(self) -> float:
        """When `turn` must be called at the latest."""
        if self.state.hold and self.router.lease:
            return min(self.state.deadline, self._refresh_at)
        return self.state.deadline

    @property
    def fileno(self) -> int:
        """The descriptor to wait on; -1 while there is none."""
        return self._socket.socket.fileno() if self._socket is not None else -1

    @property
    def playing(self) -> bool:
        """Does it take part?"""
        return self._socket is not None

    def holds_any(self, links: dict[str, Link]) -> bool:
        """Is one of our VIPs on its interface, from a life before?"""
        there = self._addresses.all()
        return any(held in there for held in self._held(links))

    def start(self, links: dict[str, Link], now: float) -> bool:
        """Take part from now on; False when the interface is not fit, with `reason` set."""
        link = links.get(self.router.interface)
        missing = [vip.interface for vip in self.router.vips if vip.interface not in links]
        if link is None or missing:
            self.reason = (
                f"there is no interface {missing[0] if missing else self.router.interface}"
            )
            return False
        if not link.up:
            self.reason = f"{self.router.interface} is down"
            return False
        holding = self.holds_any(links)
        self._links = links
        self._socket = AdvertSocket(
            self.router.interface, link.index, self.router.source, self.router.peers
        )
        self._refresh_at = now
        self._do(machine.start(self.rules, now, holding=holding), "started", now)
        return True

    def stop(self, reason: str, now: float) -> None:
        """Out at once."""
        self._do(machine.stop(self.state), reason, now)
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def leave(self, now: float, *, patience: float, stopping: bool) -> None:
        """Hand over, make before break."""
        step = machine.leave(self.rules, self.state, now, patience=patience, stopping=stopping)
        self._do(step, "hands over", now)

    def turn(self, now: float) -> None:
        """Hear what waits, do what is due."""
        if self._socket is None:
            return
        due = self.deadline
        for datagram in self._socket.receive():
            self._hear(datagram, now)
        if now >= self.state.deadline:
            self.lateness = max(self.lateness, now - due)
            self._do(machine.tick(self.rules, self.state, now), "nobody else is active", now)
        if self.state.hold and self.router.lease and now >= self._refresh_at:
            self._take(now)

    def role(self) -> Role:
        """As `status` shows it."""
        return Role(
            router=self.router.name,
            vrid=self.router.vrid,
            role=self._role_name(),
            priority=self.rules.priority,
            since=self._since,
            addresses=tuple(str(vip.prefix) for vip in self.router.vips),
            peer=self._peer,
            reason=self.reason,
        )

    def _role_name(self) -> RoleName:
        match self.state:
            case machine.Off():
                return "fault" if self.reason.startswith("fault") else "off"
            case machine.Backup() | machine.Adopting():
                return "backup"
            case _:
                return "active"

    def _hear(self, datagram: Datagram, now: float) -> None:
        heard = decode(
            datagram.payload,
            source=datagram.source,
            destination=datagram.destination,
            ttl=datagram.ttl,
            declared=datagram.declared,
            peers=self.router.peers,
        )
        if not isinstance(heard, Heard):
            self.refused[heard.reason.value] += 1
            return
        advert = heard.advert
        if advert.vrid != self.router.vrid:
            return  # another virtual router on the same wire
        self._peer = datagram.source if advert.priority else ""
        why = f"{datagram.source} is active at {advert.priority}"
        if advert.priority == RESIGNING:
            why = f"{datagram.source} resigned"
        self._do(machine.hear(self.rules, self.state, advert, datagram.source, now), why, now)

    def _do(self, step: Step, why: str, now: float) -> None:
        before, self.state = self.state, step.state
        for effect in step.effects:
            self._effect(effect, now)
        if type(before) is not type(step.state):
            if before.hold != step.state.hold or isinstance(step.state, machine.Off):
                self._since = time.time()
            self.reason = why
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
                self._send(self.rules.priority)
            case Effect.SEND_RESIGNATION:
                self._send(RESIGNING)
            case Effect.TAKE_VIPS:
                self._take(now)
            case Effect.DROP_VIPS:
                self._drop()
            case Effect.ANNOUNCE:
                self._announce()

    def _send(self, priority: int) -> None:
        assert self._socket is not None
        advert = Advert(
            vrid=self.router.vrid,
            priority=priority,
            interval=self.router.interval,
            addresses=self.router.advertised,
        )
        for destination in self._socket.destinations:
            payload = encode(
                advert,
                source=self.router.source,
                destination=destination,
                checksum=self.router.checksum,
            )
            self._socket.send(payload, destination)

    def _held(self, links: dict[str, Link]) -> list[Held]:
        return [
            Held(links[vip.interface].index, vip.prefix)
            for vip in self.router.vips
            if vip.interface in links
        ]

    def _take(self, now: float) -> None:
        self._refresh_at = now + self.router.lease / REFRESHES
        for held, code in self._addresses.hold(self._held(self._links), self.router.lease).items():
            log.warning("%s: cannot hold %s: errno %d", self.router.name, held.prefix, code)

    def _drop(self) -> None:
        for held, code in self._addresses.release(self._held(self._links)).items():
            log.warning("%s: cannot release %s: errno %d", self.router.name, held.prefix, code)

    def _announce(self) -> None:
        for _ in range(BURST):
            for vip in self.router.vips:
                mac = self._links[vip.interface].mac
                if len(mac) != 6:
                    continue
                address = vip.prefix.address
                if vip.prefix.family is Family.IPV4:
                    frame = gratuitous_arp(mac, address)
                else:
                    frame = neighbour_advertisement(mac, address, routes=True)
                self._announcer.send(vip.interface, frame)
