"""kernel/bpf: filters that run in the kernel. A small machine here runs them without one."""

import socket

import pytest

from director.kernel.bpf import (
    AND,
    AT_LEAST,
    DROP,
    EQUAL,
    INSTRUCTION,
    LOAD_BYTE,
    LOAD_HALF,
    LOAD_WORD,
    PASS,
    RETURN,
    Op,
    assemble,
    attach,
)


def passes(program: bytes, packet: bytes) -> bool:
    """Would the kernel deliver it? A load beyond the end drops (filter.rst)."""
    ops = list(INSTRUCTION.iter_unpack(program))
    at = register = 0
    while True:
        code, yes, no, value = ops[at]
        at += 1
        match code:
            case int() if code in (LOAD_WORD, LOAD_HALF, LOAD_BYTE):
                size = {LOAD_WORD: 4, LOAD_HALF: 2, LOAD_BYTE: 1}[code]
                if len(packet) < value + size:
                    return False
                register = int.from_bytes(packet[value : value + size], "big")
            case int() if code == AND:
                register &= value
            case int() if code == EQUAL:
                at += yes if register == value else no
            case int() if code == AT_LEAST:
                at += yes if register >= value else no
            case int() if code == RETURN:
                return bool(value)
            case _:
                raise AssertionError(code)


COUNTED: list[Op | str] = [Op(LOAD_BYTE, 1), Op(EQUAL, 7, yes="good"), DROP, "good", PASS]


@pytest.mark.parametrize(
    ("packet", "there"), [(b"\0\7", True), (b"\0\6", False), (b"\7", False), (b"", False)]
)
def test_a_jump_goes_to_its_label(packet: bytes, there: bool) -> None:
    """Equal goes on at "good", anything else at the next instruction; what is too short drops."""
    assert passes(assemble(COUNTED), packet) is there


def test_a_jump_that_is_too_long_is_a_bug() -> None:
    """The field has eight bits: it would silently go elsewhere."""
    far: list[Op | str] = [Op(EQUAL, 7, yes="far"), *[DROP] * 256, "far", PASS]

    with pytest.raises(AssertionError):
        assemble(far)


def test_the_kernel_runs_it() -> None:
    """Attached to one end of a pair, what does not fit never arrives."""
    ours, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with ours, other:
        attach(ours, assemble(COUNTED))
        for packet in (b"\0\6", b"", b"\0\7 first", b"\1\7 second"):
            other.send(packet)

        assert [ours.recv(16), ours.recv(16)] == [b"\0\7 first", b"\1\7 second"]
