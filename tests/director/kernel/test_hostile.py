# What the kernel never sends, sent all the same: a version of it that we do not know, a torn buffer,
# another program's bug. The codec's own tests bend single records; here the whole way is played,
# from the datagram to the value.
"""No bytes from the kernel make anything but a value, Garbled, Torn or OSError, and none hang."""

import errno
import struct
from collections import deque
from contextlib import suppress

from hypothesis import given, settings
from hypothesis import strategies as st

from director.kernel import syncd
from director.kernel.codec import DEST, SERVICE, Decoder, encode
from director.kernel.hands import KernelHands, finish
from director.kernel.ipvs import Ipvs
from director.kernel.netlink import (
    CAPPED,
    DONE,
    ERROR,
    FIRST_TYPE,
    OVERRUN,
    READ_SIZE,
    TORN_DUMP,
    Garbled,
    Socket,
    Torn,
    nest,
)
from director.model.address import Endpoint, Family
from director.model.config import SyncSettings
from director.model.ops import AddDestination, AddService, Op, StartSync, StopSync
from director.model.service import Destination, ServiceKey, ServiceSettings

WEB = ServiceKey(Family.IPV4, address="192.0.2.10", port=80)
ONE = Endpoint("10.0.8.11", 80)
OPS: list[Op] = [
    AddService(WEB, ServiceSettings()),
    AddDestination(WEB, ONE, Destination()),
    StartSync("master", SyncSettings(interface="lo", id=51)),
    StopSync("backup"),
]
HEADER = struct.Struct("=IHHII")
GENERIC = b"\x01\x01\0\0"
TRUE = [
    GENERIC + encode(AddService(WEB, ServiceSettings("sh", frozenset({"sh-port"}))))[1],
    GENERIC + nest(DEST, encode(AddDestination(WEB, ONE, Destination()))[1][4:]),
    GENERIC + nest(SERVICE, b""),
    GENERIC
    + syncd.encode("master", SyncSettings(interface="lo", id=51, maxlen=152, ttl=1, port=1)),
    struct.pack("=i", 0),
    struct.pack("=i", -errno.ENOENT) + bytes(16),
]


@st.composite
def bodies(draw: st.DrawFn) -> bytes:
    """A true body, whole or cut or with some bytes changed; or no such thing at all."""
    body = bytearray(draw(st.one_of(st.sampled_from(TRUE), st.binary(max_size=64))))
    for at, value in draw(
        st.lists(st.tuples(st.integers(0, 200), st.integers(0, 255)), max_size=3)
    ):
        if at < len(body):
            body[at] = value
    return bytes(body[: draw(st.one_of(st.just(len(body)), st.integers(0, len(body))))])


KINDS = st.sampled_from([ERROR, DONE, OVERRUN, 1, FIRST_TYPE, 0x1C, 0xFFFF])
FLAGS = st.sampled_from([0, 2, TORN_DUMP, CAPPED, 0x200, 0x302, 0xFFFF])
# Kind, flags, how far its sequence number is from the one asked with, body, length beyond the true.
MESSAGES = st.tuples(
    KINDS, FLAGS, st.sampled_from([0, 0, 0, -1, 1]), bodies(), st.sampled_from([0] * 5 + [-4, 1, 4])
)
# What a dump or a look-up ends with, as it should be.
ENDS = st.sampled_from([(DONE, 2, 0, bytes(4), 0), (ERROR, CAPPED, 0, bytes(20), 0)])
TRUE_ONES = st.builds(
    lambda found, end: [*((0x1C, 2, 0, body, 0) for body in found), end],
    st.lists(st.sampled_from(TRUE), max_size=2),
    ENDS,
)
# A datagram: its messages, or an errno that recv gives.
DATAGRAMS = st.lists(
    st.one_of(
        TRUE_ONES,
        st.lists(MESSAGES, max_size=3),
        st.sampled_from([errno.ENOBUFS, errno.ENOMEM]),
    ),
    max_size=6,
)
Script = list[list[tuple[int, int, int, bytes, int]] | int]


class Hostile:
    """A socket that answers each send by the script, and then has nothing more."""

    def __init__(self, script: Script) -> None:
        self._script = script
        self._waiting: deque[list[tuple[int, int, int, bytes, int]] | int] = deque()
        self._sequence = 0

    def sendto(self, batch: bytearray, _to: object) -> None:
        at = 0
        while at < len(batch):
            length, _, _, self._sequence, _ = HEADER.unpack_from(batch, at)
            at += length
        self._waiting.extend(self._script)

    def recvfrom_into(
        self, buffer: bytearray, size: int, _flags: int
    ) -> tuple[int, tuple[int, int]]:
        if not self._waiting:
            raise BlockingIOError(errno.EAGAIN, "nothing there")
        turn = self._waiting.popleft()
        if isinstance(turn, int):
            raise OSError(turn, "no")
        data = b"".join(
            HEADER.pack((16 + len(body) + more) & 0xFFFFFFFF, kind, flags, self._sequence + off, 0)
            + body
            + bytes(-len(body) % 4)
            for kind, flags, off, body, more in turn
        )[:size]
        buffer[: len(data)] = data
        return len(data), (0, 0)


def hands_on(script: Script) -> KernelHands:
    """Hands whose kernel answers by the script."""
    socket = object.__new__(Socket)
    socket._socket = Hostile(script)  # type: ignore[assignment]
    socket._sequence = 0
    socket._buffer = bytearray(READ_SIZE)
    socket._view = memoryview(socket._buffer)
    ipvs = object.__new__(Ipvs)
    ipvs._socket, ipvs._decoder, ipvs._family = socket, Decoder(), 0x1C
    hands = object.__new__(KernelHands)
    hands._ipvs = ipvs
    return hands


@settings(deadline=None)
@given(script=DATAGRAMS)
def test_reading_ends_in_a_value_or_a_named_error(script: Script) -> None:
    """The whole table, daemons and timeouts; what the engine catches, and nothing else."""
    with suppress(Garbled, Torn, OSError):
        finish(hands_on(script).observing())


@settings(deadline=None)
@given(script=DATAGRAMS)
def test_what_is_asked_beside_ends_in_a_value_or_a_named_error(script: Script) -> None:
    """Timeouts, daemons and the size of the table, which come after the table."""
    for ask in (hands_on(script)._ipvs.timeouts, hands_on(script)._ipvs.info):
        with suppress(Garbled, Torn, OSError):
            ask()
    with suppress(Garbled, Torn, OSError):
        syncd.observe(hands_on(script)._ipvs)


@settings(deadline=None)
@given(script=DATAGRAMS)
def test_applying_and_asking_always_answer(script: Script) -> None:
    """Each operation is taken or refused, and a service stands or does not: never an exception."""
    refused = hands_on(script).apply(OPS)

    assert all(one.op in OPS and one.errno > 0 for one in refused)
    assert hands_on(script).stands(WEB) in (True, False)
