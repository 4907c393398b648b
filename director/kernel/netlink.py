# Netlink, packed and read by our own structs.
#
# Rules of this room:
# 1. No pyroute2 and no trio in here: the vrrp process imports it (pyroute2: 130 ms and 33 MiB).
# 2. Bytes that are no netlink raise Garbled and nothing else; every walk ends with its buffer.
# 3. What the kernel refuses is an Answer. Only a request that has no op to hang a refusal on (a
#    dump, a look-up) raises OSError, and its caller in this folder turns that into a value.
#
# What one would otherwise find out the hard way:
# - One sendmsg carries many messages. A failing one is answered with its own sequence number and
#   the rest still runs, so that an ACK is asked for on the last one alone. The kernel works them
#   off within sendmsg (netlink_rcv_skb): when it returns, all answers lie in our socket. Hence no
#   wait and no time-out here.
# - Answers that do not fit SO_RCVBUF are dropped, and the next recv says ENOBUFS (seen with 500
#   acks and 212,992 bytes). Hence 4 MiB, NETLINK_CAP_ACK and at most BATCH messages a send. An
#   answer that was lost all the same is the Answer ENOBUFS: "unknown, read again".
# - There may be no answer at all: a handler that ends with EINTR is passed over, ACK or not
#   (netlink_rcv_skb). Stopping a sync daemon that has not run yet does (see syncd.py), and whoever
#   waits for its ACK waits for ever. Here an empty socket is the Answer EINTR.
# - recv with a big size is slow: 256 KiB bytes objects are mmap'ed and unmapped each time (7 times
#   slower over a dump). The kernel never fills more than 32 KiB (netlink_dump), so one kept buffer
#   of that size serves all.
# - Anyone may send to a netlink socket: what does not come from port 0 is not the kernel's word.
"""Netlink messages and a blocking socket."""

import errno
import os
import socket
import struct
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import NamedTuple, TypeVar

T = TypeVar("T")
Bytes = bytes | bytearray | memoryview

ROUTE = 0
GENERIC = 16

BATCH = 128
RECEIVE_BUFFER = 4 * 1024 * 1024
READ_SIZE = 32 * 1024
DUMP_ATTEMPTS = 3

# include/uapi/linux/netlink.h
REQUEST, MULTI, ACK = 0x1, 0x2, 0x4
TORN_DUMP = 0x10
DUMP = 0x300
REPLACE, EXCLUSIVE, CREATE = 0x100, 0x200, 0x400
CAPPED, ACK_HAS_ATTRIBUTES = 0x100, 0x200
ERROR, DONE, OVERRUN, FIRST_TYPE = 2, 3, 4, 16
ATTRIBUTE_KIND = 0x3FFF
NESTED = 0x8000
ERROR_TEXT = 1

SOL_NETLINK = 270
SO_RCVBUFFORCE = 33
OPTION_CAP_ACK, OPTION_EXT_ACK, OPTION_STRICT_CHECK = 10, 11, 12

HEADER = struct.Struct("=IHHII")
ATTRIBUTE = struct.Struct("=HH")
ERRNO = struct.Struct("=i")
U16 = struct.Struct("=H")
U32 = struct.Struct("=I")
SEQUENCE_AT = 8
FLAGS_AT = 6
SEQUENCE_MAX = 0xFFFFFFFF


class Garbled(Exception):
    """These bytes are no netlink."""


class Torn(Exception):
    """A dump that changed while it was read, or lost a part: ask again."""


class Answer(NamedTuple):
    """What the kernel said to one message: 0, or an errno and perhaps its own words."""

    errno: int
    text: str = ""


TAKEN = Answer(0)
SILENCE = Answer(errno.EINTR, "no answer")
LOST = Answer(errno.ENOBUFS, "the answer was lost")


class Message(NamedTuple):
    """One message of a datagram; `body` points into the buffer that was walked."""

    kind: int
    flags: int
    sequence: int
    body: memoryview


def pack(kind: int, flags: int, body: bytes) -> bytes:
    """A request. The socket numbers it when it is sent."""
    return HEADER.pack(HEADER.size + len(body), kind, REQUEST | flags, 0, 0) + body


def attribute(kind: int, value: bytes) -> bytes:
    """One attribute, padded to 4 bytes."""
    return ATTRIBUTE.pack(4 + len(value), kind) + value + bytes(-len(value) % 4)


def nest(kind: int, *attributes: bytes) -> bytes:
    """Attributes within one attribute."""
    return attribute(kind | NESTED, b"".join(attributes))


def text(kind: int, value: str) -> bytes:
    """A string with its final zero."""
    return attribute(kind, value.encode() + b"\0")


def u16(kind: int, value: int) -> bytes:
    """A number of two bytes in host order."""
    return attribute(kind, U16.pack(value))


def u32(kind: int, value: int) -> bytes:
    """A number of four bytes. Negative ones go as their complement: the kernel judges them."""
    return attribute(kind, U32.pack(value & 0xFFFFFFFF))


def walk(data: Bytes) -> Iterator[tuple[int, memoryview]]:
    """Kind and value of each attribute, in order. Raises Garbled."""
    view = memoryview(data)
    at, end = 0, len(view)
    while at < end:
        if end - at < ATTRIBUTE.size:
            raise Garbled(f"{end - at} bytes left, too few for an attribute")
        length, kind = ATTRIBUTE.unpack_from(view, at)
        if not ATTRIBUTE.size <= length <= end - at:
            raise Garbled(f"attribute {kind} of {length} bytes, {end - at} left")
        yield kind & ATTRIBUTE_KIND, view[at + ATTRIBUTE.size : at + length]
        at += (length + 3) & ~3


def attributes(data: Bytes) -> dict[int, memoryview]:
    """Attributes by kind, the last one of a kind counts. Raises Garbled."""
    return dict(walk(data))


def words(data: Bytes) -> str:
    """A string up to its zero."""
    return bytes(data).split(b"\0")[0].decode(errors="replace")


def number(data: Bytes) -> int:
    """An unsigned number in host order, of any length."""
    return int.from_bytes(data, sys.byteorder)


def messages(data: Bytes) -> Iterator[Message]:
    """The messages of one datagram. Raises Garbled."""
    view = memoryview(data)
    at, end = 0, len(view)
    while at < end:
        if end - at < HEADER.size:
            raise Garbled(f"{end - at} bytes left, too few for a message")
        length, kind, flags, sequence, _ = HEADER.unpack_from(view, at)
        if not HEADER.size <= length <= end - at:
            raise Garbled(f"message {kind} of {length} bytes, {end - at} left")
        yield Message(kind, flags, sequence, view[at + HEADER.size : at + length])
        at += (length + 3) & ~3


def answer_of(message: Message) -> Answer:
    """What an ERROR (or a DONE) message says. Raises Garbled."""
    body = message.body
    if len(body) < ERRNO.size:
        raise Garbled("an answer without an errno")
    (code,) = ERRNO.unpack_from(body)
    if code > 0:
        raise Garbled(f"an errno of {code}")
    if code == 0:
        return TAKEN
    said = ""
    if message.flags & ACK_HAS_ATTRIBUTES:
        said = words(attributes(body[_answer_attributes_at(message) :]).get(ERROR_TEXT, b""))
    return Answer(-code, said)


def _answer_attributes_at(message: Message) -> int:
    """Behind the errno stands our own message: its header alone when CAPPED, else all of it."""
    if message.kind == DONE:
        return ERRNO.size
    if message.flags & CAPPED:
        return ERRNO.size + HEADER.size
    if len(message.body) < ERRNO.size + HEADER.size:
        raise Garbled("an answer without the message that it answers")
    (length,) = U32.unpack_from(message.body, ERRNO.size)
    return ERRNO.size + int((length + 3) & ~3)


def widen(opened: socket.socket, size: int = RECEIVE_BUFFER) -> None:
    """Let so many bytes wait on a socket, or as many as we may (a user namespace may less)."""
    try:
        opened.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, size)
    except PermissionError:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, size)


class Socket:
    """A blocking netlink socket. Not for two threads at once."""

    def __init__(self, protocol: int) -> None:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, protocol)
        self._sequence = 0
        self._buffer = bytearray(READ_SIZE)
        self._view = memoryview(self._buffer)
        widen(self._socket)
        for option in (OPTION_CAP_ACK, OPTION_EXT_ACK, OPTION_STRICT_CHECK):
            with suppress(OSError):  # Linux 4.3, 4.12 and 4.20: what is missing costs words alone
                self._socket.setsockopt(SOL_NETLINK, option, 1)
        self._socket.bind((0, 0))

    def close(self) -> None:
        """Give the socket back."""
        self._socket.close()

    @property
    def port(self) -> int:
        """Its address, which the kernel names as the asker in events that our requests cause."""
        port: int = self._socket.getsockname()[0]
        return port

    def transact(self, requests: Sequence[bytes]) -> list[Answer]:
        """Send up to BATCH messages at once; one answer for each, in order."""
        assert 0 < len(requests) <= BATCH
        self._start_over()
        first = self._sequence + 1
        try:
            self._send(requests)
        except OSError as error:
            return [Answer(error.errno or errno.EIO, "not sent")] * len(requests)
        answers: dict[int, Answer] = {}
        while self._sequence not in answers:
            try:
                data = self._receive()
            except OSError as error:
                if error.errno == errno.EAGAIN:
                    answers[self._sequence] = SILENCE
                    break
                if error.errno != errno.ENOBUFS:
                    raise
                # Some answers did not fit, and we cannot know which: silence says nothing now.
                self._drain(first, answers)
                return [answers.get(first + n, LOST) for n in range(len(requests))]
            _sort_in(data, first, answers)
        return [answers.get(first + n, TAKEN) for n in range(len(requests))]

    def collect(self, request: bytes, take: Callable[[memoryview], T]) -> list[T]:
        """`take` of the body of each message that comes as the answer to a dump or a look-up.

        `take` must copy what it keeps: the buffer is used again. Raises OSError when the kernel
        refuses, Torn when the table does not hold still, Garbled.
        """
        for _ in range(DUMP_ATTEMPTS):
            with suppress(Torn):
                return self._collect(request, take)
        raise Torn("the kernel's table changed under each attempt to read it")

    def _collect(self, request: bytes, take: Callable[[memoryview], T]) -> list[T]:
        self._start_over()
        self._send([request])
        found: list[T] = []
        torn = False
        try:
            while True:
                for message in messages(self._receive()):
                    if message.sequence != self._sequence:
                        continue
                    torn = torn or bool(message.flags & TORN_DUMP) or message.kind == OVERRUN
                    if message.kind >= FIRST_TYPE:
                        found.append(take(message.body))
                    elif message.kind in (ERROR, DONE):
                        _raise_refusal(message)
                        if torn:
                            raise Torn
                        return found
        except OSError as error:
            self._drain(0, {})
            if error.errno == errno.ENOBUFS:
                raise Torn from error
            raise
        except Garbled:
            self._drain(0, {})  # an unfinished dump would make the next one EBUSY
            raise

    def _send(self, requests: Sequence[bytes]) -> None:
        """Number them, ask for an ACK on the last, send."""
        batch = bytearray().join(requests)
        at = last = 0
        for request in requests:
            self._sequence += 1
            U32.pack_into(batch, at + SEQUENCE_AT, self._sequence)
            last = at
            at += len(request)
        (flags,) = U16.unpack_from(batch, last + FLAGS_AT)
        U16.pack_into(batch, last + FLAGS_AT, flags | ACK)
        self._socket.sendto(batch, (0, 0))

    def _start_over(self) -> None:
        """Sequence numbers have 32 bits: begin again before they end."""
        if self._sequence > SEQUENCE_MAX - BATCH:
            self._sequence = 0

    def _receive(self) -> memoryview:
        """One datagram of the kernel's, in the kept buffer. Never waits."""
        while True:
            flags = socket.MSG_DONTWAIT | socket.MSG_TRUNC
            size, sender = self._socket.recvfrom_into(self._buffer, READ_SIZE, flags)
            if sender[0] != 0:
                continue
            if size > READ_SIZE:
                raise Garbled(f"a datagram of {size} bytes")
            return self._view[:size]

    def _drain(self, first: int, answers: dict[int, Answer]) -> None:
        """Read off all that is there; keep the answers that count from `first` on."""
        while True:
            try:
                _sort_in(self._receive(), first, answers)
            except Garbled:
                continue
            except OSError as error:
                if error.errno == errno.ENOBUFS:
                    continue
                return


def _sort_in(data: memoryview, first: int, answers: dict[int, Answer]) -> None:
    for message in messages(data):
        if message.kind == ERROR and message.sequence >= first:
            answers[message.sequence] = answer_of(message)


def _raise_refusal(message: Message) -> None:
    if message.kind == DONE and len(message.body) < ERRNO.size:
        return
    said = answer_of(message)
    if said.errno:
        raise OSError(said.errno, said.text or os.strerror(said.errno))
