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
    at = _VRID_AT + (AH_LENGTH if sealed else 0)
    load = [_instruction(_LOAD_BYTE, at)]
    if family is Family.IPV4:
        load = [_instruction(_HEADER_LENGTH_TO_X, 0), _instruction(_LOAD_BYTE_AFTER_X, at)]
    return b"".join(
        [
            *load,
            _instruction(_JUMP_IF_EQUAL, vrid, otherwise=1),
            _instruction(_RETURN, _ALL),
            _instruction(_RETURN, 0),
        ]
    )


def _instruction(code: int, operand: int, *, otherwise: int = 0) -> bytes:
    return _INSTRUCTION.pack(code, 0, otherwise, operand)
