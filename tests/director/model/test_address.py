"""model/address: one spelling for every address."""

import pytest

from director.model.address import (
    Endpoint,
    Family,
    Prefix,
    canonical,
    family_of,
    parse_endpoint,
    parse_prefix,
)

ENDPOINTS = {
    "192.0.2.1:80": Endpoint("192.0.2.1", 80),
    "[2001:db8::1]:443": Endpoint("2001:db8::1", 443),
    "[2001:DB8:0::1]:1": Endpoint("2001:db8::1", 1),
}


@pytest.mark.parametrize(("text", "want"), ENDPOINTS.items(), ids=ENDPOINTS)
def test_endpoints(text: str, want: Endpoint) -> None:
    """Read, and written back in the one spelling."""
    assert parse_endpoint(text) == want
    assert parse_endpoint(str(want)) == want


@pytest.mark.parametrize(
    "text",
    ["192.0.2.1", "192.0.2.1:", "192.0.2.1:0", "192.0.2.1:65536", "2001:db8::1:80", "[192.0.2.1]:80",
     "www.example.com:80", "[fe80::1%eth0]:80", "192.0.2.1:-1", "192.0.2.1:²"],
)  # fmt: skip
def test_what_is_no_endpoint(text: str) -> None:
    """A host name, a missing or silly port, brackets in the wrong place: refused."""
    with pytest.raises(ValueError):  # noqa: PT011  (several messages, from several checks)
        parse_endpoint(text)


def test_prefixes() -> None:
    """A host without a length, a network with one."""
    assert parse_prefix("192.0.2.10") == Prefix("192.0.2.10", 32)
    assert parse_prefix("2001:db8::10") == Prefix("2001:db8::10", 128)
    assert parse_prefix("10.0.8.1/24") == Prefix("10.0.8.1", 24)
    assert str(parse_prefix("10.0.8.1/24")) == "10.0.8.1/24"
    with pytest.raises(ValueError, match="length"):
        parse_prefix("10.0.8.1/33")


def test_families() -> None:
    """The family follows from the text."""
    assert family_of(canonical("::1")) is Family.IPV6
    assert family_of("192.0.2.1") is Family.IPV4
    assert (Family.IPV4.bits, Family.IPV6.bits) == (32, 128)
