# What the file would change, found in one of two ways, by the same functions:
#
# - An engine runs: it tells the table, what it knows of every destination, and what operators said.
#   So the plan is what it would do with this file, and it needs no right but to ask.
# - None runs: the kernel is read here. Nobody checks, so what the file says counts.
"""Plans for `director plan` and `apply`."""

import argparse
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from itertools import chain

import msgspec

from director import paths
from director.ask import ask_for_pieces
from director.engine import memory
from director.engine.keeping import Keeper
from director.kernel.hands import Hands, KernelHands
from director.model.check import Health
from director.model.config import Config
from director.model.ops import Observed, Op
from director.model.pool import Place
from director.model.shown import Heading, ShownService
from director.policy.once import Healths, Overrides, wanted
from director.policy.ownership import Ownership
from director.policy.plan import diff
from director.policy.showing import enter_shown, override_of
from director.policy.sysctls import sysctls_read
from director.policy.upkeep import upkeep
from director.policy.weight import Override


class Plan(msgspec.Struct):
    """What to do, in order, and what it was planned against."""

    ops: tuple[Op, ...]
    observed: Observed
    source: str
    config: Config


@contextmanager
def open_kernel() -> Iterator[Hands]:
    """Our own hands. Raises SystemLacks, NoRight."""
    hands = KernelHands()
    try:
        yield hands
    finally:
        hands.close()


def plan_with_engine(args: argparse.Namespace, config: Config) -> Plan:
    """Raises Unreachable where none runs."""
    pieces = told(args, "show")
    heading = msgspec.json.decode(next(pieces), type=Heading)
    observed = Observed(timeouts=heading.timeouts, sysctls=heading.sysctls, sync=heading.sync)
    overrides: dict[tuple[str, str], Override] = {}
    healths: dict[Place, Health] = {}
    for shown in services_in(pieces):
        for place, one in enter_shown(observed, shown):
            if one.health is not None:
                healths[place] = one.health
            if (override := override_of(one)) is not None:
                overrides[shown.name, one.real_server] = override
    return _plan(config, observed, "engine", overrides, healths)


def plan_alone(config: Config, hands: Hands, remembered: memory.Memory) -> Plan:
    """Against the kernel itself. Raises OSError, Torn, Garbled."""
    observed = hands.observe(sysctls_read(config))
    return _plan(config, observed, "kernel", memory.to_overrides(remembered, 0.0))


def recall(args: argparse.Namespace) -> tuple[memory.Memory, str]:
    """What operators said, and what is wrong with the file that holds it."""
    return memory.recall(args.state / paths.STATE_FILE)


def record(args: argparse.Namespace, plan: Plan, remembered: memory.Memory) -> None:
    """What the next engine, and `director clear`, have to know: before the first change."""
    with suppress(OSError):  # the keeper says that it cannot write there
        args.state.mkdir(mode=0o750, parents=True, exist_ok=True)
    ownership = Ownership(plan.config, memory.to_owned(remembered))
    Keeper(plan.config, ownership, remembered, args.state / paths.STATE_FILE).note(plan.observed)


def _plan(
    config: Config,
    observed: Observed,
    source: str,
    overrides: Overrides,
    healths: Healths | None = None,
) -> Plan:
    table = wanted(config, observed, overrides, healths)
    ops = (*diff(table, observed.table), *upkeep(config, observed, first=True))
    return Plan(ops, observed, source, config)


def told(args: argparse.Namespace, verb: str) -> Iterator[str]:
    """The bodies of an answer in pieces; the first is the heading."""
    for answer in ask_for_pieces(args.runtime, args.timeout, verb):
        yield answer.body


def services_in(pieces: Iterable[str]) -> Iterator[ShownService]:
    """The virtual services of all pieces behind the heading."""
    decoder = msgspec.json.Decoder(list[ShownService])
    return chain.from_iterable(map(decoder.decode, pieces))
