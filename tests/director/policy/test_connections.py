"""policy/connections: /proc/net/ip_vs_conn, as Linux 6.1 writes it."""

import pytest

from director.model.address import Endpoint
from director.policy.connections import Entry, read_entry

HEADING = "Pro FromIP   FPrt ToIP     TPrt DestIP   DPrt State       Expires PEName PEData"
VIRTUAL, SERVER = Endpoint("192.0.2.10", 80), Endpoint("10.0.8.11", 80)
CLIENT6 = "2001:0db8:0113:0000:0000:0000:0000:0001"
VIRTUAL6 = "2001:0db8:0000:0000:0000:0000:0000:0010"
SERVER6 = "2001:0db8:0008:0000:0000:0000:0000:0011"
LINES = {
    "IPv4": (
        "TCP CB007101 D9A4 C000020A 0050 0A00080B 0050 ESTABLISHED     887",
        Entry("tcp", Endpoint("203.0.113.1", 55716), VIRTUAL, SERVER, "ESTABLISHED", 887),
    ),
    "IPv6 with colons": (
        f"UDP {CLIENT6} D9A4 {VIRTUAL6} 0035 {SERVER6} 0035 UDP             300",
        Entry(
            "udp",
            Endpoint("2001:db8:113::1", 55716),
            Endpoint("2001:db8::10", 53),
            Endpoint("2001:db8:8::11", 53),
            "UDP",
            300,
        ),
    ),
    "a SIP call's template": (
        "UDP CB007101 0000 C000020A 13C4 0A00080B 13C4 UDP              60 sip 1234@example.com",
        Entry(
            "udp",
            Endpoint("203.0.113.1", 0),
            Endpoint("192.0.2.10", 5060),
            Endpoint("10.0.8.11", 5060),
            "UDP",
            60,
            "sip 1234@example.com",
        ),
    ),
    "the heading": (HEADING, None),
    "nothing": ("", None),
    "cut": ("TCP CB007101 D9A4 C000020A", None),
    "no hex": ("TCP XX007101 D9A4 C000020A 0050 0A00080B 0050 ESTABLISHED     887", None),
}


@pytest.mark.parametrize(("line", "entry"), LINES.values(), ids=LINES)
def test_a_line(line: str, entry: Entry | None) -> None:
    """What is none of ours is nothing, and no exception."""
    assert read_entry(line) == entry
