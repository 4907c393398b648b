"""HTTP: up when a request is answered with a wanted status."""

from typing import TYPE_CHECKING

from checks.http1 import HttpTalk
from checks.outcome import Outcome
from checks.probes.on_lane import LaneProber, alone
from checks.talk import Talk
from director.model.check import HttpCheck, Target

if TYPE_CHECKING:
    from checks.probes.http_rich import RichProber

AGENT = "director-check"


class HttpProber(LaneProber):
    """Requests over the lane; by aiohttp where the verdict needs TLS or the body."""

    def __init__(self) -> None:
        self._rich: RichProber | None = None

    def talk(self, target: Target) -> Talk | None:
        """The request is built anew each time: that costs less than to find it in a cache."""
        check = target.check
        assert isinstance(check, HttpCheck)
        if check.tls is not None or check.body_regex:
            return None
        bodiless = check.method == "HEAD"
        return HttpTalk(request_of(target), check.status, keep=check.keep_alive, bodiless=bodiless)

    async def probe(self, target: Target) -> Outcome:
        """One attempt, by itself."""
        talk = self.talk(target)
        if talk is not None:
            return await alone(target, talk)
        if self._rich is None:
            # aiohttp doubles the memory of a worker; most need none of it.
            from checks.probes.http_rich import RichProber

            self._rich = RichProber()
        return await self._rich.probe(target)

    async def close(self) -> None:
        """Close what aiohttp holds."""
        if self._rich is not None:
            await self._rich.close()


def request_of(target: Target) -> bytes:
    """The request as it goes out, the path as the file spells it."""
    check = target.check
    assert isinstance(check, HttpCheck)
    fields = {"User-Agent": AGENT, "Accept": "*/*"}
    if check.headers:
        given = {name.lower() for name, _ in check.headers}
        fields = {name: text for name, text in fields.items() if name.lower() not in given}
        fields |= dict(check.headers)
    lines = [f"{name}: {text}\r\n" for name, text in fields.items()]
    if not check.keep_alive:
        lines.append("Connection: close\r\n")
    body = check.body.encode()
    if body or check.method in ("POST", "PUT", "PATCH"):
        lines.append(f"Content-Length: {len(body)}\r\n")
    head = f"{check.method} {check.path} HTTP/1.1\r\nHost: {check.host or target.endpoint}\r\n"
    return f"{head}{''.join(lines)}\r\n".encode() + body


def open_prober() -> HttpProber:
    """The prober for HttpCheck."""
    return HttpProber()
