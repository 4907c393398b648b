# Which packets a socket of ours is given at all: those of its virtual router.
#
# Every raw socket of protocol 112 gets a copy of every advert on the wire. With twenty routers a
# node that is twenty wake-ups for each advert, nineteen of them for nothing; so the kernel is told
# what to look for. It never judges an advert: what is wrong with one of ours has to be counted.
#
# An IPv4 raw socket filters from the IP header on (raw.c, raw_rcv), an IPv6 one from what follows
# the extension headers (ip6_input.c, ip6_protocol_deliver_rcu). What is too short to name a router
# is dropped: a load beyond the end of a packet ends the program with 0.
"""Programs of the classic Berkeley Packet Filter."""

import struct
from collections.abc import Collection

from director.model.address import Family
from director.vrrp.authentication import AH_LENGTH

_INSTRUCTION = struct.Struct("=HBBI")  # struct sock_filter: code, jump if true, if false, operand
_HEADER_LENGTH_TO_X = 0xB1  # BPF_LDX | BPF_B | BPF_MSH: x = 4 * (byte & 15)
_LOAD_BYTE_AFTER_X = 0x50  # BPF_LD | BPF_B | BPF_IND
_LOAD_BYTE = 0x30  # BPF_LD | BPF_B | BPF_ABS
_JUMP_IF_EQUAL = 0x15  # BPF_JMP | BPF_JEQ | BPF_K
_RETURN = 0x06  # BPF_RET | BPF_K
_ALL = 0xFFFF_FFFF
_VRID_AT = 1  # in a PDU of either version


def of_router(vrid: int, family: Family, *, sealed: bool = False) -> bytes:
    """The program that lets pass what is meant for this VRID; `sealed`: behind an AH (IPv4)."""
    return b"".join(
        [
            *_load(_VRID_AT + (AH_LENGTH if sealed else 0), family),
            _instruction(_JUMP_IF_EQUAL, vrid, otherwise=1),
            _instruction(_RETURN, _ALL),
            _instruction(_RETURN, 0),
        ]
    )


def of_others(vrids: Collection[int], family: Family) -> bytes:
    """The program that lets pass what is meant for none of these (255 at most)."""
    left = len(vrids)
    ours = [
        _instruction(_JUMP_IF_EQUAL, vrid, then=left - at) for at, vrid in enumerate(sorted(vrids))
    ]
    ends = [_instruction(_RETURN, _ALL), _instruction(_RETURN, 0)]
    return b"".join([*_load(_VRID_AT, family), *ours, *ends])


def _load(at: int, family: Family) -> list[bytes]:
    """A byte of the payload."""
    if family is Family.IPV6:
        return [_instruction(_LOAD_BYTE, at)]
    return [_instruction(_HEADER_LENGTH_TO_X, 0), _instruction(_LOAD_BYTE_AFTER_X, at)]


def _instruction(code: int, operand: int, *, then: int = 0, otherwise: int = 0) -> bytes:
    return _INSTRUCTION.pack(code, then, otherwise, operand)


NOTHING = _instruction(_RETURN, 0)
