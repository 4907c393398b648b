# The whole state of a large table is tens of MB of JSON. It is made service by service, with a look
# at the loop in between, and told in pieces of one text. So each service is told as it was at one
# instant, and two of them perhaps at two.
"""Tell `status` in pieces, and hold nobody up with it."""

from collections.abc import AsyncGenerator, Callable
from time import perf_counter

import msgspec
import trio

from director.engine.reconcile import SLICE, Reconciler
from director.errors import Exit
from director.model.state import Finding
from director.policy.facts import Facts
from director.policy.report import Surroundings, findings_of, frame_of, service_state
from director.wire.messages import Answer

PIECE = 256 * 1024  # characters, about
SERVICES = b'"services":[]'  # in a text of JSON no quote stands bare, so that this is the key


async def tell_status(
    facts: Facts, reconciler: Reconciler, look_around: Callable[[], Surroundings]
) -> AsyncGenerator[Answer, None]:
    """Answers whose bodies, one after the other, are a State; the last one has the exit status."""
    told: list[bytes] = []
    findings: list[Finding] = []
    ends = perf_counter() + SLICE
    for service in tuple(facts.services.values()):
        if (wanted := reconciler.desired.get(service.name)) is None:
            continue  # it came with addresses that were learned just now
        state = service_state(service, wanted, facts.observed)
        findings += findings_of(state)
        told.append(msgspec.json.encode(state))
        if perf_counter() >= ends:
            await trio.lowlevel.checkpoint()
            ends = perf_counter() + SLICE
    frame = frame_of(facts, look_around(), findings)
    before, key, after = msgspec.json.encode(frame).partition(SERVICES)
    piece, size = [before, key[:-1]], len(before)
    for number, one in enumerate(told):
        piece += (b",", one) if number else (one,)
        size += len(one)
        if size >= PIECE:
            yield Answer(Exit.DONE, b"".join(piece).decode(), more=True)
            piece, size = [], 0
            await trio.lowlevel.checkpoint()
    piece += (key[-1:], after)
    yield Answer(Exit.DONE if frame.well else Exit.NO, b"".join(piece).decode())
