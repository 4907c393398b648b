"""Tests of director.vrrp.advert."""

import pytest

from director.model.address import Prefix
from director.model.vip import Router, Vip
from director.vrrp.advert import Method, Secret, Terms


@pytest.mark.parametrize(
    ("word", "key"),
    [
        (b"", b"\0\0\0\0\0\0\0\0"),
        (b"secret", b"secret\0\0"),
        (b"12345678", b"12345678"),
        (b"123456789", b"12345678"),
    ],
)
def test_a_key_has_eight_bytes(word: bytes, key: bytes) -> None:
    """
    2338-10.5.2: what is shorter is padded; what is longer keepalived cuts, and so do we.
    """
    assert Secret(Method.PASS, word).key == key


def test_terms_of_a_router() -> None:
    """
    What the file says about a virtual router is what its adverts have to be like.
    """
    router = Router(
        name="web",
        vrid=51,
        interface="eth0",
        source="10.9.0.1",
        priority=150,
        interval=2.0,
        vips=(Vip(Prefix("10.9.0.100", 32), "eth0"),),
        peers=("10.9.0.2",),
        version=2,
    )
    secret = Secret(Method.PASS, b"secret")

    assert Terms.of(router, secret) == Terms(
        version=2, interval=2.0, peers=("10.9.0.2",), secret=secret
    )
