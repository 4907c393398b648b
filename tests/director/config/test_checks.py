"""Checks as the file writes them: every key of every kind, and what is refused."""

from pathlib import Path

import pytest

from director.config.load import check_text
from director.errors import ConfigError
from director.model.check import (
    AgentCheck,
    Check,
    DnsCheck,
    FileCheck,
    HttpCheck,
    NoneCheck,
    Pace,
    PingCheck,
    TcpCheck,
    Tls,
    UdpCheck,
)

PAIR = (Path(__file__).parent / "pair.toml").read_text()
PACE = Pace(interval=2.0, timeout=1.0, fast_interval=1.0, down_interval=2.0)


def _with(check: str) -> str:
    """The pair, with this table in place of what [checks.health] says."""
    head, _, rest = PAIR.partition("[checks.health]")
    return f"{head}[checks.health]\n{check}\n\n[{rest.partition(chr(10) + '[')[2]}"


def _read(check: str, node: str = "lb1") -> Check:
    config = check_text(_with(check), node=node).config
    return config.services[0].members[0].checks[0]


READ: dict[str, tuple[str, Check]] = {
    "a request": (
        """kind = "http"
method = "POST"
headers = { X-Check = "yes" }
body = "{}"
body_regex = "ok"
""",
        HttpCheck(
            pace=PACE, method="POST", headers=(("X-Check", "yes"),), body="{}", body_regex="ok"
        ),
    ),
    "a connection that is kept": (
        'kind = "http"\nkeep_alive = true',
        HttpCheck(pace=PACE, keep_alive=True),
    ),
    "TLS as it comes": ('kind = "http"\ntls = {}', HttpCheck(pace=PACE, tls=Tls())),
    "TLS": (
        """kind = "http"
[checks.health.tls]
sni = "www.example.com"
ca = "/etc/ca.pem"
certificate = "/etc/own.pem"
key = "/etc/own.key"
min_days_left = 7
""",
        HttpCheck(
            pace=PACE,
            tls=Tls(
                sni="www.example.com",
                ca="/etc/ca.pem",
                certificate="/etc/own.pem",
                key="/etc/own.key",
                min_days_left=7,
            ),
        ),
    ),
    "TLS that nobody verifies": (
        'kind = "http"\ntls = { verify = false }',
        HttpCheck(pace=PACE, tls=Tls(verify=False)),
    ),
    "tcp that talks": (
        'kind = "tcp"\nsend = "PING\\r\\n"\nexpect = "+PONG"\ntls = {}',
        TcpCheck(pace=PACE, send="PING\r\n", expect="+PONG", tls=Tls()),
    ),
    "dns": (
        'kind = "dns"\nquery = "example.com"\ntype = "AAAA"\nanswer = "2001:DB8::1"\ntcp = true',
        DnsCheck(pace=PACE, query="example.com", record="AAAA", answer=("2001:db8::1",), tcp=True),
    ),
    "dns of the root": (
        'kind = "dns"\nquery = "."\ntype = "NS"\nrcode = "REFUSED"',
        DnsCheck(pace=PACE, query=".", record="NS", rcode="REFUSED"),
    ),
    "udp": ('kind = "udp"', UdpCheck(pace=PACE)),
    "udp that is answered": (
        'kind = "udp"\npayload_hex = "00 FF"\nexpect = "x"',
        UdpCheck(pace=PACE, payload=b"\0\xff", expect=b"x", must_answer=True),
    ),
    "ping": ('kind = "ping"\naddress = "10.0.8.99"', PingCheck(pace=PACE, address="10.0.8.99")),
    "an agent": (
        'kind = "agent"\nport = 9090\nsend = "web\\n"',
        AgentCheck(pace=PACE, port=9090, send="web\n"),
    ),
    "a file": ('kind = "file"\npath = "/run/web1"', FileCheck(pace=PACE, path="/run/web1")),
    "none": ('kind = "none"', NoneCheck(pace=PACE)),
    "a source and a device": (
        'kind = "http"\nsource = "192.0.2.2"\ninterface = "servers"',
        HttpCheck(pace=PACE, source="192.0.2.2", interface="eth1"),
    ),
}


@pytest.mark.parametrize(("text", "check"), READ.values(), ids=READ)
def test_a_check_as_it_is_read(text: str, check: Check) -> None:
    assert _read(text) == check


@pytest.mark.parametrize(("node", "address"), [("lb1", "10.0.8.2"), ("lb2", "10.0.8.3")])
def test_a_role_as_the_source_is_the_nodes_own_address(node: str, address: str) -> None:
    """One file for both: each checks from its own."""
    assert _read('kind = "http"\nsource = "servers"', node).source == address


REFUSED = {
    # what is written                                                 where, and what is said
    'kind = "http"\nsource = "backside"':                           ("source", "no role"),
    'kind = "http"\nsource = "10.0.8"':                             ("source", "is not an address"),
    'kind = "http"\ninterface = "eth1"':                            ("interface", "no role"),
    'kind = "http"\nmethod = "get"':                                ("method", "is none of"),
    'kind = "http"\nheaders = { Host = "x" }':                      ("headers.Host", "writes Host itself"),
    'kind = "http"\nheaders = { "X Y" = "x" }':                     ('headers."X Y"', "not the name of a header"),
    'kind = "http"\nheaders = { X = "a\\nb" }':                     ("headers.X", "is not a value for a header"),
    'kind = "http"\nbody_regex = "(a+)+"':                          ("body_regex", "a group is repeated"),
    'kind = "http"\nkeep_alive = true\ntls = {}':                   ("keep_alive", "plain checks"),
    'kind = "http"\ntls = { verify = false, ca = "/x" }':           ("tls.ca", "does nothing"),
    'kind = "http"\ntls = { verify = false, min_days_left = 3 }':   ("tls.min_days_left", "is not known"),
    'kind = "http"\ntls = { key = "/x" }':                          ("tls.key", "no certificate"),
    'kind = "tcp"\nsend = "PING"':                                  ("send", "no expect"),
    'kind = "dns"':                                                ("query", "is missing"),
    'kind = "dns"\nquery = "a..b"':                                ("query", "not a name of DNS"),
    'kind = "dns"\nquery = "a"\ntype = "ANY"':                     ("type", "is none of"),
    'kind = "dns"\nquery = "a"\nanswer = "2001:db8::1"':           ("answer", "cannot answer a question for A"),
    'kind = "udp"\npayload_hex = "0"':                             ("payload_hex", "is not hexadecimal"),
    'kind = "udp"\npayload = "a"\npayload_hex = "00"':             ("payload_hex", "both given"),
    'kind = "file"':                                               ("path", "is missing"),
    'kind = "agent"\nthen = { kind = "tcp" }':                      ("then", "is not built yet"),
    'kind = "http"\ntls = { min_days_left = 9999 }':                ("tls.min_days_left", "outside 0..3650"),
}  # fmt: skip


@pytest.mark.parametrize(("text", "said"), REFUSED.items())
def test_what_is_refused(text: str, said: tuple[str, str]) -> None:
    key, fault = said

    with pytest.raises(ConfigError) as caught:
        check_text(_with(text), node="lb1")

    [found] = caught.value.faults
    assert found.key == f"checks.health.{key}"
    assert fault in found.fault
    assert found.mend
