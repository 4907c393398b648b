"""units: what the file may write, and what it means."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from director.units import is_name, parse_duration, parse_share, show_duration

DURATIONS = {"100ms": 0.1, "2s": 2.0, "1.5m": 90.0, "1h": 3600.0, "7d": 604800.0, "0s": 0.0}


@pytest.mark.parametrize(("text", "seconds"), DURATIONS.items(), ids=DURATIONS)
def test_durations(text: str, seconds: float) -> None:
    """One number, one unit."""
    assert parse_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["2", "", "s", "-1s", "1 s", "1s 2s", "1e3s", "٣s"])
def test_what_is_no_duration(text: str) -> None:
    """A bare number, a sign, a space: refused."""
    with pytest.raises(ValueError, match="duration"):
        parse_duration(text)


@given(st.integers(0, 10**9))
def test_a_duration_shown_reads_back(milliseconds: int) -> None:
    """show, then parse: the same number of milliseconds."""
    assert round(parse_duration(show_duration(milliseconds / 1000)) * 1000) == milliseconds


@pytest.mark.parametrize(("text", "share"), [("30%", 0.3), ("0%", 0.0), ("100%", 1.0)])
def test_shares(text: str, share: float) -> None:
    """A percentage is a share of one."""
    assert parse_share(text) == pytest.approx(share)


@pytest.mark.parametrize("text", ["30", "101%", "-1%", "%"])
def test_what_is_no_share(text: str) -> None:
    """Outside 0%..100%, or without the sign: refused."""
    with pytest.raises(ValueError, match="share"):
        parse_share(text)


@pytest.mark.parametrize(
    ("text", "good"),
    [
        ("web", True),
        ("web-1.a_b", True),
        ("Web", False),
        ("-web", False),
        ("", False),
        ("a" * 64, False),
    ],
)
def test_names(text: str, good: bool) -> None:
    """Lower case, digits, dot, dash, underscore; up to 63."""
    assert is_name(text) is good
