# A hand-written reader for the plain case alone: a status line, a whole header, and of the body as
# much as has to be read before the connection can be used again. Whatever needs the body itself, or
# TLS, goes by aiohttp (probes/http_rich.py).
#
# - Both CRLF and a bare LF end a line (RFC 9112 section 2.2): what clients accept is no failure.
# - Fields are checked for their form, since a server that sends garbage is not well, and
#   Content-Length for contradiction (RFC 9112 section 6.3).
# - Informational answers (1xx but 101) are passed over; they count towards HEAD_MAX.
"""HTTP/1.x answers, as far as a status check needs them. Pure."""

import re
from functools import lru_cache

from checks.talk import CLOSED, INVALID, LISTEN, Step, Talk, Verdict

HEAD_MAX = 16384  # Apache and nginx send 8 KiB of header at most unless told otherwise
BODY_MAX = 65536  # read for the next request's sake; above, the connection is not kept

HEAD = re.compile(
    rb"HTTP/1\.([01]) ([1-5][0-9][0-9])(?: [^\r\n\0]*)?\r?\n"
    rb"((?:[!#$%&'*+.^_`|~0-9A-Za-z-]+:[^\r\n\0]*\r?\n)*)\r?\n"
)
BEGINNING = re.compile(rb"HTTP/1\.[01] [1-5][0-9][0-9](?: [^\r\n\0]*)?\r?\n")
PREFIX = b"HTTP/1."
END = re.compile(rb"\n\r?\n")
CODED = b"transfer-encoding:"
LENGTH = re.compile(rb"^content-length:[ \t]*([0-9]{1,19})[ \t]*\r?$", re.MULTILINE)
CLOSES = re.compile(rb"^connection:.*\bclose\b", re.MULTILINE)


class HttpTalk(Talk):
    """One request, judged by the status of its answer."""

    def __init__(
        self,
        request: bytes,
        status: tuple[tuple[int, int], ...],
        *,
        keep: bool = False,
        bodiless: bool = False,
    ) -> None:
        """`bodiless`: the request is a HEAD, whose answer has a length and no body."""
        self._request = request
        self._status = status
        self.keeps = keep
        self._bodiless = bodiless
        self._heard = b""
        self._passed = 0
        self._left = 0
        self._found: Verdict | None = None

    def begin(self) -> Step:
        return self._request

    def hear(self, data: bytes) -> Step:
        if self._found is not None:
            return self._drain(len(data))
        self._heard = heard = self._heard + data if self._heard else data
        while (head := HEAD.match(heard)) is not None:
            code = int(head[2])
            if code == 101 or code >= 200:
                return self._judge(code, head)
            self._passed += head.end()
            self._heard = heard = heard[head.end() :]
        return self._wait(heard)

    def end(self) -> Verdict:
        # Where only the body was still to come, the answer itself was whole.
        found = self._found
        return CLOSED if found is None else Verdict(ok=found.ok, text=found.text)

    def _wait(self, heard: bytes) -> Step:
        """The header is not whole: can it still become one?"""
        if self._passed + len(heard) > HEAD_MAX or END.search(heard) is not None:
            return INVALID
        if b"\n" in heard:
            return LISTEN if BEGINNING.match(heard) else INVALID
        size = min(len(heard), len(PREFIX))
        return LISTEN if heard[:size] == PREFIX[:size] else INVALID

    def _judge(self, code: int, head: re.Match[bytes]) -> Step:
        fields = head[3].lower()
        lengths = fields.count(b"content-length:") and set(LENGTH.findall(fields))
        if lengths and len(lengths) > 1:
            return INVALID
        verdict = _verdict(code, self._status)
        if not self.keeps or head[1] == b"0" or code == 101 or CLOSES.search(fields):
            return verdict
        if self._bodiless or code in (204, 304):
            length = 0
        elif not lengths or CODED in fields or int(min(lengths)) > BODY_MAX:
            return verdict
        else:
            length = int(min(lengths))
        self._found = verdict
        self._left = length
        return self._drain(len(head.string) - head.end())

    def _drain(self, size: int) -> Step:
        self._left -= size
        if self._left > 0:
            return LISTEN
        assert self._found is not None
        # What comes behind the body answers nothing that was asked: such a connection is not kept.
        return Verdict(ok=self._found.ok, text=self._found.text, keep=self._left == 0)


@lru_cache(maxsize=1024)
def _verdict(code: int, wanted: tuple[tuple[int, int], ...]) -> Verdict:
    good = any(low <= code <= high for low, high in wanted)
    return Verdict(ok=good, text=f"HTTP {code}")
