"""The kinds of check that have more keys than all have: what each reads of its table."""

import re
from typing import TypedDict

from msgspec import UnsetType

from director.config.check_tables import (
    DnsCheckTable,
    HttpCheckTable,
    TcpCheckTable,
    TlsTable,
    UdpCheckTable,
)
from director.config.faults import Findings, Key
from director.config.patterns import complain
from director.config.readers import element, listed, pick, read_address
from director.config.shape import show
from director.model.check import DnsCheck, HttpCheck, Pace, TcpCheck, Tls, UdpCheck

STATUS = re.compile(r"([1-5][0-9][0-9])(?:-([1-5][0-9][0-9]))?")
TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
OURS = {
    "host": "write host",
    "content-length": "it is that of body",
    "connection": "keep_alive decides it",
    "transfer-encoding": "the body is sent as it is",
}
PAYLOAD_MAX = 1400  # one datagram that no network cuts
LABEL = re.compile(r"[!-\-/-~]{1,63}")


class Base(TypedDict):
    """The keys that every kind has."""

    pace: Pace
    port: int
    address: str
    source: str
    interface: str


def read_tcp(table: TcpCheckTable, key: Key, base: Base, found: Findings) -> TcpCheck:
    if table.send and not pick("", table.expect):
        fault = "send has no expect: what comes back decides"
        found.add((*key, "send"), fault, 'add expect = "…", or leave send out')
    tls = _tls(table.tls, (*key, "tls"), found)
    return TcpCheck(**base, send=table.send, expect=pick("", table.expect), tls=tls)


def read_http(table: HttpCheckTable, key: Key, base: Base, found: Findings) -> HttpCheck:
    return HttpCheck(
        **base,
        method=table.method,
        path=table.path,
        host=pick("", table.host),
        headers=_headers(table, (*key, "headers"), found),
        body=table.body,
        status=_statuses(table, (*key, "status"), found) or HttpCheck().status,
        body_regex=_pattern(table.body_regex, (*key, "body_regex"), found),
        keep_alive=_keep_alive(table, key, found),
        tls=_tls(table.tls, (*key, "tls"), found),
    )


def read_dns(table: DnsCheckTable, key: Key, base: Base, found: Findings) -> DnsCheck:
    if not is_question(table.query):
        mend = 'write ASCII labels of 1 to 63 characters, as in "example.com", or "." for the root'
        found.add((*key, "query"), f"{show(table.query)} is not a name of DNS", mend)
    answers = []
    for index, text in enumerate(listed(table.answer)):
        where = element((*key, "answer"), table.answer, index)
        address = read_address(text, where, found)
        if address is not None and (":" in address) != (table.type == "AAAA"):
            fault = f"{address} cannot answer a question for {table.type}"
            found.add(where, fault, 'write type = "A" for IPv4, "AAAA" for IPv6')
        answers.append(address or "")
    return DnsCheck(
        **base,
        query=table.query,
        record=table.type,
        rcode=table.rcode,
        answer=tuple(answers),
        tcp=table.tcp,
    )


def read_udp(table: UdpCheckTable, key: Key, base: Base, found: Findings) -> UdpCheck:
    payload = pick("", table.payload).encode()
    if not isinstance(table.payload_hex, UnsetType):
        where = (*key, "payload_hex")
        if payload:
            found.add(where, "payload and payload_hex are both given", "keep one of them")
        try:
            payload = bytes.fromhex(table.payload_hex)
        except ValueError:
            fault = f"{show(table.payload_hex)} is not hexadecimal"
            found.add(where, fault, 'write two digits a byte, as in "00 ff"')
    if len(payload) > PAYLOAD_MAX:
        fault = f"{len(payload)} bytes are too many for a datagram of a check"
        where = (*key, "payload" if isinstance(table.payload_hex, UnsetType) else "payload_hex")
        found.add(where, fault, f"write {PAYLOAD_MAX} bytes at most")
    expect = pick("", table.expect).encode()
    must = table.must_answer or bool(expect)
    return UdpCheck(**base, payload=payload, expect=expect, must_answer=must)


def _headers(table: HttpCheckTable, key: Key, found: Findings) -> tuple[tuple[str, str], ...]:
    for name in table.headers:
        if not TOKEN.fullmatch(name):
            mend = 'write it as in "X-Check"'
            found.add((*key, name), f'"{name}" is not the name of a header', mend)
        elif name.lower() in OURS:
            mend = f"leave it out; {OURS[name.lower()]}"
            found.add((*key, name), f"the check writes {name} itself", mend)
    return tuple(table.headers.items())


def _pattern(written: str | UnsetType, key: Key, found: Findings) -> str:
    if isinstance(written, UnsetType):
        return ""
    wrong = complain(written)
    if wrong is not None:
        found.add(key, *wrong)
        return ""
    return written


def _keep_alive(table: HttpCheckTable, key: Key, found: Findings) -> bool:
    if table.keep_alive and not (
        isinstance(table.tls, UnsetType) and isinstance(table.body_regex, UnsetType)
    ):
        fault = "keep_alive is for plain checks: without tls and body_regex"
        found.add((*key, "keep_alive"), fault, "leave it out")
    return table.keep_alive


def _tls(table: TlsTable | UnsetType, key: Key, found: Findings) -> Tls | None:
    if isinstance(table, UnsetType):
        return None
    if not table.verify and not isinstance(table.ca, UnsetType):
        mend = "leave ca out, or write verify = true"
        found.add((*key, "ca"), "ca does nothing where verify = false", mend)
    if not table.verify and table.min_days_left:
        fault = "min_days_left is not known where verify = false"
        found.add((*key, "min_days_left"), fault, "leave it out, or write verify = true")
    if not isinstance(table.key, UnsetType) and isinstance(table.certificate, UnsetType):
        found.add((*key, "key"), "key has no certificate", "add certificate")
    return Tls(
        verify=table.verify,
        sni=pick("", table.sni),
        ca=pick("", table.ca),
        certificate=pick("", table.certificate),
        key=pick("", table.key),
        min_days_left=table.min_days_left,
    )


def _statuses(table: HttpCheckTable, key: Key, found: Findings) -> tuple[tuple[int, int], ...]:
    ranges: list[tuple[int, int]] = []
    for index, item in enumerate(listed(table.status)):
        match = STATUS.fullmatch(str(item))
        low, high = (int(match[1]), int(match[2] or match[1])) if match else (1, 0)
        if low > high:
            mend = 'write one status or a range, as in 200 or "200-299"'
            where = element(key, table.status, index)
            found.add(where, f'"{item}" is not an HTTP status', mend)
        else:
            ranges.append((low, high))
    return tuple(ranges)


def is_question(name: str) -> bool:
    """Can this name be asked for? At most 253 characters, its labels ASCII without spaces."""
    bare = name.removesuffix(".")
    return name == "." or (
        len(bare) <= 253 and all(LABEL.fullmatch(label) for label in bare.split("."))
    )
