# Frames on a stream: four bytes of length (big-endian), then that many bytes.
#
# Sans-I/O, so that a trio process, an asyncio worker and a plain command read frames with the
# same code. A length above the limit ends the conversation: whoever sends it is not one of ours.
"""Length-prefixed frames over a byte stream."""

FRAME_MAX = 64 * 1024 * 1024  # a list of 160,000 targets is about 20 MiB
HEADER = 4


class BrokenFrame(Exception):
    """The other side does not speak this protocol; close the connection."""


def frame(payload: bytes) -> bytes:
    """One frame. Raises BrokenFrame when the payload is longer than FRAME_MAX."""
    if len(payload) > FRAME_MAX:
        raise BrokenFrame(f"a frame of {len(payload)} bytes is above the limit of {FRAME_MAX}")
    return len(payload).to_bytes(HEADER, "big") + payload


class Unframer:
    """Bytes in, whole payloads out, however the stream was chopped."""

    def __init__(self, limit: int = FRAME_MAX) -> None:
        self._limit = limit
        self._pending = bytearray()

    def feed(self, data: bytes) -> list[bytes]:
        """The payloads that `data` completes. Raises BrokenFrame on an oversized length."""
        self._pending += data
        payloads = []
        while len(self._pending) >= HEADER:
            length = int.from_bytes(self._pending[:HEADER], "big")
            if length > self._limit:
                raise BrokenFrame(f"a frame of {length} bytes is above the limit of {self._limit}")
            if len(self._pending) < HEADER + length:
                break
            payloads.append(bytes(self._pending[HEADER : HEADER + length]))
            del self._pending[: HEADER + length]
        return payloads
