# nftables by our own netlink: which table of ours stands, and elements of a map.
#
# Rules are loaded by nft(8), which the engine alone starts. What is here is what must be quick
# (elements that end by themselves) or frequent (is our table there).
#
# What one does not expect:
# - Changes come in a batch, between a begin and an end that are no messages of nf_tables, and one
#   that fails undoes all. The end is not acknowledged before Linux 6.10: silence there is fine.
# - To remove an element that is not there fails, and with it the batch; to empty a map never does.
# - Time-outs are milliseconds in network order, as all numbers of nf_tables are.
#
# Source: include/uapi/linux/netfilter/nfnetlink.h and nf_tables.h.
"""Our tables in nf_tables."""

import errno
import socket
import struct
from collections.abc import Mapping

from director.kernel.netlink import (
    BATCH,
    CREATE,
    DUMP,
    Garbled,
    Socket,
    attribute,
    attributes,
    nest,
    pack,
    text,
    words,
)
from director.model.address import Family, family_of

NETFILTER = 12
TABLES = 10  # NFNL_SUBSYS_NFTABLES
BATCH_BEGIN, BATCH_END = 0x10, 0x11
GET_TABLE, NEW_ELEMENT, DELETE_ELEMENT = TABLES << 8 | 1, TABLES << 8 | 12, TABLES << 8 | 14
HEAD = struct.Struct("!BBH")  # nfgenmsg: family, version, resource
PROTOCOLS = {Family.IPV4: 2, Family.IPV6: 10}  # NFPROTO_IPV4, NFPROTO_IPV6
TABLE_NAME, TABLE_USERDATA = 1, 6
ELEMENTS_TABLE, ELEMENTS_SET, ELEMENTS = 1, 2, 3
ELEMENT, KEY, DATA, TIMEOUT = 1, 1, 2, 4
VALUE = 1
TCP = bytes([socket.IPPROTO_TCP])
USERDATA_COMMENT = 0  # nft writes type, length, text and a zero (libnftnl, udata.h)
PORTION = 200  # elements in one message: an attribute's length has 16 bits


class NfTables:
    """nf_tables of this network namespace. Not for two threads at once. Raises OSError."""

    def __init__(self) -> None:
        self._socket = Socket(NETFILTER)

    def close(self) -> None:
        """Closing twice does nothing."""
        self._socket.close()

    def comment(self, family: Family, table: str) -> str | None:
        """The comment of a table; None when there is no such table. Raises OSError, Torn."""
        request = pack(GET_TABLE, DUMP, HEAD.pack(PROTOCOLS[family], 0, 0))
        return dict(self._socket.collect(request, decode_table)).get(table)

    def point(
        self, table: str, name: str, targets: Mapping[str, str], seconds: float, family: Family
    ) -> int:
        """Make a map of addresses hold these and nothing else, each for so long; 0 or an errno.

        Until they end or the next call. ENOENT: there is no such map, or no nf_tables.
        """
        rows = [_element(_packed(key), _packed(value), seconds) for key, value in targets.items()]
        return self._refill(table, name, rows, family)

    def open(self, table: str, name: str, seconds: float, family: Family) -> int:
        """Make a set of protocols hold TCP and nothing else, for so long; 0 or an errno."""
        return self._refill(table, name, [_element(TCP, b"", seconds)], family)

    def _refill(self, table: str, name: str, rows: list[bytes], family: Family) -> int:
        where = HEAD.pack(PROTOCOLS[family], 0, 0) + text(ELEMENTS_TABLE, table)
        where += text(ELEMENTS_SET, name)
        requests = [pack(DELETE_ELEMENT, 0, where)]
        for start in range(0, len(rows), PORTION):
            body = where + nest(ELEMENTS, *rows[start : start + PORTION])
            requests.append(pack(NEW_ELEMENT, CREATE, body))
        return self._change(requests)

    def _change(self, requests: list[bytes]) -> int:
        edge = HEAD.pack(0, 0, TABLES)
        batch = [pack(BATCH_BEGIN, 0, edge), *requests, pack(BATCH_END, 0, edge)]
        assert len(batch) <= BATCH
        silent_end = errno.EINTR
        answers = self._socket.transact(batch)
        codes = [answer.errno for answer in answers[:-1]]
        codes.append(0 if answers[-1].errno == silent_end else answers[-1].errno)
        return next((code for code in codes if code), 0)


def decode_table(body: memoryview) -> tuple[str, str]:
    """Name and comment of one table. Raises Garbled."""
    if len(body) < HEAD.size:
        raise Garbled(f"a table of {len(body)} bytes")
    found = attributes(body[HEAD.size :])
    if TABLE_NAME not in found:
        raise Garbled("a table without a name")
    return words(found[TABLE_NAME]), _comment(bytes(found.get(TABLE_USERDATA, b"")))


def _comment(userdata: bytes) -> str:
    while len(userdata) >= 2:
        kind, length = userdata[0], userdata[1]
        if kind == USERDATA_COMMENT:
            return words(userdata[2 : 2 + length])
        userdata = userdata[2 + length :]
    return ""


def _element(key: bytes, data: bytes, seconds: float) -> bytes:
    """Of a map; of a set where there is no data."""
    return nest(
        ELEMENT,
        nest(KEY, attribute(VALUE, key)),
        nest(DATA, attribute(VALUE, data)) if data else b"",
        attribute(TIMEOUT, struct.pack("!Q", round(seconds * 1000))),
    )


def _packed(address: str) -> bytes:
    return socket.inet_pton(family_of(address), address)
