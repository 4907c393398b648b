# The kernel's IPVS table: read it whole, change it by operations.
#
# Rules of this room:
# 1. No decision is taken here. What to do comes in as an Op; what there is goes out as values.
# 2. A refusal is an answer and not a crash: it goes back with its op, and the rest of the batch
#    was done all the same.
# 3. There is no code for IPVS_CMD_FLUSH: deleting the last service of a family unregisters the
#    netfilter hooks, and every connection stops (ip_vs_ctl.c, ip_vs_del_service).
#
# What one does not expect:
# - The family has no multicast group: nothing tells of a change. GET_DEST dumps one service, so
#   the table costs one dump and one more for each service, each under one mutex for all network
#   namespaces. `reading` therefore stops between services, and its caller may let others run.
# - A send is kernel work on our own time: 128 adds of wlc 0.5 ms, but an mh table is built anew for
#   each destination (70 us), and a change of scheduler waits for RCU (milliseconds each). Hence
#   `batches`: a SetService weighs as much as WEIGHT_OF_SET others.
# - Every command, a read too, wants CAP_NET_ADMIN in the *initial* user namespace.
# - A service that goes away between the two dumps has an empty second one, not an error.
"""IPVS over generic netlink."""

import errno
import math
import struct
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from functools import partial
from typing import TypeVar

import msgspec

from director.errors import NoRight, SystemLacks
from director.kernel.codec import (
    GENERIC_HEADER,
    GET_DEST,
    GET_SERVICE,
    SERVICE,
    Decoder,
    encode,
    encode_key,
)
from director.kernel.netlink import (
    ACK,
    BATCH,
    DUMP,
    GENERIC,
    Answer,
    Garbled,
    Socket,
    Torn,
    attributes,
    nest,
    number,
    pack,
    text,
    u32,
)
from director.model.ops import Op, Refused, SetService, SetTimeouts, TableOp
from director.model.pool import Place
from director.model.service import Counters, ServiceKey, Table, VirtualService

T = TypeVar("T")

CONTROL_FAMILY, GET_FAMILY, FAMILY_ID, FAMILY_NAME = 16, 3, 1, 2
SET_CONFIG, GET_CONFIG, GET_INFO, ZERO = 12, 13, 15, 16
TIMEOUT_TCP, TIMEOUT_TCP_FIN, TIMEOUT_UDP = 4, 5, 6
INFO_VERSION, INFO_TABLE_SIZE = 1, 2
WEIGHT_OF_SET = 8
GENERIC_HEAD = struct.Struct("=BBxx")

Reading = tuple[Table, dict[Place, Counters]]


class Info(msgspec.Struct, frozen=True):
    """Version of IPVS, and the buckets of its connection table."""

    version: str
    table_size: int


class Ipvs:
    """The table of this network namespace. Raises SystemLacks or NoRight when it cannot be had."""

    def __init__(self) -> None:
        self._socket = Socket(GENERIC)
        self._decoder = Decoder()
        try:
            self._family = self._find_family()
            self.info()
        except PermissionError as error:
            self.close()
            raise NoRight(
                "IPVS may not be used",
                mend="give the process CAP_NET_ADMIN (not in a user namespace)",
            ) from error
        except OSError as error:
            self.close()
            raise SystemLacks("ip_vs is not loaded", mend="modprobe ip_vs") from error

    def close(self) -> None:
        """Give the socket back; closing twice does nothing."""
        self._socket.close()

    def observe(self) -> Reading:
        """The whole table and its counters. Raises OSError, Torn, Garbled."""
        reading = self.reading()
        while True:
            try:
                next(reading)
            except StopIteration as done:
                return done.value  # type: ignore[no-any-return]

    def reading(self, known: Table | None = None) -> Generator[None, None, Reading]:
        """The same, with a stop after each service.

        An endpoint that the service has in `known` is the very object: of 160,000 the copies are
        16 MB, for as long as the reading is kept.
        """
        table: Table = {}
        counters: dict[Place, Counters] = {}
        # Copied in one go, for a dump that others use the socket in between would be torn; decoding
        # takes five times as long, and is done one by one.
        bodies = self.collect(GET_SERVICE, b"", bytes, dump=True)
        bodies.reverse()
        while bodies:
            yield
            if (one := self._decoder.service(memoryview(bodies.pop()))) is None:
                continue
            key, settings = one
            before = known.get(key) if known else None
            ends = {at: at for at in before.destinations} if before else {}
            take = partial(self._decoder.destination, family=key.family)
            request = nest(SERVICE, encode_key(key))
            there = VirtualService(settings, {})
            for end in filter(None, self.collect(GET_DEST, request, take, dump=True)):
                endpoint, destination, counted = end
                endpoint = ends.get(endpoint, endpoint)
                there.destinations[endpoint] = destination
                counters[Place(key, endpoint)] = counted
            table[key] = there
        return table, counters

    def stands(self, key: ServiceKey) -> bool:
        """Is there this virtual service? One message. What cannot be told is not denied."""
        request = nest(SERVICE, encode_key(key))
        try:
            self.collect(GET_SERVICE, request, self._decoder.service)
        except OSError as error:
            return error.errno != errno.ESRCH
        except (Torn, Garbled):
            return True
        return True

    def apply(self, ops: Sequence[TableOp]) -> list[Refused]:
        """Carry out any number of operations, in order; what was refused."""
        return [refused for batch in batches(ops) for refused in self.apply_batch(batch)]

    def apply_batch(self, ops: Sequence[TableOp]) -> list[Refused]:
        """At most BATCH operations in one send."""
        return self._carry_out(ops, [self._request(*encode(op)) for op in ops])

    def info(self) -> Info:
        """Version and size. Raises OSError."""
        found = _only(self.collect(GET_INFO, b"", _copied))
        version = _wanted(found, INFO_VERSION)
        return Info(
            f"{version >> 16 & 0xFF}.{version >> 8 & 0xFF}.{version & 0xFF}",
            _wanted(found, INFO_TABLE_SIZE),
        )

    def timeouts(self) -> tuple[float, float, float]:
        """Seconds that idle connections live: established TCP, TCP after FIN, UDP."""
        found = _only(self.collect(GET_CONFIG, b"", _copied))
        tcp, tcp_fin, udp = (
            float(_wanted(found, kind)) for kind in (TIMEOUT_TCP, TIMEOUT_TCP_FIN, TIMEOUT_UDP)
        )
        return tcp, tcp_fin, udp

    def set_timeouts(self, op: SetTimeouts) -> list[Refused]:
        """Whole seconds, rounded up; 0 leaves what is there."""
        body = (
            u32(TIMEOUT_TCP, math.ceil(op.tcp))
            + u32(TIMEOUT_TCP_FIN, math.ceil(op.tcp_fin))
            + u32(TIMEOUT_UDP, math.ceil(op.udp))
        )
        return self.command(op, SET_CONFIG, body)

    def zero(self, keys: Sequence[ServiceKey]) -> None:
        """Counters of at most BATCH services, and of their destinations, to 0."""
        requests = [self._request(ZERO, nest(SERVICE, encode_key(key))) for key in keys]
        self._socket.transact(requests)

    def command(self, op: Op, command: int, body: bytes) -> list[Refused]:
        """One operation that is not about the table."""
        return self._carry_out([op], [self._request(command, body)])

    def collect(
        self, command: int, body: bytes, take: Callable[[memoryview], T], *, dump: bool = False
    ) -> list[T]:
        """What `take` makes of each answer (generic netlink header first)."""
        return self._socket.collect(self._request(command, body, DUMP if dump else ACK), take)

    def _carry_out(self, ops: Sequence[Op], requests: Sequence[bytes]) -> list[Refused]:
        try:
            answers = self._socket.transact(requests)
        except (OSError, Garbled) as error:
            answers = [Answer(errno.EBADMSG, f"the answer cannot be read: {error}")] * len(ops)
        return refusals(ops, answers)

    def _request(self, command: int, body: bytes, flags: int = 0) -> bytes:
        return pack(self._family, flags, GENERIC_HEAD.pack(command, 1) + body)

    def _find_family(self) -> int:
        body = GENERIC_HEAD.pack(GET_FAMILY, 1) + text(FAMILY_NAME, "IPVS")
        found = _only(self._socket.collect(pack(CONTROL_FAMILY, ACK, body), _copied))
        return _wanted(found, FAMILY_ID)


def batches(ops: Iterable[TableOp]) -> Iterator[list[TableOp]]:
    """Cut into sends that hold the processor for about a millisecond."""
    batch: list[TableOp] = []
    weight = 0
    for op in ops:
        batch.append(op)
        weight += WEIGHT_OF_SET if isinstance(op, SetService) else 1
        if weight >= BATCH:
            yield batch
            batch, weight = [], 0
    if batch:
        yield batch


def refusals(ops: Sequence[Op], answers: Sequence[Answer]) -> list[Refused]:
    """The ops whose answer is not 0."""
    return [
        Refused(op, answer.errno, answer.text)
        for op, answer in zip(ops, answers, strict=True)
        if answer.errno
    ]


def _copied(body: memoryview) -> dict[int, bytes]:
    found = attributes(body[GENERIC_HEADER:])
    return {kind: bytes(value) for kind, value in found.items()}


def _only(found: list[dict[int, bytes]]) -> dict[int, bytes]:
    if len(found) != 1:
        raise Garbled(f"{len(found)} answers where one belongs")
    return found[0]


def _wanted(found: dict[int, bytes], kind: int) -> int:
    if kind not in found:
        raise Garbled(f"an answer without attribute {kind}")
    return number(found[kind])
