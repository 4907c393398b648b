# /proc/net/ip_vs_conn, line by line (net/netfilter/ipvs/ip_vs_conn.c, ip_vs_conn_seq_show):
#
#   Pro FromIP FPrt ToIP TPrt DestIP DPrt State Expires PEName PEData
#
# Addresses of IPv4 are 8 hex digits, those of IPv6 eight groups; ports are hex.
"""Entries of the kernel's connection table."""

import msgspec

from director.model.address import Endpoint, canonical

FIELDS = 9


class Entry(msgspec.Struct, frozen=True):
    """One connection, or one template of a persistent client (source port 0). Seconds."""

    protocol: str
    client: Endpoint
    virtual: Endpoint
    destination: Endpoint
    state: str
    expires: int
    engine_data: str = ""


def read_entry(line: str) -> Entry | None:
    """One line; None for the heading and for what is none."""
    words = line.split()
    if len(words) < FIELDS or words[0] == "Pro":
        return None
    try:
        return Entry(
            words[0].lower(),
            _endpoint(words[1], words[2]),
            _endpoint(words[3], words[4]),
            _endpoint(words[5], words[6]),
            words[7],
            int(words[8]),
            " ".join(words[FIELDS:]),
        )
    except ValueError:
        return None


def _endpoint(address: str, port: str) -> Endpoint:
    if ":" not in address:
        address = ".".join(str(byte) for byte in bytes.fromhex(address))
    return Endpoint(canonical(address), int(port, 16))
