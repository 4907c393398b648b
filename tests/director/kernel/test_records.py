"""Tests of director.kernel.records."""

import struct
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from director.kernel.netlink import Garbled, attribute, u16, u32
from director.kernel.records import LENGTHS_MAX, SHAPES_MAX, Reader

WANTED = {1: "I", 2: "H", 3: "s", 4: "B"}
PADDING = attribute(11, b"")


def read(reader: Reader, *parts: bytes) -> tuple[object, ...]:
    return reader.read(memoryview(b"".join(parts)))


def test_values_come_in_the_order_asked_for() -> None:
    """
    Whatever order they stand in, with others between them; None for what is not there.
    """
    reader = Reader(WANTED)

    assert read(reader, u16(2, 7), attribute(9, b"xyz"), u32(1, 5)) == (5, 7, None, None)
    assert read(reader, attribute(3, b"wlc\0"), attribute(4, b"\x09")) == (None, None, b"wlc\0", 9)


def test_a_known_shape_never_lends_its_places_to_another() -> None:
    """
    Records of one length and different arrangements are each read right, again and again.
    """
    reader = Reader(WANTED)
    for value in range(5):
        assert read(reader, u32(1, value), u32(7, 99)) == (value, None, None, None)
        assert read(reader, u32(7, 99), u32(1, value)) == (value, None, None, None)
        assert read(reader, PADDING, u32(7, 1), PADDING, PADDING, PADDING)[0] is None or value < 0


@given(st.lists(st.tuples(st.integers(1, 6), st.integers(0, 12)), min_size=1, max_size=5))
def test_shapes_are_bounded(makes: list[tuple[int, int]]) -> None:
    """
    However many shapes come by, few are remembered, and all are read.
    """
    reader = Reader({1: "I"})
    for kind, room in makes * 20:
        parts = [attribute(8 + n, bytes(room + n)) for n in range(kind)]
        assert read(reader, u32(1, 3), *parts) == (3,)

    assert len(reader._shapes) <= LENGTHS_MAX
    assert all(len(shapes) <= SHAPES_MAX for shapes in reader._shapes.values())


def test_many_shapes_of_one_length_are_all_read() -> None:
    """
    Beyond what is remembered, a record is walked.
    """
    reader = Reader({1: "I"})
    for kind in range(20, 20 + 4 * SHAPES_MAX):
        assert read(reader, u32(kind, 0), u32(1, kind)) == (kind,)

    assert [len(shapes) for shapes in reader._shapes.values()] == [SHAPES_MAX]


@given(st.lists(st.binary(max_size=64), max_size=4))
def test_garbage_is_garbled_and_nothing_else(records: list[bytes]) -> None:
    """
    Random bytes are read or raise Garbled, and leave the reader fit.
    """
    reader = Reader(WANTED)
    for record in records:
        with suppress(Garbled):
            read(reader, record)

    assert read(reader, u32(1, 1)) == (1, None, None, None)


@pytest.mark.parametrize(
    "record",
    [b"", u16(1, 5), struct.pack("=HH", 8, 1), struct.pack("=HH", 3, 1), bytes(5000)],
    ids=["empty", "a number of another size", "cut", "too short", "too big"],
)
def test_what_is_wrong_is_garbled(record: bytes) -> None:
    """
    Each kind of wrong record.
    """
    with pytest.raises(Garbled):
        read(Reader(WANTED), record)
