# For `director probe`: what an operator wants to know now, and before he asks the engine to believe
# it. The probers are the worker's own; nothing is counted, and nobody else is told.
"""`python -m checks.once`: targets on standard input, an outcome of each on standard output."""

import asyncio
import sys
from collections.abc import Sequence

import msgspec

from checks.outcome import Outcome
from checks.probes import Prober, open_prober
from director.errors import Exit
from director.model.check import Target
from director.wire.messages import Found

AT_ONCE = 64
STDIN_MAX = 64 * 1024 * 1024


async def probe_all(targets: Sequence[Target]) -> list[Found]:
    """One attempt at each, some at once, in their order."""
    probers: dict[type, Prober] = {}
    room = asyncio.Semaphore(AT_ONCE)

    async def one(target: Target) -> Outcome:
        async with room:
            return await probers[type(target.check)].probe(target)

    try:
        for target in targets:
            kind = type(target.check)
            if kind not in probers:
                probers[kind] = open_prober(kind)
        outcomes = await asyncio.gather(*map(one, targets))
    finally:
        for prober in probers.values():
            await prober.close()
    return [
        Found(target.key, outcome.ok, outcome.text, outcome.seconds, outcome.share)
        for target, outcome in zip(targets, outcomes, strict=True)
    ]


def main() -> int:
    """The exit status: 0 also where something failed, for that is an answer."""
    try:
        asked = msgspec.msgpack.decode(sys.stdin.buffer.read(STDIN_MAX), type=list[Target])
    except msgspec.MsgspecError as error:
        sys.stderr.write(f"checks.once: {error}\n")
        return Exit.USAGE
    sys.stdout.buffer.write(msgspec.msgpack.encode(asyncio.run(probe_all(asked))))
    return Exit.DONE


if __name__ == "__main__":
    sys.exit(main())
