"""Where probes leave from: the address and the device that a check names."""

import asyncio
from collections.abc import Callable

import pytest

from checks.outcome import Outcome
from checks.probes import Prober
from checks.probes.http import open_prober
from checks.probes.http_rich import RichProber
from director.model.address import Endpoint
from director.model.check import HttpCheck, Target

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
WAYS = pytest.mark.parametrize("by", [open_prober, RichProber], ids=["lane", "aiohttp"])


def _probe(check: HttpCheck, by: Callable[[], Prober]) -> tuple[Outcome, str]:
    """The outcome, and the address that the server saw."""
    seen = ""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal seen
        seen = writer.get_extra_info("peername")[0]
        await reader.readuntil(b"\r\n\r\n")
        writer.write(OK)
        writer.close()

    async def go() -> Outcome:
        async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            prober = by()
            outcome = await prober.probe(Target("t", Endpoint("127.0.0.1", port), check))
            await prober.close()
        return outcome

    return asyncio.run(go()), seen


@WAYS
def test_a_probe_leaves_from_its_source_and_by_its_device(by: Callable[[], Prober]) -> None:
    outcome, seen = _probe(HttpCheck(source="127.0.0.9", interface="lo"), by)

    assert (outcome.text, seen) == ("HTTP 200", "127.0.0.9")


WRONG = {
    "another family": (HttpCheck(source="::1"), "source ::1 is of the other family"),
    "no address of ours": (
        HttpCheck(source="192.0.2.77"),
        "source 192.0.2.77: cannot assign requested address",
    ),
    "no such device": (HttpCheck(interface="nothing0"), "device nothing0: no such device"),
}


@WAYS
@pytest.mark.parametrize(("check", "text"), WRONG.values(), ids=WRONG)
def test_what_this_machine_does_not_have_is_ours(
    check: HttpCheck, text: str, by: Callable[[], Prober]
) -> None:
    """
    It says what, and takes no server out.
    """
    outcome, _ = _probe(check, by)

    assert (outcome.ours, outcome.text) == (True, text)
