"""Messages of nf_tables, byte for byte. The kernel's own word on them is in tests/kernel."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from director.kernel.netlink import Garbled, attribute, attributes, text, walk
from director.kernel.nftables import HEAD, TCP, _element, _packed, decode_table

TABLE = HEAD.pack(2, 0, 0) + text(1, "director")


def test_a_table_with_its_comment() -> None:
    """nft writes the comment as type 0 of the table's own data, behind whatever else is there."""
    userdata = b"\x07\x01x" + b"\x00\x07abc123\x00"

    assert decode_table(memoryview(TABLE + attribute(6, userdata))) == ("director", "abc123")
    assert decode_table(memoryview(TABLE)) == ("director", "")


@given(st.binary(max_size=64))
def test_nonsense_is_garbled_and_nothing_else(data: bytes) -> None:
    """Whatever a table's message holds."""
    try:
        name, comment = decode_table(memoryview(data))
    except Garbled:
        return
    assert isinstance(name, str)
    assert isinstance(comment, str)


@pytest.mark.parametrize(
    ("key", "value", "size"), [("192.0.2.10", "192.0.2.3", 4), ("2001:db8::1", "fe80::2", 16)]
)
def test_an_element_of_a_map(key: str, value: str, size: int) -> None:
    """Key and data are nested values; the time-out is in milliseconds, in network order."""
    ((kind, element),) = walk(_element(_packed(key), _packed(value), 4.5))
    found = attributes(element)

    assert kind == 1
    assert [len(attributes(found[one])[1]) for one in (1, 2)] == [size, size]
    assert struct.unpack("!Q", found[4]) == (4500,)


def test_an_element_of_a_set() -> None:
    """A key and a time-out, and no data; a protocol is one byte."""
    ((_, element),) = walk(_element(TCP, b"", 1.0))

    found = attributes(element)

    assert sorted(found) == [1, 4]
    assert bytes(attributes(found[1])[1]) == b"\x06"
