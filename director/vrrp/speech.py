# What one virtual router says, and what it heeds, in bytes.
#
# The numbers of the authentication header live here. They outlast a fault of the interface, so that
# what was recorded before it cannot be played back after it; of a process that died they do not,
# and the wall clock, in seconds, is where the count then goes on: adverts of version 2 are at least
# a second apart, so that it is never behind (authentication.next_sequence).
"""Our adverts as packets, and the judgement of others'."""

from director.model.vip import Router
from director.vrrp.advert import NO_SECRET, Advert, Heard, Reason, Rejected, Secret, Terms
from director.vrrp.authentication import next_sequence, seal
from director.vrrp.frames import Datagram
from director.vrrp.packet import decode, encode, vrid_of

IDENTIFICATION_MAX = 0xFFFF


class Speech:
    """Of one router; `begin` comes first."""

    def __init__(self, router: Router) -> None:
        self._router = router
        self._source = router.source
        self._secret = NO_SECRET
        self._terms = Terms.of(router)
        self._sent = 0
        self._identification = 0
        self._heard: dict[str, int] = {}

    def begin(self, source: str, secret: Secret, wall: float) -> None:
        """We play from `source` from now on; `wall` is seconds since 1970."""
        self._source = source
        self._secret = secret
        self._terms = Terms.of(self._router, secret)
        self._sent = max(self._sent, int(wall))

    def packet(self, priority: int, destination: str) -> bytes:
        """An advert of ours: the PDU, or the whole IPv4 packet where it is sealed."""
        router = self._router
        advert = Advert(
            vrid=router.vrid,
            priority=priority,
            interval=router.interval,
            addresses=router.advertised,
            family=router.family,
            version=router.version,
        )
        pdu = encode(
            advert,
            source=self._source,
            destination=destination,
            checksum=router.checksum,
            secret=self._secret,
        )
        return self._sealed(pdu, destination) if router.sealed else pdu

    def judge(self, datagram: Datagram) -> Heard | Rejected | None:
        """None: meant for another virtual router, and nothing of it is our business."""
        if vrid_of(datagram) != self._router.vrid:
            return None
        heard = decode(datagram, self._terms, sequence=self._heard.get(datagram.source, 0))
        if isinstance(heard, Rejected):
            return heard
        if datagram.source == self._source:
            return Rejected(Reason.OWN_SOURCE)
        if heard.sequence:
            self._heard[datagram.source] = heard.sequence
        return heard

    def differs(self, advert: Advert) -> str:
        """In what an advert that is heeded is not as ours would be; empty: in nothing.

        RFC 9568 section 7.1 has it logged and not dropped; keepalived before 2.3.3 drops ours then.
        """
        if sorted(advert.addresses) != sorted(self._router.advertised):
            return "it names other addresses"
        if advert.interval != self._router.interval:
            return "it has another interval"
        return ""

    def _sealed(self, pdu: bytes, destination: str) -> bytes:
        self._sent = next_sequence(self._sent, max(self._heard.values(), default=0))
        self._identification = self._identification % IDENTIFICATION_MAX + 1
        return seal(
            pdu,
            source=self._source,
            destination=destination,
            secret=self._secret,
            sequence=self._sent,
            identification=self._identification,
        )
