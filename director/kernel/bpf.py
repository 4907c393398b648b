# Filters that run in the kernel before we are woken: classic BPF, which needs no right to attach.
#
# Source: include/uapi/linux/bpf_common.h, filter.h; Documentation/networking/filter.rst.
"""A small assembler of classic BPF, and what attaches its programs."""

import socket
import struct
from collections.abc import Iterable
from ctypes import addressof, create_string_buffer
from typing import NamedTuple

SO_ATTACH_FILTER = 26
LOAD_WORD, LOAD_HALF, LOAD_BYTE = 0x20, 0x28, 0x30  # from the packet, as big-endian
LOAD_BYTE_AFTER_X = 0x50  # a byte at x and so many
HEADER_LENGTH_TO_X = 0xB1  # x = 4 * (byte & 15): how long an IPv4 header is
AND, EQUAL, AT_LEAST, RETURN = 0x54, 0x15, 0x35, 0x06
JUMPS = (EQUAL, AT_LEAST)
WHOLE = 0xFFFFFFFF
JUMP_MAX = 255
INSTRUCTION = struct.Struct("=HBBI")
_PROGRAM = struct.Struct("HP")  # struct sock_fprog


class Op(NamedTuple):
    """One instruction; a jump names the labels it goes to ("": the next instruction)."""

    code: int
    value: int
    yes: str = ""
    no: str = ""


PASS = Op(RETURN, WHOLE)
DROP = Op(RETURN, 0)


def assemble(lines: Iterable[Op | str]) -> bytes:
    """The program; a string among the instructions is a label for the one that follows.

    Jumps lead forward, over 255 instructions at most.
    """
    ops: list[Op] = []
    labels: dict[str, int] = {}
    for line in lines:
        if isinstance(line, str):
            labels[line] = len(ops)
        else:
            ops.append(line)

    def jump(at: int, label: str) -> int:
        distance = labels[label] - at - 1 if label else 0
        assert 0 <= distance <= JUMP_MAX
        return distance

    return b"".join(
        INSTRUCTION.pack(op.code, jump(at, op.yes), jump(at, op.no), op.value)
        for at, op in enumerate(ops)
    )


def attach(sock: socket.socket, program: bytes) -> None:
    """From now on the socket receives only what the program lets pass. Raises OSError."""
    code = create_string_buffer(program, len(program))
    head = _PROGRAM.pack(len(program) // INSTRUCTION.size, addressof(code))
    sock.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, head)
