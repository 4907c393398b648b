# The hands: see everything, apply operations in order.
#
# Rules of this room:
# 1. No decision is taken here, and order is kept: consecutive operations on the table go in one
#    send, anything else goes alone between them.
# 2. The calls block, for a millisecond each: `apply_batches` and `observing` stop in between, so
#    that a loop with other duties can turn. Where `observing` has stopped, anything may be applied;
#    what it gives in the end may then show the state before or after.
# 3. What the engine asks of a kernel is the protocol Hands. tests/fakes/kernel.py has a second one,
#    and tests/kernel/test_contract.py holds both to the same behaviour.
"""Observe and apply."""

from collections.abc import Generator, Iterator, Sequence
from itertools import groupby
from typing import Protocol, cast

from director.kernel import syncd, sysctl
from director.kernel.ipvs import Ipvs, batches
from director.model.ops import (
    Observed,
    Op,
    Refused,
    SetSysctl,
    SetTimeouts,
    StartSync,
    StopSync,
    TableOp,
)
from director.model.service import ServiceKey, Table

SINGLE = (SetSysctl, SetTimeouts, StartSync, StopSync)


class Hands(Protocol):
    """What the engine asks of a kernel, real or not."""

    def observe(self, sysctls: Sequence[str] = ()) -> Observed:
        """Everything that is there, and these sysctls."""

    def observing(
        self, sysctls: Sequence[str] = (), known: Table | None = None
    ) -> Generator[None, None, Observed]:
        """The same, stopping after each service; what is in `known` may be shared with it."""

    def stands(self, key: ServiceKey) -> bool:
        """Is there this virtual service? Where the kernel does not say no, there is."""

    def apply(self, ops: Sequence[Op]) -> list[Refused]:
        """Carry out in order; what was refused, each with the very op."""

    def apply_batches(self, ops: Sequence[Op]) -> Iterator[list[Refused]]:
        """The same, stopping after each batch."""


class KernelHands:
    """The kernel of this network namespace. Raises SystemLacks, NoRight."""

    def __init__(self) -> None:
        self._ipvs = Ipvs()

    def close(self) -> None:
        """Closing twice does nothing."""
        self._ipvs.close()

    def observe(self, sysctls: Sequence[str] = ()) -> Observed:
        """Everything that is there, and these sysctls."""
        return finish(self.observing(sysctls))

    def observing(
        self, sysctls: Sequence[str] = (), known: Table | None = None
    ) -> Generator[None, None, Observed]:
        """The same, stopping after each service; what is in `known` is shared with it."""
        table, counters = yield from self._ipvs.reading(known)
        return Observed(
            table=table,
            counters=counters,
            sync=syncd.observe(self._ipvs),
            sysctls=sysctl.read(sysctls),
            closed=sysctl.closed(sysctls),
            table_size=self._ipvs.info().table_size,
            timeouts=self._ipvs.timeouts(),
        )

    def stands(self, key: ServiceKey) -> bool:
        """Is there this virtual service? Where the kernel does not say no, there is."""
        return self._ipvs.stands(key)

    def apply(self, ops: Sequence[Op]) -> list[Refused]:
        """Carry out in order; what was refused, each with the very op."""
        return [refused for batch in self.apply_batches(ops) for refused in batch]

    def apply_batches(self, ops: Sequence[Op]) -> Iterator[list[Refused]]:
        """The same, stopping after each batch."""
        for single, group in groupby(ops, key=lambda op: isinstance(op, SINGLE)):
            if single:
                for op in group:
                    yield self._single(op)
            else:
                for batch in batches(cast("Iterator[TableOp]", group)):
                    yield self._ipvs.apply_batch(batch)

    def _single(self, op: Op) -> list[Refused]:
        match op:
            case SetSysctl():
                return sysctl.write(op)
            case SetTimeouts():
                return self._ipvs.set_timeouts(op)
            case StartSync():
                return syncd.start(self._ipvs, op)
            case StopSync():
                return syncd.stop(self._ipvs, op)
            case _:
                raise AssertionError(op)


def finish(observing: Generator[None, None, Observed]) -> Observed:
    """Run through without stopping."""
    while True:
        try:
            next(observing)
        except StopIteration as done:
            return cast("Observed", done.value)
