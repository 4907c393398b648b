"""Tests of director.kernel.syncd."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from director.kernel.netlink import Garbled, attribute, nest, text, u32
from director.kernel.syncd import DAEMON, decode, encode
from director.model.config import SyncSettings

GENERIC = bytes(4)


def test_what_is_left_open_is_not_sent() -> None:
    """
    Role, interface and id alone; byte for byte (little-endian).
    """
    got = encode("backup", SyncSettings(interface="eth2", id=51))

    assert got == bytes.fromhex(
        "20000380 0800010002000000 090002006574683200000000 0800030033000000"
    )


def test_the_port_is_in_host_order() -> None:
    """
    Unlike all other ports of the family.
    """
    assert bytes.fromhex("0600070090220000") in encode(
        "master", SyncSettings(interface="eth2", port=8848)
    )


GROUPS = st.sampled_from(["224.0.0.81", "ff02::81"])


@given(
    role=st.sampled_from(["master", "backup"]),
    settings=st.builds(
        SyncSettings,
        interface=st.sampled_from(["eth2", "eth0.100"]),
        id=st.integers(0, 255),
        port=st.integers(1, 65535),
        ttl=st.integers(1, 255),
        maxlen=st.integers(44, 65535),
        group=GROUPS,
    ),
)
def test_settings_read_back(role: str, settings: SyncSettings) -> None:
    """
    Decoding what was encoded gives the same, in either family.
    """
    assert decode(memoryview(GENERIC + encode(role, settings))) == (role, settings)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        nest(DAEMON),
        nest(DAEMON, u32(1, 3), text(2, "eth2")),
        nest(DAEMON, u32(1, 1)),
        nest(DAEMON, u32(1, 1), text(2, "eth2"), attribute(6, b"abc")),
    ],
    ids=["nothing", "an empty one", "an unknown role", "no interface", "a short group"],
)
def test_what_is_wrong_is_garbled(body: bytes) -> None:
    """
    Each kind of wrong answer.
    """
    with pytest.raises(Garbled):
        decode(memoryview(GENERIC + body))


@given(data=st.binary(max_size=80))
def test_garbage_is_garbled_and_nothing_else(data: bytes) -> None:
    """
    Random bytes, bare or in the right nest, are read or raise Garbled.
    """
    for body in (data, GENERIC + nest(DAEMON, data)):
        with suppress(Garbled):
            decode(memoryview(body))
