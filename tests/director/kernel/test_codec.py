# Golden bytes are written out by hand after include/uapi/linux/ip_vs.h (little-endian); that the
# kernel means the same by them is proved in tests/kernel/.
"""Tests of director.kernel.codec."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from director.kernel import codec
from director.kernel.codec import DEST, SERVICE, Decoder, encode
from director.kernel.netlink import Garbled, attribute, nest, u16, u32
from director.model.address import Endpoint, Family
from director.model.ops import (
    AddDestination,
    AddService,
    DeleteDestination,
    DeleteService,
    SetDestination,
    SetService,
    TableOp,
)
from director.model.service import (
    Counters,
    Destination,
    Forwarding,
    Persistence,
    Protocol,
    ServiceKey,
    ServiceSettings,
    Tunnel,
)

GENERIC = bytes(4)
WEB = ServiceKey(Family.IPV4, Protocol.TCP, "192.0.2.10", 80)
DNS6 = ServiceKey(Family.IPV6, Protocol.UDP, "2001:db8::10", 53)
MARKED = ServiceKey(Family.IPV6, mark=7)
ONE = Endpoint("10.0.8.11", 8080)
WEB_BYTES = (
    "06000100020000000600020006000000140003 00c000020a 000000000000000000000000 0600040000500000"
)

GOLDEN: dict[str, tuple[TableOp, int, str]] = {
    "add a service": (
        AddService(WEB, ServiceSettings("wlc")),
        1,
        (
            f"54000180 {WEB_BYTES} 08000600776c6300 0c000700000000003d000000"
            "08000800 00000000 08000900 ffffffff"
        ),
    ),
    "set a persistent service of IPv6": (
        SetService(DNS6, ServiceSettings("mh", frozenset({"mh-port"}), Persistence(300, 64))),
        2,
        (
            "54000180 060001000a000000 0600020011000000 14000300 20010db8000000000000000000000010"
            "0600040000350000 070006006d680000 0c000700110000003d000000"
            "08000800 2c010000 08000900 40000000"
        ),
    ),
    "delete a mark": (DeleteService(MARKED), 3, "14000180 060001000a000000 0800050007000000"),
    "add a destination": (
        AddDestination(WEB, ONE, Destination(weight=100, forwarding=Forwarding.NAT)),
        5,
        (
            f"30000180 {WEB_BYTES} 60000280"
            "06000b0002000000 14000100 0a00080b000000000000000000000000 06000200 1f900000"
            "08000300 00000000 08000400 64000000 08000500 00000000 08000600 00000000"
            "05000d00 00000000 06000e00 00000000 06000f00 00000000"
        ),
    ),
    "set a GUE destination": (
        SetDestination(
            WEB,
            ONE,
            Destination(
                weight=0,
                forwarding=Forwarding.TUN,
                tunnel=Tunnel("gue", 6080, checksum=True),
                upper_threshold=9,
                lower_threshold=4,
            ),
        ),
        6,
        (
            f"30000180 {WEB_BYTES} 60000280"
            "06000b0002000000 14000100 0a00080b000000000000000000000000 06000200 1f900000"
            "08000300 02000000 08000400 00000000 08000500 09000000 08000600 04000000"
            "05000d00 01000000 06000e00 17c00000 06000f00 01000000"
        ),
    ),
    "delete a destination": (
        DeleteDestination(WEB, ONE),
        7,
        (
            f"30000180 {WEB_BYTES} 28000280"
            "06000b0002000000 14000100 0a00080b000000000000000000000000 06000200 1f900000"
        ),
    ),
}


@pytest.mark.parametrize(("op", "command", "data"), GOLDEN.values(), ids=GOLDEN)
def test_an_operation_is_encoded_byte_for_byte(op: TableOp, command: int, data: str) -> None:
    """
    Ports and IPv4 masks big-endian, all else little-endian, the mask of flags with all of ours.
    """
    assert encode(op) == (command, bytes.fromhex(data))


def test_an_ipv4_client_network_is_a_mask() -> None:
    """
    /24 goes as 255.255.255.0, in network order.
    """
    body = codec.encode_settings(
        Family.IPV4, ServiceSettings("rr", persistence=Persistence(60, 24, "sip"))
    )

    assert attribute(codec.NETMASK, b"\xff\xff\xff\x00") in body
    assert attribute(codec.ENGINE, b"sip\0") in body


SETTINGS = st.builds(
    ServiceSettings,
    st.sampled_from(["rr", "wlc", "none"]),
    st.frozensets(st.sampled_from(["flag-1", "flag-2", "flag-3"])),
    st.none() | st.builds(Persistence, st.integers(1, 2**31), st.integers(1, 32)),
    st.booleans(),
)
DESTINATIONS = st.builds(
    Destination,
    weight=st.integers(0, 2**31 - 1),
    forwarding=st.sampled_from([Forwarding.DR, Forwarding.NAT]),
    upper_threshold=st.integers(0, 2**32 - 1),
    lower_threshold=st.integers(0, 2**32 - 1),
)


@given(settings=SETTINGS, key=st.sampled_from([WEB, MARKED, DNS6]))
def test_a_service_reads_back(settings: ServiceSettings, key: ServiceKey) -> None:
    """
    Decoding what was encoded gives the same.
    """
    _, body = encode(AddService(key, settings))

    assert Decoder().service(memoryview(GENERIC + body)) == (key, settings)


@given(st.lists(st.tuples(DESTINATIONS, st.integers(0, 65535)), max_size=5))
def test_destinations_read_back(made: list[tuple[Destination, int]]) -> None:
    """
    One decoder reads many destinations, with the counters that the kernel adds.
    """
    decoder = Decoder()
    for destination, port in made:
        for address in ("10.0.8.1", "2001:db8::1"):
            endpoint = Endpoint(address, port)
            counters = u32(7, 1) + u32(8, 2) + u32(9, 3)
            body = nest(
                DEST,
                codec.encode_endpoint(endpoint),
                codec.encode_destination(destination),
                counters,
            )

            got = decoder.destination(memoryview(GENERIC + body), Family.IPV4)

            assert got == (endpoint, destination, Counters(1, 2, 3))


def test_an_old_kernel_names_no_family_and_no_tunnel() -> None:
    """
    Without ADDR_FAMILY a destination has its service's; without tunnel attributes it is IPIP.
    """
    body = nest(
        DEST,
        attribute(codec.DEST_ADDRESS, bytes([10, 0, 8, 1]) + bytes(12)),
        attribute(codec.DEST_PORT, b"\x00\x50"),
        u32(codec.DEST_METHOD, 2) + u32(codec.DEST_WEIGHT, 1),
    )

    got = Decoder().destination(memoryview(GENERIC + body), Family.IPV4)

    wanted = Destination(forwarding=Forwarding.TUN, tunnel=Tunnel())
    assert got == (Endpoint("10.0.8.1", 80), wanted, Counters())


def _destination(method: int, tunnel: int = 0) -> bytes:
    return nest(
        DEST,
        codec.encode_endpoint(ONE),
        u32(codec.DEST_METHOD, method) + u32(codec.DEST_WEIGHT, 1),
        attribute(codec.DEST_TUNNEL, bytes([tunnel])),
    )


@pytest.mark.parametrize(("method", "tunnel"), [(1, 0), (4, 0), (2, 9)])
def test_what_the_model_has_no_word_for_is_not_ours(method: int, tunnel: int) -> None:
    """
    A local node, a bypass, a tunnel of a later kernel: left out, not an error.
    """
    body = memoryview(GENERIC + _destination(method, tunnel))

    assert Decoder().destination(body, Family.IPV4) is None


def test_a_protocol_that_the_model_does_not_know_is_not_ours() -> None:
    """
    A foreign service of protocol 50 is left out.
    """
    _, body = encode(AddService(WEB, ServiceSettings("rr")))
    strange = body.replace(u16(codec.PROTOCOL, 6), u16(codec.PROTOCOL, 50))

    assert Decoder().service(memoryview(GENERIC + strange)) is None


@given(data=st.binary(max_size=120), kind=st.sampled_from([SERVICE, DEST]))
def test_garbage_is_garbled_and_nothing_else(data: bytes, kind: int) -> None:
    """
    Random bytes, bare or in the right nest, are read or raise Garbled.
    """
    for body in (data, GENERIC + nest(kind, data)):
        for read in (
            Decoder().service,
            lambda view: Decoder().destination(view, Family.IPV4),
        ):
            with suppress(Garbled):
                read(memoryview(body))


@given(cut=st.integers(0, 200), data=st.data())
def test_what_is_cut_or_bent_is_garbled_and_nothing_else(cut: int, data: st.DataObject) -> None:
    """
    A true answer with an end cut off and a byte changed raises Garbled or is read.
    """
    _, service = encode(AddService(WEB, ServiceSettings("sh", persistence=Persistence(5, 24))))
    for whole, read in (
        (service, Decoder().service),
        (_destination(2), lambda view: Decoder().destination(view, Family.IPV6)),
    ):
        bent = bytearray(GENERIC + whole)[: max(1, len(whole) - cut % len(whole))]
        bent[data.draw(st.integers(0, len(bent) - 1))] = data.draw(st.integers(0, 255))
        with suppress(Garbled):
            read(memoryview(bent))
