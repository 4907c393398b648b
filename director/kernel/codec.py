# IPVS in the kernel's words, both ways: operations to messages, records to values. Pure.
#
# Rules of this room:
# 1. Only this file knows the words (MASQ, DROUTE, netmask, SCHED1...). They are translated here and
#    nowhere else.
# 2. What cannot be read raises Garbled. What can be read but is not of our world (a protocol that
#    the model has no name for, a forwarding method of the kernel's own) is None: not ours, left be.
#
# Source: include/uapi/linux/ip_vs.h, net/netfilter/ipvs/ip_vs_ctl.c of Linux 6.1. What one does
# not expect (each seen in a test machine, tests/kernel/):
# - NEW_ and SET_SERVICE want SCHED_NAME, FLAGS, TIMEOUT and NETMASK even where they mean nothing.
# - NETMASK is a mask for IPv4 (be32), and a prefix length in host order for IPv6.
# - Ports are big-endian, TUN_PORT too; the sync daemon's MCAST_PORT is not.
# - FLAGS carries a mask of the bits that count: without all of ours in it none is ever cleared.
# - A `tun` destination always reads back with a Tunnel (plain IPIP is Tunnel()), never with None.
# - A fwmark service answers with no protocol, address or port at all.
# - DEL_DEST wants the address alone, and takes the family of the service when none is given.
"""Encode operations on the IPVS table and decode what is in it."""

import socket
import struct
from functools import lru_cache
from typing import Any

from director.kernel.netlink import (
    ATTRIBUTE,
    ATTRIBUTE_KIND,
    NESTED,
    Garbled,
    attribute,
    attributes,
    nest,
    number,
    text,
    u16,
    u32,
    words,
)
from director.kernel.records import Reader, Values
from director.model.address import Endpoint, Family, canonical
from director.model.ops import (
    AddDestination,
    AddService,
    DeleteDestination,
    DeleteService,
    SetDestination,
    SetService,
    TableOp,
)
from director.model.service import (
    Counters,
    Destination,
    Forwarding,
    Persistence,
    Protocol,
    ServiceKey,
    ServiceSettings,
    Tunnel,
)
from director.model.shown import Stats

NEW_SERVICE, SET_SERVICE, DEL_SERVICE, GET_SERVICE = 1, 2, 3, 4
NEW_DEST, SET_DEST, DEL_DEST, GET_DEST = 5, 6, 7, 8
COMMANDS: dict[type, int] = {
    AddService: NEW_SERVICE,
    SetService: SET_SERVICE,
    DeleteService: DEL_SERVICE,
    AddDestination: NEW_DEST,
    SetDestination: SET_DEST,
    DeleteDestination: DEL_DEST,
}
SERVICE, DEST = 1, 2

AF, PROTOCOL, ADDRESS, PORT, MARK, SCHEDULER, FLAGS, TIMEOUT, NETMASK = range(1, 10)
ENGINE = 11
DEST_ADDRESS, DEST_PORT, DEST_METHOD, DEST_WEIGHT, DEST_UPPER, DEST_LOWER = range(1, 7)
DEST_ACTIVE, DEST_INACTIVE, DEST_PERSISTENT = 7, 8, 9
DEST_FAMILY, DEST_TUNNEL, DEST_TUNNEL_PORT, DEST_TUNNEL_FLAGS = 11, 13, 14, 15
STATS64 = 12  # of either
STATS_KINDS = range(1, 11)  # ip_vs.h, IPVS_STATS_ATTR_CONNS to OUTBPS: in the order of Stats

PERSISTENT, ONE_PACKET = 0x1, 0x4
FLAG_1, FLAG_2, FLAG_3 = 0x8, 0x10, 0x20
OUR_FLAGS = PERSISTENT | ONE_PACKET | FLAG_1 | FLAG_2 | FLAG_3
# As ipvsadm -b spells them; a scheduler without words of its own has flag-1 to flag-3.
PLAIN_FLAGS = {"flag-1": FLAG_1, "flag-2": FLAG_2, "flag-3": FLAG_3}
SCHEDULER_FLAGS = {
    "sh": {"sh-fallback": FLAG_1, "sh-port": FLAG_2, "flag-3": FLAG_3},
    "mh": {"mh-fallback": FLAG_1, "mh-port": FLAG_2, "flag-3": FLAG_3},
}
METHODS = {Forwarding.NAT: 0, Forwarding.TUN: 2, Forwarding.DR: 3}
FORWARDINGS = {number: word for word, number in METHODS.items()}
METHOD_MASK = 0x7
TUNNELS = {"ipip": 0, "gue": 1, "gre": 2}
TUNNEL_TYPES = {number: word for word, number in TUNNELS.items()}
CHECKSUM = 0x1
GENERIC_HEADER = 4

# One pack for a whole destination: encode is the hot path of a big table.
_WHERE = struct.Struct("=HHH2x HH16s HH2s2x")
_WHAT = struct.Struct("=HHI HHI HHI HHI HHB3x HH2s2x HHH2x")
_WHOLE_DEST = ATTRIBUTE.pack(ATTRIBUTE.size + _WHERE.size + _WHAT.size, DEST | NESTED)


def encode(op: TableOp) -> tuple[int, bytes]:
    """The command and the attributes of one operation."""
    # Of 160,000 operations nearly all are this one.
    if isinstance(op, AddDestination | SetDestination):
        there = encode_endpoint(op.endpoint), encode_destination(op.destination)
        return COMMANDS[type(op)], b"".join((_found(op.key), _WHOLE_DEST, *there))
    match op:
        case AddService(key, settings) | SetService(key, settings):
            body = nest(SERVICE, encode_key(key), encode_settings(key.family, settings))
        case DeleteDestination(key, endpoint):
            body = _found(key) + nest(DEST, encode_endpoint(endpoint))
        case DeleteService(key):
            body = _found(key)
    return COMMANDS[type(op)], body


@lru_cache(maxsize=4096)
def _found(key: ServiceKey) -> bytes:
    """The attribute that names a service."""
    return nest(SERVICE, encode_key(key))


def pack_address(address: str) -> bytes:
    """The 16 bytes that the kernel takes for either family."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    return socket.inet_pton(family, address).ljust(16, b"\0")


@lru_cache(maxsize=4096)
def encode_key(key: ServiceKey) -> bytes:
    """What finds a service: its family, and the mark or protocol, address and port."""
    family = u16(AF, key.family)
    if key.mark:
        return family + u32(MARK, key.mark)
    return (
        family
        + u16(PROTOCOL, key.protocol)
        + attribute(ADDRESS, pack_address(key.address))
        + attribute(PORT, key.port.to_bytes(2, "big"))
    )


def encode_settings(family: Family, settings: ServiceSettings) -> bytes:
    """Everything about a service that can be set."""
    named = SCHEDULER_FLAGS.get(settings.scheduler, PLAIN_FLAGS)
    flags = ONE_PACKET if settings.one_packet else 0
    for name in settings.flags:
        flags |= named[name]
    timeout, prefix, engine = 0, family.bits, ""
    if kept := settings.persistence:
        flags |= PERSISTENT
        timeout, prefix, engine = kept.timeout, kept.prefix, kept.engine
    netmask = u32(NETMASK, prefix)
    if family is Family.IPV4:
        mask = (0xFFFFFFFF << (32 - prefix)) & 0xFFFFFFFF
        netmask = attribute(NETMASK, mask.to_bytes(4, "big"))
    return b"".join(
        (
            text(SCHEDULER, settings.scheduler),
            attribute(FLAGS, struct.pack("=II", flags, OUR_FLAGS)),
            u32(TIMEOUT, timeout),
            netmask,
            text(ENGINE, engine) if engine else b"",
        )
    )


def encode_endpoint(endpoint: Endpoint) -> bytes:
    """What finds a destination in its service."""
    address = endpoint.address
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    data = socket.inet_pton(family, address)  # a Struct fills up with zeros
    port = endpoint.port.to_bytes(2, "big")
    return _WHERE.pack(6, DEST_FAMILY, family, 20, DEST_ADDRESS, data, 6, DEST_PORT, port)


@lru_cache(maxsize=4096)
def encode_destination(destination: Destination) -> bytes:
    """Everything about a destination that can be set."""
    tunnel = destination.tunnel or Tunnel()
    return _WHAT.pack(
        *(8, DEST_METHOD, METHODS[destination.forwarding]),
        *(8, DEST_WEIGHT, destination.weight & 0xFFFFFFFF),
        *(8, DEST_UPPER, destination.upper_threshold),
        *(8, DEST_LOWER, destination.lower_threshold),
        *(5, DEST_TUNNEL, TUNNELS[tunnel.type]),
        *(6, DEST_TUNNEL_PORT, tunnel.port.to_bytes(2, "big")),
        *(6, DEST_TUNNEL_FLAGS, CHECKSUM if tunnel.checksum else 0),
    )


class Decoder:
    """Reads the answers of GET_SERVICE and GET_DEST dumps; remembers what they look like."""

    def __init__(self) -> None:
        self._services = Reader(
            {AF: "H", PROTOCOL: "H", ADDRESS: "s", PORT: "s", MARK: "I", SCHEDULER: "s"}
            | {FLAGS: "s", TIMEOUT: "I", NETMASK: "s", ENGINE: "s"}
        )
        self._destinations = Reader(
            {DEST_FAMILY: "H", DEST_ADDRESS: "s", DEST_PORT: "s", DEST_METHOD: "I"}
            | {DEST_WEIGHT: "I", DEST_UPPER: "I", DEST_LOWER: "I", DEST_TUNNEL: "B"}
            | {DEST_TUNNEL_PORT: "s", DEST_TUNNEL_FLAGS: "H"}
            | {DEST_ACTIVE: "I", DEST_INACTIVE: "I", DEST_PERSISTENT: "I"}
        )

    def service(self, body: memoryview) -> tuple[ServiceKey, ServiceSettings] | None:
        """One service; None when the model has no words for it. Raises Garbled."""
        family, protocol, address, port, mark, *rest = self._services.read(_within(body, SERVICE))
        if family not in FAMILIES:
            raise Garbled(f"a service of family {family}")
        key: ServiceKey | None = None
        if mark:
            key = ServiceKey(Family(family), mark=mark)
        elif address is None or port is None:
            raise Garbled("a service without mark, address and port")
        elif protocol in PROTOCOLS:
            key = ServiceKey(
                Family(family), Protocol(protocol), _address(family, address), _port(port)
            )
        settings = _settings(Family(family), rest)
        return None if key is None else (key, settings)

    def destination(
        self, body: memoryview, family: Family
    ) -> tuple[Endpoint, Destination, Counters] | None:
        """One destination of a service of `family`; None as above. Raises Garbled."""
        values = self._destinations.read(_within(body, DEST))
        own, address, port = values[:3]
        endpoint = _endpoint(family if own is None else own, address, port)
        settings = _destination(values[3:-3])
        if settings is None:
            return None
        return endpoint, settings, _counters(values[-3:])


def stats_of(body: memoryview, kind: int) -> Stats:
    """The counters in an answer about a SERVICE or a DEST. Raises Garbled."""
    found = attributes(attributes(_within(body, kind)).get(STATS64, b""))
    return Stats(*(number(found.get(one, b"")) for one in STATS_KINDS))


FAMILIES = frozenset(int(family) for family in Family)
PROTOCOLS = frozenset(int(protocol) for protocol in Protocol)


def _within(body: memoryview, kind: int) -> memoryview:
    """The content of the one nest of an answer, behind the generic netlink header."""
    if len(body) < GENERIC_HEADER + ATTRIBUTE.size:
        raise Garbled("an answer with nothing in it")
    length, found = ATTRIBUTE.unpack_from(body, GENERIC_HEADER)
    if found & ATTRIBUTE_KIND != kind or not ATTRIBUTE.size <= length <= len(body) - GENERIC_HEADER:
        raise Garbled(f"attribute {found} of {length} bytes where {kind} belongs")
    return body[GENERIC_HEADER + ATTRIBUTE.size : GENERIC_HEADER + length]


def _address(family: int, data: bytes) -> str:
    length = Family(family).bits // 8
    if len(data) < length:
        raise Garbled(f"an address of {len(data)} bytes")
    return canonical(socket.inet_ntop(family, data[:length]))


def _port(data: bytes) -> int:
    if len(data) != 2:
        raise Garbled(f"a port of {len(data)} bytes")
    return int.from_bytes(data, "big")


@lru_cache(maxsize=4096)  # most destinations of a large table have none
def _counters(values: Values) -> Counters:
    active, inactive, persistent = values
    return Counters(active or 0, inactive or 0, persistent or 0)


def _endpoint(family: int, address: bytes | None, port: bytes | None) -> Endpoint:
    if family not in FAMILIES or address is None or port is None:
        raise Garbled(f"a destination of family {family} at {address!r} port {port!r}")
    return Endpoint(_address(family, address), _port(port))


def _settings(family: Family, values: list[Any]) -> ServiceSettings:
    scheduler, flags, timeout, netmask, engine = values
    if flags is None or len(flags) != 8 or timeout is None or netmask is None or len(netmask) != 4:
        raise Garbled("a service without flags, timeout or netmask")
    name = words(scheduler or b"none")
    (bits, _) = struct.unpack("=II", flags)
    persistence = None
    if bits & PERSISTENT:
        (plain,) = struct.unpack("=I", netmask)
        prefix = plain if family is Family.IPV6 else int.from_bytes(netmask, "big").bit_count()
        persistence = Persistence(timeout, prefix, words(engine or b""))
    named = SCHEDULER_FLAGS.get(name, PLAIN_FLAGS)
    return ServiceSettings(
        name,
        frozenset(word for word, bit in named.items() if bits & bit),
        persistence,
        bool(bits & ONE_PACKET),
    )


@lru_cache(maxsize=4096)
def _destination(values: Values) -> Destination | None:
    method, weight, upper, lower, tunnel, port, flags = values
    if method is None or weight is None:
        raise Garbled("a destination without forwarding method or weight")
    forwarding = FORWARDINGS.get(method & METHOD_MASK)
    type_name = TUNNEL_TYPES.get(tunnel or 0)
    if forwarding is None or type_name is None:
        return None
    around = Tunnel(type_name, _port(port or b"\0\0"), bool((flags or 0) & CHECKSUM))
    return Destination(
        weight=weight,
        forwarding=forwarding,
        tunnel=around if forwarding is Forwarding.TUN else None,
        upper_threshold=upper or 0,
        lower_threshold=lower or 0,
    )
