"""policy/book: what was applied is entered as the kernel did it."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from director.model.address import Endpoint, Family
from director.model.config import SyncSettings
from director.model.ops import (
    AddDestination,
    AddService,
    DeleteDestination,
    DeleteService,
    Observed,
    Op,
    SetDestination,
    SetService,
    SetSysctl,
    SetTimeouts,
    StartSync,
    StopSync,
    TableOp,
)
from director.model.service import (
    Destination,
    ServiceKey,
    ServiceSettings,
    Table,
    VirtualService,
)
from director.policy.book import carry, enter, look
from director.policy.plan import diff
from tests.director.policy.strategies import TABLES
from tests.fakes.kernel import FakeKernel

WEB = ServiceKey(Family.IPV4, address="192.0.2.10", port=80)
TLS = ServiceKey(Family.IPV4, address="192.0.2.10", port=443)
ONE, TWO = Endpoint("10.0.8.11", 80), Endpoint("10.0.8.12", 80)
PLAIN, ROUND = ServiceSettings(), ServiceSettings(scheduler="rr")
HEAVY, LIGHT = Destination(weight=100), Destination(weight=1)
SYNC = SyncSettings(interface="lo", id=51)
NAME = "net.ipv4.vs.expire_nodest_conn"


def there() -> Observed:
    return Observed(
        table={WEB: VirtualService(PLAIN, {ONE: HEAVY})},
        sync={"master": SYNC},
        sysctls={NAME: "0"},
        timeouts=(900.0, 120.0, 300.0),
    )


# The op, what it is about before, and after.
ROWS: dict[str, tuple[Op, object, object]] = {
    "add a service":              (AddService(TLS, ROUND), None, ROUND),
    "change a service":           (SetService(WEB, ROUND), PLAIN, ROUND),
    "delete a service":           (DeleteService(WEB), PLAIN, None),
    "add a destination":          (AddDestination(WEB, TWO, LIGHT), None, LIGHT),
    "change a destination":       (SetDestination(WEB, ONE, LIGHT), HEAVY, LIGHT),
    "delete a destination":       (DeleteDestination(WEB, ONE), HEAVY, None),
    "add, the service unknown":   (AddDestination(TLS, TWO, LIGHT), None, None),
    "set, the service unknown":   (SetDestination(TLS, TWO, LIGHT), None, None),
    "delete, the service unknown": (DeleteDestination(TLS, TWO), None, None),
    "start a daemon":             (StartSync("backup", SYNC), None, SYNC),
    "stop a daemon":              (StopSync("master"), SYNC, None),
    "a sysctl":                   (SetSysctl(NAME, "1"), "0", "1"),
    "all timeouts":               (SetTimeouts(1.0, 2.0, 3.0), (900.0, 120.0, 300.0), (1.0, 2.0, 3.0)),
    "another timeout":            (SetTimeouts(tcp=1.0), (900.0, 120.0, 300.0), (1.0, 120.0, 300.0)),
    "one timeout, 0 leaves two":  (SetTimeouts(udp=3.0), (900.0, 120.0, 300.0), (900.0, 120.0, 3.0)),
}  # fmt: skip


@pytest.mark.parametrize(("op", "before", "after"), ROWS.values(), ids=ROWS)
def test_enter_and_look(op: Op, before: object, after: object) -> None:
    """What an operation is about is seen as it was, and then as the kernel left it."""
    observed = there()
    assert look(observed, op) == before

    enter(observed, op)

    assert look(observed, op) == after


def test_a_service_that_is_changed_keeps_its_destinations() -> None:
    """As the kernel does."""
    observed = there()

    enter(observed, SetService(WEB, ROUND))

    assert observed.table[WEB].destinations == {ONE: HEAVY}


def test_a_destination_whose_service_is_not_in_the_book_is_no_fault() -> None:
    """The service's own operation was refused: it stood already, or the answer was lost."""
    observed = there()

    enter(observed, AddDestination(TLS, ONE, LIGHT))

    assert observed == there()


@given(desired=TABLES, observed=TABLES)
def test_the_book_says_what_the_kernel_has(desired: Table, observed: Table) -> None:
    """After any plan that is taken, what we believe is what a reading would find."""
    kernel = FakeKernel(observed)
    book = kernel.observe()

    for op in diff(desired, observed):
        refused = kernel.apply([op])
        if not refused:
            enter(book, op)

    assert msgspec.structs.replace(book, counters={}) == msgspec.structs.replace(
        kernel.observe(), counters={}
    )


@given(observed=TABLES, desired=TABLES, gone=st.sets(st.integers(0, 2)), pauses=st.data())
def test_what_is_applied_while_we_read_is_not_lost(
    observed: Table, desired: Table, gone: set[int], pauses: st.DataObject
) -> None:
    """Wherever in a reading an operation falls, the carried reading is what the kernel has."""
    kernel = FakeKernel(observed)
    book = kernel.observe()
    ops: list[TableOp] = [op for op in diff(desired, observed) if isinstance(op, TableOp)]
    ops += [
        DeleteService(key) for number, key in enumerate({**observed, **desired}) if number in gone
    ]
    reading = kernel.observing()
    journal: list[TableOp] = []
    found: Observed | None = None

    while found is None or journal != ops:
        if found is None and (journal == ops or pauses.draw(st.booleans())):
            try:
                next(reading)
            except StopIteration as done:
                found = done.value
                break
        else:
            op = ops[len(journal)]
            assert kernel.apply([op]) == []
            enter(book, op)
            journal.append(op)

    assert found is not None
    carry(book, found, journal)
    assert found.table == kernel.table


def test_what_vanished_while_we_read_stays_vanished() -> None:
    """Somebody took the service away after our operation: the reading is believed, not the book."""
    book = there()
    set_one = SetDestination(WEB, ONE, LIGHT)
    enter(book, set_one)
    found = Observed(table={})

    carry(book, found, (set_one, SetService(WEB, PLAIN)))

    assert found.table == {}
