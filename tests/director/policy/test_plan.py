"""policy/plan: the difference, and the order in which it is made."""

import copy

from hypothesis import given
from hypothesis import strategies as st

from director.model.address import Endpoint, Family
from director.model.ops import (
    AddDestination,
    AddService,
    DeleteDestination,
    DeleteService,
    Observed,
    Op,
    SetDestination,
    SetService,
)
from director.model.service import (
    Destination,
    ServiceKey,
    ServiceSettings,
    Table,
    VirtualService,
)
from director.policy.book import enter
from director.policy.plan import diff
from tests.director.policy.strategies import TABLES

WEB = ServiceKey(Family.IPV4, address="192.0.2.10", port=80)
ONE, TWO = Endpoint("10.0.8.11", 80), Endpoint("10.0.8.12", 80)


def apply(table: Table, op: Op) -> None:
    """As the kernel does: it refuses to add what is there and to change what is not."""
    if isinstance(op, AddService):
        assert op.key not in table
    elif isinstance(op, AddDestination):
        assert op.endpoint not in table[op.key].destinations
    elif isinstance(op, SetService):
        assert op.key in table
    elif isinstance(op, SetDestination | DeleteDestination):
        assert op.endpoint in table[op.key].destinations
    enter(Observed(table=table), op)


def serves(table: Table, key: ServiceKey) -> bool:
    """Has the service a destination that takes new connections?"""
    return key in table and any(one.weight for one in table[key].destinations.values())


@given(desired=TABLES, observed=TABLES, data=st.data())
def test_a_plan_cut_anywhere_is_safe_and_can_be_planned_again(
    desired: Table, observed: Table, data: st.DataObject
) -> None:
    """
    Stop after any number of operations, as a crash would, and plan again from what is there: we
    still arrive, and no service that serves at both ends ever stopped serving.
    """
    table = copy.deepcopy(observed)
    plan = diff(desired, table)
    stop = data.draw(st.integers(min_value=0, max_value=len(plan)))
    steady = [key for key in desired if serves(desired, key) and serves(observed, key)]

    for op in plan[:stop]:
        apply(table, op)
        assert all(serves(table, key) for key in steady)
    for op in diff(desired, table):
        apply(table, op)

    assert {key: table[key] for key in desired} == desired
    assert diff(desired, table) == ()


@given(desired=TABLES, observed=TABLES)
def test_what_the_file_does_not_name_stays(desired: Table, observed: Table) -> None:
    """No plan ever deletes a virtual service."""
    assert not any(isinstance(op, DeleteService) for op in diff(desired, observed))


def test_one_weight_is_one_operation() -> None:
    """A single transition costs one message, however much stands beside it."""
    before = {ONE: Destination(weight=100), TWO: Destination(weight=100)}
    after = before | {TWO: Destination(weight=0)}
    settings = ServiceSettings()

    plan = diff({WEB: VirtualService(settings, after)}, {WEB: VirtualService(settings, before)})

    assert plan == (SetDestination(WEB, TWO, Destination(weight=0)),)


def test_capacity_comes_before_loss() -> None:
    """A real server that replaces another is there before the other goes."""
    settings = ServiceSettings()
    before = {WEB: VirtualService(settings, {ONE: Destination(weight=1)})}
    after = {WEB: VirtualService(settings, {TWO: Destination(weight=1)})}

    assert diff(after, before) == (
        AddDestination(WEB, TWO, Destination(weight=1)),
        DeleteDestination(WEB, ONE),
    )
