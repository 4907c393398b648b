# What others say of our VIPs, out of all that is on the wire: a packet socket with a filter in the
# kernel, so that a segment full of ARP wakes nobody.
#
# What one does not expect: closing a packet socket waits for all CPUs (packet_release,
# synchronize_net), which can take longer than an advert may be late. So one that is not needed now
# gets a filter that drops everything, and is kept.
"""Hears ARP and neighbour advertisements for addresses that we hold."""

import socket
from collections.abc import Collection, Iterator

from director.kernel.addresses import Link
from director.kernel.bpf import (
    DROP,
    EQUAL,
    LOAD_BYTE,
    LOAD_HALF,
    LOAD_WORD,
    PASS,
    Op,
    assemble,
    attach,
)
from director.model.address import Family
from director.vrrp.claims import (
    ADVERTISEMENT,
    ARP,
    ICMPV6,
    IPV6,
    NEXT_AT,
    SENDER_AT,
    SENDER_MAC_AT,
    TARGET_AT,
    TYPE_AT,
    Claim,
    claim_of,
)
from director.vrrp.frames import packed
from director.vrrp.socket import passing

READS_MAX = 16
FRAME = 128  # bytes of a frame that tell
# Addresses that the filter knows one by one: more, and it passes all, for us to look at. The whole
# program has to fit net.core.optmem_max (20 KiB) and 4,096 instructions.
EXACT = {Family.IPV4: 512, Family.IPV6: 128}
PROTOCOL = {Family.IPV4: ARP, Family.IPV6: IPV6}


class Sniffer:
    """Hears claims of one family on one device, to the addresses it is told. Raises OSError."""

    def __init__(self, link: Link, family: Family) -> None:
        self.link = link
        self.family = family
        self._addresses: frozenset[str] = frozenset()
        kind = socket.SOCK_RAW | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK
        self._socket = socket.socket(socket.AF_PACKET, kind, 0)
        try:
            attach(self._socket, assemble([DROP]))  # before it hears anything
            self._socket.bind((link.name, PROTOCOL[family]))
        except OSError:
            self._socket.close()
            raise

    @property
    def fileno(self) -> int:
        """The descriptor to wait on."""
        return self._socket.fileno()

    def listen(self, addresses: Collection[str], mac: bytes) -> None:
        """From now on to claims to these by any other MAC; to nothing when there are none."""
        self._addresses = frozenset(addresses)
        attach(self._socket, program(self.family, self._addresses, mac))

    def read(self) -> Iterator[Claim]:
        """The claims that wait, READS_MAX frames at most."""
        for _ in range(READS_MAX):
            try:
                frame = self._socket.recv(FRAME)
            except OSError as error:
                passing(error)
                return
            claim = claim_of(frame)
            if claim is not None and claim.address in self._addresses:
                yield claim

    def close(self) -> None:
        """Closing twice does nothing."""
        self._socket.close()


def program(family: Family, addresses: Collection[str], mac: bytes) -> bytes:
    """The filter: frames of another MAC than ours that claim one of these, if there are any."""
    lines: list[Op | str] = []
    at = SENDER_MAC_AT if family is Family.IPV4 else 6
    if family is Family.IPV6:
        lines += [Op(LOAD_BYTE, NEXT_AT), Op(EQUAL, ICMPV6, yes="icmp"), DROP, "icmp"]
        lines += [Op(LOAD_BYTE, TYPE_AT), Op(EQUAL, ADVERTISEMENT, yes="about"), DROP, "about"]
    lines += [Op(LOAD_WORD, at), Op(EQUAL, int.from_bytes(mac[:4], "big"), no="foreign")]
    lines += [Op(LOAD_HALF, at + 4), Op(EQUAL, int.from_bytes(mac[4:], "big"), no="foreign")]
    lines += [DROP, "foreign"]
    if len(addresses) > EXACT[family]:
        return assemble([*lines, PASS])
    for address in sorted(addresses):
        lines += _one(family, address)
    return assemble([*lines, DROP])


def _one(family: Family, address: str) -> Iterator[Op | str]:
    """Pass when it is this address, else go on behind."""
    where = SENDER_AT if family is Family.IPV4 else TARGET_AT
    words = packed(address)
    for at in range(0, len(words), 4):
        yield Op(LOAD_WORD, where + at)
        yield Op(EQUAL, int.from_bytes(words[at : at + 4], "big"), no=address)
    yield PASS
    yield address
