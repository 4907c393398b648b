"""The hand-written reader of HTTP answers: however the bytes are cut, the verdict is the same."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from checks.http1 import BODY_MAX, HEAD_MAX, HttpTalk
from checks.talk import CLOSED, INVALID, LISTEN, Step, Verdict

WANTED = ((200, 299),)
LINE = b"HTTP/1.1 200 OK\r\n"


def _talk(*, keep: bool = False, bodiless: bool = False) -> HttpTalk:
    talk = HttpTalk(b"GET / HTTP/1.1\r\n\r\n", WANTED, keep=keep, bodiless=bodiless)
    assert talk.begin() == b"GET / HTTP/1.1\r\n\r\n"
    return talk


def _fed(talk: HttpTalk, pieces: list[bytes]) -> Step:
    step: Step = LISTEN
    for piece in pieces:
        step = talk.hear(piece)
        if step != LISTEN:
            return step
    return step


def _cut(data: bytes, places: list[int]) -> list[bytes]:
    edges = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    return [data[low:high] for low, high in pairwise(edges) if low < high]


ANSWERS = {
    # the server says                                        kept: no                kept: yes
    b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok":         ("HTTP 200", True),
    b"HTTP/1.1 200 OK\ncontent-length:2\n\nok":               ("HTTP 200", True),
    b"HTTP/1.1 204 No\r\n\r\n":                               ("HTTP 204", True),
    b"HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n":             ("HTTP 200", True),
    b"HTTP/1.1 100 C\r\n\r\nHTTP/1.1 204 No\r\n\r\n":         ("HTTP 204", True),
    b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok+":        ("HTTP 200", False),
    b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n":          ("HTTP 200", False),
    b"HTTP/1.1 200 OK\r\n\r\nbody":                           ("HTTP 200", False),
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n":  ("HTTP 200", False),
    b"HTTP/1.1 200 OK\r\nConnection: x, Close\r\nContent-Length: 0\r\n\r\n": ("HTTP 200", False),
    b"HTTP/1.1 101 Up\r\nContent-Length: 0\r\n\r\n":          ("HTTP 101", False),
    b"HTTP/1.1 503 No\r\nContent-Length: 99999999\r\n\r\n":    ("HTTP 503", False),
}  # fmt: skip


@pytest.mark.parametrize(("data", "said"), ANSWERS.items())
@settings(max_examples=20)
@given(places=st.lists(st.integers(0, 200), max_size=6))
def test_an_answer_however_it_is_cut(
    data: bytes, said: tuple[str, bool], places: list[int]
) -> None:
    """
    Whole, byte by byte, anyhow: one verdict; and the connection is kept only where its end is known.
    """
    text, keep = said
    for pieces in ([data], [bytes([one]) for one in data], _cut(data, places)):
        plain = _fed(_talk(), pieces)
        kept = _fed(_talk(keep=True), pieces)

        assert plain == Verdict(ok=text.startswith("HTTP 20"), text=text)
        good = text.startswith("HTTP 20")
        # A byte too many is seen here only if it comes with the rest; later the lane sees it.
        late = b"+" in data and len(pieces) > 1
        assert kept in {Verdict(ok=good, text=text, keep=one) for one in (keep, keep or late)}


REFUSED = {
    "another protocol": b"220 mail ESMTP\r\n",
    "another version": b"HTTP/2 200\r\n",
    "no number": b"HTTP/1.1 OK\r\n",
    "a number of no status": b"HTTP/1.1 999 OK\r\n",
    "a field without a colon": LINE + b"what\r\n\r\n",
    "a field without a name": LINE + b": x\r\n\r\n",
    "a folded field": LINE + b"X: y\r\n z\r\n\r\n",
    "NUL in a field": LINE + b"X: \0\r\n\r\n",
    "NUL in the reason": b"HTTP/1.1 200 \0\r\n",
    "two lengths": LINE + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n",
    "fields without end": LINE + b"X: y\r\n" * (HEAD_MAX // 6),
    "a line without end": b"HTTP/1.1 200 " + b"x" * HEAD_MAX,
    "100 without end": b"HTTP/1.1 100 C\r\n\r\n" * (HEAD_MAX // 10),
}


@pytest.mark.parametrize("data", REFUSED.values(), ids=REFUSED)
def test_what_is_no_answer_is_refused_as_soon_as_that_is_known(data: bytes) -> None:
    for pieces in ([data], [data[at : at + 7] for at in range(0, len(data), 7)]):
        assert _fed(_talk(), pieces) == INVALID


def test_the_body_of_a_kept_connection_is_awaited() -> None:
    talk = _talk(keep=True)

    assert talk.hear(LINE + b"Content-Length: 5\r\n\r\nab") == LISTEN
    assert talk.hear(b"cd") == LISTEN
    assert talk.hear(b"e") == Verdict(ok=True, text="HTTP 200", keep=True)


def test_a_large_body_is_not_read_to_keep_a_connection() -> None:
    size = str(BODY_MAX + 1).encode()

    step = _talk(keep=True).hear(LINE + b"Content-Length: " + size + b"\r\n\r\n")

    assert step == Verdict(ok=True, text="HTTP 200")


def test_the_answer_to_head_has_a_length_and_no_body() -> None:
    step = _talk(keep=True, bodiless=True).hear(LINE + b"Content-Length: 5\r\n\r\n")

    assert step == Verdict(ok=True, text="HTTP 200", keep=True)


def test_a_close_before_and_within_the_body() -> None:
    """
    Before the header is whole nothing was answered; within a body that nobody judges all was.
    """
    early, late = _talk(keep=True), _talk(keep=True)
    early.hear(LINE)
    late.hear(LINE + b"Content-Length: 5\r\n\r\nab")

    assert early.end() == CLOSED
    assert late.end() == Verdict(ok=True, text="HTTP 200")


@given(pieces=st.lists(st.binary(max_size=30) | st.sampled_from([LINE, b"\r\n", b"X: y\r\n"])))
def test_strange_bytes_come_to_a_bounded_end(pieces: list[bytes]) -> None:
    """
    No bytes make it raise, and none make it hold more than a header.
    """
    talk = _talk(keep=True)
    for piece in pieces:
        if talk.hear(piece) != LISTEN:
            break
        assert len(talk._heard) <= HEAD_MAX
