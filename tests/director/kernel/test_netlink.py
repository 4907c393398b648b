# No kernel in here, but for the socket's own ways: rtnetlink dumps need no rights.
"""Tests of director.kernel.netlink."""

import errno
import os
import struct
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from director.kernel import netlink
from director.kernel.netlink import (
    ACK_HAS_ATTRIBUTES,
    BATCH,
    CAPPED,
    DONE,
    DUMP,
    ERROR,
    LOST,
    ROUTE,
    SILENCE,
    TAKEN,
    Answer,
    Garbled,
    Message,
    Socket,
    Torn,
    answer_of,
    attribute,
    attributes,
    messages,
    nest,
    number,
    pack,
    text,
    u16,
    u32,
    walk,
    words,
)

HEADER = struct.Struct("=IHHII")
ONE_ATTRIBUTE = st.tuples(st.integers(0, 0x3FFF), st.binary(max_size=20))
GET_LINK = 18
LINK_HEAD = bytes(16)


def raw(kind: int, body: bytes, *, flags: int = 0, sequence: int = 0) -> bytes:
    return HEADER.pack(16 + len(body), kind, flags, sequence, 0) + body + bytes(-len(body) % 4)


def refusal(code: int, sequence: int, rest: bytes = bytes(16), flags: int = CAPPED) -> bytes:
    return raw(ERROR, struct.pack("=i", -code) + rest, flags=flags, sequence=sequence)


def test_a_message_is_packed_as_the_kernel_reads_it() -> None:
    """
    Header of 16 bytes, attributes padded to 4, nests marked: byte for byte (little-endian).
    """
    body = u32(5, 7) + u16(1, 2) + text(6, "rr") + nest(3, attribute(4, b"\x01"))

    assert pack(0x1C, 0x300, body).hex(" ", 4) == (
        "34000000 1c000103 00000000 00000000"
        " 08000500 07000000 06000100 02000000 07000600 72720000"
        " 0c000380 05000400 01000000"
    )


def test_a_negative_number_goes_as_its_complement() -> None:
    """
    The kernel, and not struct, judges a negative weight.
    """
    assert u32(4, -1) == bytes.fromhex("08000400ffffffff")


@given(found=st.lists(ONE_ATTRIBUTE, max_size=8))
def test_attributes_read_back(found: list[tuple[int, bytes]]) -> None:
    """
    What was packed is walked in order; of two of a kind `attributes` has the last.
    """
    data = b"".join(attribute(kind, value) for kind, value in found)

    assert [(kind, bytes(value)) for kind, value in walk(data)] == found
    assert attributes(data) == dict(found)


@given(data=st.binary(max_size=200))
def test_garbage_is_garbled_and_nothing_else(data: bytes) -> None:
    """
    Random bytes are read, or raise Garbled.
    """
    for read in (walk, messages):
        with suppress(Garbled):
            list(read(data))


@given(
    kind=st.sampled_from([ERROR, DONE]),
    flags=st.sampled_from([0, CAPPED, ACK_HAS_ATTRIBUTES, CAPPED | ACK_HAS_ATTRIBUTES]),
    body=st.binary(max_size=60),
)
def test_a_garbled_answer_is_garbled_and_nothing_else(kind: int, flags: int, body: bytes) -> None:
    """
    The body of an ERROR or DONE is an answer, or raises Garbled.
    """
    try:
        answer = answer_of(Message(kind, flags, 1, memoryview(body)))
    except Garbled:
        return
    assert answer.errno >= 0


@given(cut=st.integers(1, 55))
def test_a_truncated_message_is_garbled(cut: int) -> None:
    """
    Whatever is cut off shows.
    """
    data = pack(20, 0, u32(1, 2) + text(3, "a name of some length"))

    with pytest.raises(Garbled):
        list(messages(data[: min(cut, len(data) - 1)]))


WORDS = text(1, "device is busy")
ANSWERS = {
    "an ACK": (raw(ERROR, bytes(20), flags=CAPPED), TAKEN),
    "an errno": (refusal(errno.EEXIST, 1), Answer(errno.EEXIST)),
    "with the kernel's words": (
        refusal(errno.EBUSY, 1, bytes(16) + WORDS, CAPPED | ACK_HAS_ATTRIBUTES),
        Answer(errno.EBUSY, "device is busy"),
    ),
    "with words behind our whole message": (
        refusal(errno.EBUSY, 1, raw(20, bytes(8)) + WORDS, ACK_HAS_ATTRIBUTES),
        Answer(errno.EBUSY, "device is busy"),
    ),
    "a dump that ended": (raw(DONE, bytes(4)), TAKEN),
    "a dump that was refused": (
        raw(DONE, struct.pack("=i", -errno.EINVAL) + WORDS, flags=ACK_HAS_ATTRIBUTES),
        Answer(errno.EINVAL, "device is busy"),
    ),
}


@pytest.mark.parametrize(("data", "answer"), ANSWERS.values(), ids=ANSWERS)
def test_an_answer_is_read(data: bytes, answer: Answer) -> None:
    """
    Errno and words, wherever the kernel puts them.
    """
    (message,) = messages(data)

    assert answer_of(message) == answer


def test_an_errno_above_0_is_garbled() -> None:
    """
    The kernel's errnos are negative.
    """
    with pytest.raises(Garbled):
        answer_of(Message(ERROR, 0, 1, memoryview(struct.pack("=i", 5) + bytes(16))))


def test_words_and_numbers() -> None:
    """
    Strings end at their zero; numbers of any length are in host order.
    """
    assert words(b"wlc\0\0") == "wlc"
    assert (number(b"\x07"), number(b"\x01\x02"), number(b"")) == (7, 0x201, 0)


class Wire:
    """Stands in for the socket below: says in turn what it was given, then that there is no more."""

    def __init__(self, *said: bytes | OSError, sender: int = 0) -> None:
        self.said = list(said)
        self.sent: list[bytes] = []
        self.sender = sender

    def sendto(self, data: bytes, _address: tuple[int, int]) -> int:
        self.sent.append(bytes(data))
        return len(data)

    def recvfrom_into(
        self, buffer: bytearray, _size: int, _flags: int
    ) -> tuple[int, tuple[int, int]]:
        if not self.said:
            raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
        data = self.said.pop(0)
        if isinstance(data, OSError):
            raise data
        buffer[: min(len(data), len(buffer))] = data[: len(buffer)]
        return len(data), (self.sender, 0)


def on_wire(wire: Wire) -> Socket:
    found = Socket(ROUTE)
    found.close()
    found._socket = wire  # type: ignore[assignment]
    return found


LOSS = OSError(errno.ENOBUFS, "no room")
REQUESTS = [pack(20, 0, u32(1, n)) for n in range(3)]


def test_a_batch_is_numbered_and_asks_for_one_ack() -> None:
    """
    One send; sequence numbers 1 to 3; the ACK flag on the last alone.
    """
    wire = Wire(refusal(0, 3))

    assert on_wire(wire).transact(REQUESTS) == [TAKEN] * 3

    (sent,) = wire.sent
    heads = [HEADER.unpack_from(sent, at) for at in (0, 24, 48)]
    assert [(flags, sequence) for _, _, flags, sequence, _ in heads] == [(1, 1), (1, 2), (5, 3)]


BATCHES: dict[str, tuple[list[bytes | OSError], list[Answer]]] = {
    "errors by sequence number": (
        [refusal(errno.EEXIST, 1) + refusal(errno.ESRCH, 3)],
        [Answer(errno.EEXIST), TAKEN, Answer(errno.ESRCH)],
    ),
    "an answer to something older": (
        [refusal(errno.EEXIST, 77), refusal(0, 3)],
        [TAKEN, TAKEN, TAKEN],
    ),
    "answers were lost: known ones count": (
        [refusal(errno.EEXIST, 1), LOSS, refusal(0, 3)],
        [Answer(errno.EEXIST), LOST, TAKEN],
    ),
    "no answer at all": ([], [TAKEN, TAKEN, SILENCE]),
}


@pytest.mark.parametrize(("said", "answers"), BATCHES.values(), ids=BATCHES)
def test_each_message_has_its_answer(said: list[bytes | OSError], answers: list[Answer]) -> None:
    """
    Errors are matched by number; what is lost is LOST, and silence never blocks.
    """
    assert on_wire(Wire(*said)).transact(REQUESTS) == answers


def test_only_the_kernel_is_believed() -> None:
    """
    What another process sends to our socket is not heard.
    """
    assert on_wire(Wire(refusal(errno.EPERM, 3), sender=4711)).transact(REQUESTS)[2] == SILENCE


def test_a_send_that_fails_is_the_answer_to_all() -> None:
    """
    An errno of sendmsg itself counts for each message.
    """

    class Full(Wire):
        def sendto(self, _data: bytes, _address: tuple[int, int]) -> int:
            raise OSError(errno.ENOMEM, "none left")

    assert [answer.errno for answer in on_wire(Full()).transact(REQUESTS)] == [errno.ENOMEM] * 3


def dumped(sequence: int, *bodies: bytes, flags: int = 2) -> bytes:
    return b"".join(raw(20, body, flags=flags, sequence=sequence) for body in bodies)


def done(sequence: int, code: int = 0) -> bytes:
    return raw(DONE, struct.pack("=i", -code), flags=2, sequence=sequence)


def test_a_torn_dump_is_asked_for_again() -> None:
    """
    What changed while it was read, or lost a part, is read again; what was half read is dropped.
    """
    wire = Wire(
        *(dumped(1, b"old1"), dumped(1, b"old2", flags=2 | netlink.TORN_DUMP) + done(1)),
        *(dumped(2, b"old3"), LOSS),
        *(dumped(9, b"left"), dumped(3, b"new1", b"new2") + done(3)),
    )
    wire.said.insert(4, BlockingIOError(errno.EAGAIN, "drained"))

    assert on_wire(wire).collect(pack(22, DUMP, b""), bytes) == [b"new1", b"new2"]


def test_a_table_that_never_holds_still_is_torn() -> None:
    """
    Three attempts, and no more.
    """
    wire = Wire(*(dumped(n, b"some", flags=2 | 0x10) + done(n) for n in (1, 2, 3, 4)))

    with pytest.raises(Torn):
        on_wire(wire).collect(pack(22, DUMP, b""), bytes)

    assert len(wire.sent) == 3


def test_a_refused_dump_is_an_oserror() -> None:
    """
    With the kernel's errno, whether it comes as an ERROR or as a DONE.
    """
    for said in (refusal(errno.EPERM, 1), done(1, errno.EPERM)):
        with pytest.raises(PermissionError):
            on_wire(Wire(said)).collect(pack(22, DUMP, b""), bytes)


def test_a_datagram_above_the_buffer_is_garbled() -> None:
    """
    The kernel never fills more than 32 KiB.
    """
    with pytest.raises(Garbled):
        on_wire(Wire(bytes(netlink.READ_SIZE + 4))).collect(pack(22, DUMP, b""), bytes)


def test_a_real_socket_dumps_and_refuses() -> None:
    """
    Against this kernel: links are there; a batch of nonsense is refused message by message.
    """
    socket = Socket(ROUTE)

    found = socket.collect(pack(GET_LINK, DUMP, LINK_HEAD), bytes)
    answers = socket.transact([pack(9999, 0, b"")] * BATCH)
    again = socket.collect(pack(GET_LINK, DUMP, LINK_HEAD), len)
    socket.close()

    assert found
    assert {answer.errno for answer in answers} == {errno.EOPNOTSUPP}
    assert len(answers) == BATCH
    assert len(again) == len(found)


def test_sequence_numbers_start_over_before_they_end() -> None:
    """
    A socket that lives for years goes on.
    """
    found = on_wire(Wire(refusal(0, 3)))
    found._sequence = netlink.SEQUENCE_MAX - 5

    assert found.transact(REQUESTS) == [TAKEN] * 3
