"""Patterns whose cost is bounded are taken, others refused with a mend."""

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from director.config.patterns import complain

TAKEN = [
    "ok", r"\bok\b", "^status: (ok|green)$", r'"status":\s*"ok"', "[0-9]{1,4}[.][0-9]{1,4}",
    "a+", "colou?r", r"\d{3}", "(?:up|ready)", r"[^\]]x", "x{2,}",
]  # fmt: skip
REFUSED = {
    "(a+)+": "a group is repeated",
    "(a|a)*": "a group is repeated",
    "(ab){3}": "a group is repeated",
    "a*a*": "several repetitions multiply",
    "a+b{1,9}": "several repetitions multiply",
    "a{0,99}b{0,99}": "several repetitions multiply",
    r"(a)\1": "more than checks match",
    "(?=a)": "more than checks match",
    "(?i)a": "more than checks match",
    "a*?": "more than checks match",
    "a*+": "more than checks match",
    "(": "not a regular expression",
    "x" * 201: "longer than",
}


@pytest.mark.parametrize("pattern", TAKEN)
def test_a_pattern_that_is_taken(pattern: str) -> None:
    assert complain(pattern) is None


@pytest.mark.parametrize(("pattern", "fault"), REFUSED.items())
def test_a_pattern_that_is_refused(pattern: str, fault: str) -> None:
    wrong = complain(pattern)

    assert wrong is not None
    assert fault in wrong[0]
    assert wrong[1]


@given(
    pattern=st.text(alphabet="ab*+?{}1,9()|[]\\.^$", max_size=20),
    body=st.sampled_from(["a" * 8192, "ab" * 4096]),
)
def test_no_pattern_that_is_taken_is_slow(pattern: str, body: str) -> None:
    """
    Processor time, since the machine may be busy; a pattern that goes wrong takes for ever.
    """
    if complain(pattern) is None:
        began = time.process_time()
        re.search(pattern.encode(), body.encode())
        assert time.process_time() - began < 2.0
