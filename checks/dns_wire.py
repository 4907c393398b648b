# DNS messages (RFC 1035 section 4), as far as a check needs them: one question out, and of the
# answer the header, the question, and the addresses of the answer section.
#
# Own code and no library: a query is 12 bytes and a name, and of answers a hostile one is the case
# that matters. Rules against it: a compression pointer only goes back (so a chain of them ends), a
# name has 255 bytes at most, records are read while they fit the message, and no more than
# RECORDS_MAX.
"""Queries and answers of DNS. Pure."""

import struct
from ipaddress import IPv4Address, IPv6Address

import msgspec

TYPES = {
    "A": 1, "NS": 2, "CNAME": 5, "SOA": 6, "PTR": 12, "MX": 15, "TXT": 16, "AAAA": 28, "SRV": 33,
}  # fmt: skip
RCODES = ("NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED")
HEADER = struct.Struct("!HHHHHH")
QUESTION = struct.Struct("!HH")
RECORD = struct.Struct("!HHIH")
IN = 1
QR, TC, RD = 0x8000, 0x0200, 0x0100
NAME_MAX = 255
RECORDS_MAX = 128


class BadMessage(Exception):
    """No DNS message, or none that answers what was asked."""


class Answer(msgspec.Struct, frozen=True):
    """What an answer says. `addresses` are those of the A and AAAA records that answer."""

    rcode: str
    truncated: bool
    records: int
    addresses: tuple[str, ...]


def query(number: int, name: str, kind: str) -> bytes:
    """The question for one name, recursion desired."""
    labels = [label.encode() for label in name.rstrip(".").split(".") if label]
    spelt = b"".join(bytes([len(label)]) + label for label in labels) + b"\0"
    return HEADER.pack(number, RD, 1, 0, 0, 0) + spelt + QUESTION.pack(TYPES[kind], IN)


def number_of(message: bytes) -> int | None:
    """The number of a message, None where it is too short to have one."""
    return int.from_bytes(message[:2], "big") if len(message) >= HEADER.size else None


def read(message: bytes, asked: bytes) -> Answer:
    """The answer to the query `asked`. Raises BadMessage."""
    if len(message) < HEADER.size:
        raise BadMessage("shorter than a header")
    number, flags, questions, answers, _, _ = HEADER.unpack_from(message)
    if number != number_of(asked) or not flags & QR or questions != 1:
        raise BadMessage("not an answer to the question")
    name, at = _name(message, HEADER.size)
    if name != _name(asked, HEADER.size)[0] or message[at : at + 4] != asked[-4:]:
        raise BadMessage("an answer to another question")
    code = flags & 15
    truncated = bool(flags & TC)
    addresses = () if truncated else tuple(_addresses(message, at + 4, answers))
    rcode = RCODES[code] if code < len(RCODES) else f"RCODE{code}"
    return Answer(rcode, truncated, answers, addresses)


def _addresses(message: bytes, at: int, count: int) -> list[str]:
    if count > RECORDS_MAX:
        raise BadMessage("too many records")
    found = []
    for _ in range(count):
        _, at = _name(message, at)
        if at + RECORD.size > len(message):
            raise BadMessage("a record that is cut off")
        kind, family, _, size = RECORD.unpack_from(message, at)
        at += RECORD.size
        data = message[at : at + size]
        if len(data) != size:
            raise BadMessage("a record that is cut off")
        at += size
        if (kind, family, size) == (TYPES["A"], IN, 4):
            found.append(str(IPv4Address(data)))
        elif (kind, family, size) == (TYPES["AAAA"], IN, 16):
            found.append(str(IPv6Address(data)))
    return found


def _name(message: bytes, at: int) -> tuple[bytes, int]:
    """A name in lower case, and where it ends. Raises BadMessage."""
    labels: list[bytes] = []
    length = 0
    end = 0
    low = at  # pointers lead before everything that was read, so that no chain has a loop
    while True:
        if at >= len(message):
            raise BadMessage("a name that is cut off")
        size = message[at]
        if size >= 0xC0:
            if at + 2 > len(message):
                raise BadMessage("a name that is cut off")
            to = int.from_bytes(message[at : at + 2], "big") & 0x3FFF
            if to >= low:
                raise BadMessage("a name that leads forward or into itself")
            end = end or at + 2
            at = low = to
            continue
        if size > 63:
            raise BadMessage("a label of an unknown kind")
        at += 1
        if size == 0:
            return b".".join(labels).lower(), end or at
        length += size + 1
        if length > NAME_MAX or at + size > len(message):
            raise BadMessage("a name that is too long or cut off")
        labels.append(message[at : at + size])
        at += size
