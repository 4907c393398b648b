"""HTTP: up when a request is answered with a wanted status."""

from checks.http1 import HttpTalk
from checks.probes.on_lane import LaneProber
from checks.talk import Talk
from director.model.check import HttpCheck, Target

AGENT = "director-check"


class HttpProber(LaneProber):
    """Requests over the lane; over aiohttp where the answer needs more than its header."""

    def talk(self, target: Target) -> Talk:
        """A request built anew: bytes joined cost less than a cache of them."""
        check = target.check
        assert isinstance(check, HttpCheck)
        return HttpTalk(request_of(target), check.status, keep=check.keep_alive)


def request_of(target: Target) -> bytes:
    """The request as it goes out, the path as the file spells it."""
    check = target.check
    assert isinstance(check, HttpCheck)
    connection = "" if check.keep_alive else "Connection: close\r\n"
    return (
        f"GET {check.path} HTTP/1.1\r\nHost: {check.host or target.endpoint}\r\n"
        f"User-Agent: {AGENT}\r\nAccept: */*\r\n{connection}\r\n"
    ).encode()


def open_prober() -> HttpProber:
    """The prober for HttpCheck."""
    return HttpProber()
