# Reading thousands of records of one make without walking each.
#
# A dump of 16,000 destinations walked attribute by attribute costs 7 us each in Python, unpacked by
# one Struct 0.6 us. The kernel writes the attributes of one kind of record always in the same
# order, so the headers (length and kind) of a record that was walked once are a *shape*: one Struct
# for all. Shapes are few: strings differ in length, and the PAD attributes of 64-bit counters come
# and go with alignment (nla_put_64bit).
#
# Rules of this room:
# 1. A shape is never believed: the headers that came are compared with those of the shape, and a
#    record that fits none is walked. So a wrong guess costs time and never a wrong value.
# 2. The memory of shapes is bounded. Past SHAPES_MAX for one length records are walked.
"""A reader for records that look alike."""

import struct
from collections.abc import Callable
from operator import itemgetter
from typing import Any

from director.kernel.netlink import ATTRIBUTE, ATTRIBUTE_KIND, Bytes, Garbled

SHAPES_MAX = 8
LENGTHS_MAX = 64
RECORD_MAX = 4096

Values = tuple[Any, ...]


class _Shape:
    """One arrangement of attributes: a Struct, what its headers must be, where the values are."""

    __slots__ = ("headers", "pick_headers", "pick_values", "unpack")

    def __init__(self, record: memoryview, wanted: dict[int, str]) -> None:
        formats: list[str] = []
        headers: list[int] = []
        header_places: list[int] = []
        value_places: dict[int, int] = {}
        place = at = 0
        for header, kind, length in _headers(record):
            formats.append("I")
            headers.append(header)
            header_places.append(place)
            place += 1
            room = length - ATTRIBUTE.size
            if kind in wanted and kind not in value_places:
                formats.append(_sized(wanted[kind], room, kind))
                value_places[kind] = place
                place += 1
            else:
                formats.append(f"{room}x")
            padding = min(-length % 4, len(record) - at - length)
            formats.append(f"{padding}x")
            at += length + padding
        if not headers:
            raise Garbled("an empty record")
        self.unpack: Callable[[Bytes], Values] = struct.Struct("=" + "".join(formats)).unpack
        # `place` is now one past the end: read() puts a None there. itemgetter gives a tuple for
        # two places and more only, so each gets one too many.
        self.headers = (headers[0], *headers)
        self.pick_headers = itemgetter(header_places[0], *header_places)
        places = [value_places.get(kind, place) for kind in wanted]
        self.pick_values = itemgetter(*places, place)

    def read(self, record: memoryview) -> Values | None:
        """The wanted values, or None when the record has another shape."""
        values = self.unpack(record)
        if self.pick_headers(values) != self.headers:
            return None
        found: Values = self.pick_values((*values, None))
        return found[:-1]


class Reader:
    """Reads records of one kind. `wanted` maps an attribute to `B`, `H`, `I`, or `s` for bytes."""

    def __init__(self, wanted: dict[int, str]) -> None:
        self._wanted = wanted
        self._shapes: dict[int, list[_Shape]] = {}

    def read(self, record: memoryview) -> Values:
        """The wanted values in the order of `wanted`; None for what is not there.

        Numbers in host order. Raises Garbled.
        """
        size = len(record)
        for shape in self._shapes.get(size, ()):
            values = shape.read(record)
            if values is not None:
                return values
        if size > RECORD_MAX:
            raise Garbled(f"a record of {size} bytes")
        shape = _Shape(record, self._wanted)
        self._learn(size, shape)
        values = shape.read(record)
        assert values is not None
        return values

    def _learn(self, size: int, shape: _Shape) -> None:
        if size not in self._shapes and len(self._shapes) >= LENGTHS_MAX:
            return
        known = self._shapes.setdefault(size, [])
        if len(known) < SHAPES_MAX:
            known.append(shape)


def _headers(record: memoryview) -> list[tuple[int, int, int]]:
    """Header as one number, kind and length of each attribute. Raises Garbled."""
    found = []
    at, end = 0, len(record)
    while at < end:
        if end - at < ATTRIBUTE.size:
            raise Garbled(f"{end - at} bytes left, too few for an attribute")
        length, kind = ATTRIBUTE.unpack_from(record, at)
        if not ATTRIBUTE.size <= length <= end - at:
            raise Garbled(f"attribute {kind} of {length} bytes, {end - at} left")
        (header,) = struct.unpack_from("=I", record, at)
        found.append((header, kind & ATTRIBUTE_KIND, length))
        at += (length + 3) & ~3
    return found


def _sized(form: str, room: int, kind: int) -> str:
    if form == "s":
        return f"{room}s"
    if struct.calcsize("=" + form) != room:
        raise Garbled(f"attribute {kind} of {room} bytes where a number {form} belongs")
    return form
