# What a player touches, in memory. All of them write into one diary, so that order can be asked for.
"""Fake addresses, announcer and advert socket."""

import errno
import socket
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress

from director.kernel.addresses import NO_LOOKS, Addresses, Held, Link, Look
from director.kernel.netlink import Torn
from director.kernel.watch import Event, Watch
from director.model.address import Family, Prefix
from director.model.vip import Failback, Router, Vip
from director.vrrp.advert import (
    AH_PROTOCOL,
    GROUP,
    GROUP_V6,
    NO_SECRET,
    PROTOCOL,
    Advert,
    Heard,
    Secret,
    Terms,
)
from director.vrrp.advert_socket import AdvertSocket
from director.vrrp.claims import Claim
from director.vrrp.frames import Datagram, parse_ipv4
from director.vrrp.packet import decode, encode
from director.vrrp.sniffer import Sniffer
from director.vrrp.socket import Announcer

US, PEER, OTHER = "192.0.2.1", "192.0.2.2", "192.0.2.3"
US2, US3 = "192.0.2.11", "192.0.2.12"
MAC = bytes.fromhex("020000000001")
VIPS = (Vip(Prefix("192.0.2.100", 24), "eth0"), Vip(Prefix("192.0.2.101", 24), "eth0"))
ROUTER = Router(
    name="web",
    vrid=51,
    interface="eth0",
    source=US,
    priority=100,
    interval=0.1,
    vips=VIPS,
    failback=Failback(when="now"),
)
ETH0 = Link(2, "eth0", MAC, up=True)
MUTE = 9  # the index of the dummy
HELD = tuple(Held(2, vip.prefix) for vip in VIPS)

Diary = list[str]


class FakeAddresses(Addresses):
    """Interfaces and addresses as dicts. `refuse` maps what to refuse to its errno.

    `mute` is the index of the dummy, None: there can be none.
    """

    def __init__(self, diary: Diary) -> None:
        self.diary = diary
        self.found: dict[str, Link] = {"eth0": ETH0}
        self.there: dict[Held, float] = {}
        self.refuse: dict[Held, int] = {}
        self.torn = False
        self.mute: int | None = MUTE
        self.link_locals: dict[int, str] = {}
        self.local = {US, US2, US3}
        self.makes: Link | None = None
        self.requests: list[bytes] = []
        self.refuse_requests = 0
        self.looks: dict[Held, Look] = {}

    def close(self) -> None:
        """Nothing to close."""

    def dummy(self, name: str) -> int:
        if self.makes is not None and name == self.makes.name:
            self.found[name] = self.makes
            return self.makes.index
        if self.mute is None:
            raise OSError(errno.EOPNOTSUPP, f"no {name}")
        return self.mute

    def request(self, requests: Sequence[bytes]) -> list[int]:
        self.requests += requests
        return [self.refuse_requests] * len(requests)

    def hold(
        self, held: Sequence[Held], lease: float, looks: Mapping[Held, Look] = NO_LOOKS
    ) -> dict[Held, int]:
        self.diary.append("hold")
        self.looks |= looks
        self.there |= {one: lease for one in held if one not in self.refuse}
        return {one: code for one, code in self.refuse.items() if one in held}

    def release(self, held: Sequence[Held]) -> dict[Held, int]:
        self.diary.append("release")
        for one in held:
            self.there.pop(one, None)
        return {one: code for one, code in self.refuse.items() if one in held}

    @property
    def port(self) -> int:
        return 1

    def is_local(self, address: str, _index: int) -> bool:
        return address in self.local

    def all(self) -> dict[Held, float]:
        if self.torn:
            raise Torn("torn")
        return dict(self.there)

    def link_local(self, index: int) -> str:
        return self.link_locals.get(index, "")

    def links(self) -> dict[str, Link]:
        if self.torn:
            raise Torn("torn")
        return dict(self.found)


class FakeWatch(Watch):
    """Tells what a test tells it, to whoever waits."""

    def __init__(self, _port: int = 1) -> None:
        self._ours, self._other = socket.socketpair()
        self._ours.setblocking(False)
        self._waiting: list[Event] = []

    @property
    def fileno(self) -> int:
        return self._ours.fileno()

    def tell(self, *events: Event) -> None:
        """Let these wait."""
        self._waiting += events
        self._other.send(b".")

    def read(self) -> list[Event]:
        with suppress(BlockingIOError):
            self._ours.recv(1024)
        found, self._waiting = self._waiting, []
        return found

    def close(self) -> None:
        self._ours.close()
        self._other.close()


class FakeSniffer(Sniffer):
    """Hears what a test lets it hear."""

    def __init__(self, link: Link, family: Family) -> None:
        self.link = link
        self.family = family
        self.addresses: set[str] = set()
        self.mac = b""
        self._ours, self._other = socket.socketpair()
        self._ours.setblocking(False)
        self._waiting: list[Claim] = []

    @property
    def fileno(self) -> int:
        return self._ours.fileno()

    def listen(self, addresses: Collection[str], mac: bytes) -> None:
        self.mac = mac
        self.addresses = set(addresses)

    def hear(self, *claims: Claim) -> None:
        """Let these wait."""
        self._waiting += claims
        self._other.send(b".")

    def read(self) -> Iterator[Claim]:
        with suppress(BlockingIOError):
            self._ours.recv(1024)
        found, self._waiting = self._waiting, []
        yield from found

    def close(self) -> None:
        self._ours.close()
        self._other.close()


class FakeAnnouncer(Announcer):
    """Keeps the frames."""

    def __init__(self, diary: Diary) -> None:
        self.diary = diary
        self.frames: list[tuple[str, bytes]] = []

    def send(self, link: Link, frame: bytes) -> None:
        if not self.diary or self.diary[-1] != "announce":
            self.diary.append("announce")
        self.frames.append((link.name, frame))


class FakeSocket(AdvertSocket):
    """What was sent, and what waits; a byte in a pair of sockets wakes who waits for it."""

    def __init__(self, diary: Diary, router: Router, source: str, secret: Secret) -> None:
        self.diary = diary
        self.source = source
        self.sent: list[tuple[str, Advert]] = []
        self.sequences: list[int] = []
        self.waiting: list[Datagram] = []
        self.code = 0
        self._terms = Terms(
            version=router.version,
            interval=router.interval,
            peers=(source, *router.peers) if router.peers else (),
            secret=secret,
        )
        self._sealed = router.sealed
        self.socket, self._other = socket.socketpair()
        self.socket.setblocking(False)
        group = GROUP_V6 if ":" in source else GROUP
        super().__init__(router.peers or (group,), self.socket, self._other)

    def deliver(self, *datagrams: Datagram) -> None:
        """Let these wait."""
        self.waiting += datagrams
        self._other.send(b".")

    def send(self, packet: bytes, destination: str) -> int:
        sent: Datagram | None = Datagram(
            source=self.source,
            destination=destination,
            ttl=255,
            protocol=PROTOCOL,
            declared=len(packet),
            payload=packet,
        )
        if self._sealed:
            sent = parse_ipv4(packet)
        assert sent is not None
        assert sent.protocol == (AH_PROTOCOL if self._sealed else PROTOCOL)
        heard = decode(sent, self._terms)
        assert isinstance(heard, Heard)
        self.sequences.append(heard.sequence)
        self.diary.append(f"send {heard.advert.priority}")
        self.sent.append((destination, heard.advert))
        return self.code

    def receive(self, most: int) -> Iterator[Datagram]:
        with suppress(BlockingIOError):
            self.socket.recv(1024)
        for _ in range(min(most, len(self.waiting))):
            self.diary.append("hear")
            yield self.waiting.pop(0)

    def close(self) -> None:
        self.diary.append("close")
        super().close()


class Sockets:
    """Opens fake sockets. `refuse` is an errno that the next opening meets.

    `secret` is what the peer knows: they read what was sent by it.
    """

    def __init__(self, diary: Diary) -> None:
        self.diary = diary
        self.refuse = 0
        self.secret = NO_SECRET
        self.opened: list[FakeSocket] = []

    def open(self, router: Router, _index: int, source: str) -> AdvertSocket:
        if self.refuse:
            raise OSError(self.refuse, "refused")
        self.opened.append(FakeSocket(self.diary, router, source, self.secret))
        return self.opened[-1]

    @property
    def last(self) -> FakeSocket:
        """The one opened last."""
        return self.opened[-1]

    def of(self, source: str) -> FakeSocket:
        """The first that sends from there."""
        return next(one for one in self.opened if one.source == source)

    def close(self) -> None:
        """All of them."""
        for one in self.opened:
            one.close()


def datagram(
    priority: int,
    source: str = PEER,
    *,
    vrid: int = 51,
    destination: str = GROUP,
    ttl: int = 255,
    checksum: str = "pseudo",
) -> Datagram:
    """An advert as it comes from the wire."""
    advert = Advert(vrid=vrid, priority=priority, interval=0.1, addresses=("192.0.2.100",))
    payload = encode(advert, source=source, destination=destination, checksum=checksum)
    return Datagram(
        source=source,
        destination=destination,
        ttl=ttl,
        protocol=112,
        declared=len(payload),
        payload=payload,
    )
