"""DNS messages: what is asked, and every answer that could be meant to hurt."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from checks.dns_wire import HEADER, TYPES, Answer, BadMessage, number_of, query, read

ASKED = query(0x1234, "www.example.com", "A")
NAME = b"\3www\7example\3com\0"
POINTER = b"\xc0\x0c"  # to the name in the question


def _answer(
    *records: bytes, flags: int = 0x8180, question: bytes = ASKED[12:], number: int = 0x1234
) -> bytes:
    return HEADER.pack(number, flags, 1, len(records), 0, 0) + question + b"".join(records)


def _record(data: bytes, kind: str = "A", name: bytes = POINTER) -> bytes:
    return (
        name
        + TYPES[kind].to_bytes(2, "big")
        + b"\0\1\0\0\0\x3c"
        + len(data).to_bytes(2, "big")
        + data
    )


def test_a_question() -> None:
    """RFC 1035 section 4.1: recursion desired, one question of class IN."""
    assert ASKED == b"\x12\x34\1\0\0\1\0\0\0\0\0\0" + NAME + b"\0\1\0\1"
    assert query(1, ".", "SOA")[12:] == b"\0\0\6\0\1"
    assert number_of(ASKED) == 0x1234
    assert number_of(b"short") is None


ANSWERS = {
    "an address": (_answer(_record(b"\xc0\0\2\1")), Answer("NOERROR", False, 1, ("192.0.2.1",))),
    "IPv6": (_answer(_record(bytes(15) + b"\1", "AAAA")), Answer("NOERROR", False, 1, ("::1",))),
    "an alias before it": (
        _answer(_record(POINTER, "CNAME"), _record(b"\xc0\0\2\1")),
        Answer("NOERROR", False, 2, ("192.0.2.1",)),
    ),
    "no such name": (_answer(flags=0x8183), Answer("NXDOMAIN", False, 0, ())),
    "a code of later": (_answer(flags=0x818F), Answer("RCODE15", False, 0, ())),
    "cut": (_answer(flags=0x8380), Answer("NOERROR", True, 0, ())),
    "other letters": (_answer(question=ASKED[12:].upper().replace(b"\0", b"\0")), Answer("NOERROR", False, 0, ())),
}  # fmt: skip


@pytest.mark.parametrize(("message", "answer"), ANSWERS.values(), ids=ANSWERS)
def test_an_answer(message: bytes, answer: Answer) -> None:
    assert read(message, ASKED) == answer


LOOP = b"\xc0" + bytes([12 + len(ASKED) - 12])  # to itself: where the first record begins
BAD = {
    "nothing": b"",
    "another number": _answer(number=1),
    "a question": _answer(flags=0x0100),
    "another question": _answer(question=query(1, "www.example.org", "A")[12:]),
    "another type asked": _answer(question=query(1, "www.example.com", "NS")[12:]),
    "a pointer to itself": _answer(_record(b"abcd", name=LOOP)),
    "a pointer forward": _answer(_record(b"abcd", name=b"\xc0\xff")),
    "pointers in a circle": _answer(_record(b"abcd", name=b"\1a" + LOOP), _record(b"")),
    "a pointer that is cut off": _answer(b"\xc0"),
    "a label of an unknown kind": _answer(_record(b"abcd", name=b"\x80")),
    "a name that is too long": _answer(_record(b"abcd", name=b"\x3f" + b"a" * 63) * 5),
    "a record that is cut off": _answer(_record(b"abcd")[:-1]),
    "a record without data": _answer(POINTER + b"\0\1"),
    "fewer records than said": _answer(_record(b"abcd"))[:6]
    + b"\0\2"
    + _answer(_record(b"abcd"))[8:],
    "more records than anybody sends": _answer(*[_record(b"abcd")] * 129),
}


@pytest.mark.parametrize("message", BAD.values(), ids=BAD)
def test_what_is_no_answer(message: bytes) -> None:
    with pytest.raises(BadMessage):
        read(message, ASKED)


@given(tail=st.binary(max_size=80), answers=st.integers(0, 65535))
def test_no_bytes_make_it_raise_anything_else(tail: bytes, answers: int) -> None:
    """Behind a header and a question that fit, anything may follow."""
    message = HEADER.pack(0x1234, 0x8180, 1, answers, 0, 0) + ASKED[12:] + tail
    with contextlib.suppress(BadMessage):
        read(message, ASKED)


@given(
    name=st.lists(st.text("abc-", min_size=1, max_size=63), min_size=1, max_size=3).map(".".join)
)
def test_a_question_is_read_back(name: str) -> None:
    """Echoed with the answer bit it is an answer to itself."""
    asked = query(7, name, "TXT")

    assert read(asked[:2] + b"\x81\x80" + asked[4:], asked).rcode == "NOERROR"
