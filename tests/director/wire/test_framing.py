"""wire/framing: frames survive any chopping."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from director.wire.framing import BrokenFrame, Unframer, frame


@given(payloads=st.lists(st.binary(max_size=50), max_size=5), data=st.data())
def test_frames_survive_any_chopping(payloads: list[bytes], data: st.DataObject) -> None:
    """Whole, byte by byte or anyhow: the same payloads come out."""
    stream = b"".join(frame(payload) for payload in payloads)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    unframer = Unframer()

    got = []
    for start, stop in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        got += unframer.feed(stream[start:stop])

    assert got == payloads


def test_an_oversized_length_ends_the_conversation() -> None:
    """Nobody makes us wait for, or store, more than the limit."""
    with pytest.raises(BrokenFrame):
        Unframer(limit=10).feed((11).to_bytes(4, "big"))


def test_a_frame_at_the_limit_passes() -> None:
    """The limit itself is allowed."""
    assert Unframer(limit=10).feed(frame(b"x" * 10)) == [b"x" * 10]
