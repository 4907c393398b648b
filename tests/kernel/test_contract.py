# What we rely on a kernel to do, as one set of cases for the real one and for tests/fakes/kernel.py.
#
# The real ones run in a test machine, all in one kernel: each case leaves it as it was. Tables are
# small, for deleted destinations stay in the kernel's trash list for minutes and slow every add.
"""The kernel and its fake behave alike."""

import errno
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as given_settings

from director.config.load import check_text
from director.kernel.hands import Hands, KernelHands, finish
from director.model.address import Endpoint
from director.model.config import SyncSettings
from director.model.ops import (
    AddDestination,
    AddService,
    DeleteDestination,
    DeleteService,
    Op,
    Refused,
    SetDestination,
    SetService,
    SetSysctl,
    SetTimeouts,
    StartSync,
    StopSync,
    show,
)
from director.model.pool import Place
from director.model.service import (
    Counters,
    Destination,
    Forwarding,
    Persistence,
    ServiceKey,
    ServiceSettings,
    Table,
    Tunnel,
    VirtualService,
)
from director.policy.desired import derive
from director.policy.facts import Facts
from director.policy.plan import diff
from tests.fakes.kernel import FakeKernel
from tests.kernel.cases import (
    BY_CALL,
    GUE,
    IPIP,
    IPIP_THERE,
    LO,
    MARKED,
    MARKED6,
    ONE,
    OTHER,
    PLAIN,
    REFUSALS,
    ROUND_TRIPS,
    SCTP,
    SIX,
    TWO,
    UDP,
    WEB,
    WLC,
)
from tests.kernel.tables import tables

THRESHOLD = "net.ipv4.vs.sync_threshold"


@pytest.fixture(params=["fake", pytest.param("real", marks=pytest.mark.kernel)])
def hands(request: pytest.FixtureRequest) -> Iterator[Hands]:
    """A kernel that has nothing of the case in it, before and after."""
    kernel: Hands = FakeKernel() if request.param == "fake" else KernelHands()
    before = kernel.observe((THRESHOLD,))
    yield kernel
    clear(kernel)
    kernel.apply([SetTimeouts(*before.timeouts), SetSysctl(THRESHOLD, before.sysctls[THRESHOLD])])
    assert kernel.observe((THRESHOLD,)) == before
    if isinstance(kernel, KernelHands):
        kernel.close()


def clear(kernel: Hands) -> None:
    there = kernel.observe()
    left: list[Op] = [StopSync(role) for role in there.sync]
    left += [DeleteService(key) for key in there.table]
    assert kernel.apply(left) == []


def build(table: Table) -> list[Op]:
    """All that makes this table out of an empty one."""
    ops: list[Op] = []
    for key, service in table.items():
        ops.append(AddService(key, service.settings))
        ops += [AddDestination(key, at, there) for at, there in service.destinations.items()]
    return ops


@pytest.mark.parametrize(("before", "op", "code"), REFUSALS.values(), ids=REFUSALS)
def test_a_refusal_is_a_value_and_changes_nothing(
    hands: Hands, before: list[Op], op: Op, code: int
) -> None:
    """
    What cannot be is refused with the kernel's errno and the very op; all stays as it was.
    """
    assert hands.apply(before) == []
    there = hands.observe()

    refused = hands.apply([op])

    assert [(one.errno, one.op is op) for one in refused] == [(code, True)], show(op)
    assert hands.observe() == there


def test_a_refusal_does_not_stop_the_rest_of_a_batch(hands: Hands) -> None:
    """
    Each refused op of a batch is named, and those between and after them are done.
    """
    ops: list[Op] = [
        AddDestination(WEB, ONE, PLAIN),
        AddService(WEB, WLC),
        AddDestination(WEB, ONE, PLAIN),
        AddDestination(WEB, ONE, PLAIN),
        AddDestination(WEB, TWO, PLAIN),
    ]

    refused = hands.apply(ops)

    assert refused == [Refused(ops[0], errno.ESRCH), Refused(ops[3], errno.EEXIST)]
    assert hands.observe().table == {WEB: VirtualService(WLC, {ONE: PLAIN, TWO: PLAIN})}


def test_one_service_can_be_asked_for(hands: Hands) -> None:
    """
    It stands or it does not, by mark and by address, in one message each.
    """
    keys = (WEB, OTHER, UDP, MARKED, MARKED6)
    assert [hands.stands(key) for key in keys] == [False] * 5

    hands.apply([AddService(WEB, WLC), AddService(MARKED, WLC)])

    assert [hands.stands(key) for key in keys] == [True, False, False, True, False]


@pytest.mark.parametrize(
    ("key", "settings", "endpoint", "destination"), ROUND_TRIPS.values(), ids=ROUND_TRIPS
)
def test_what_is_added_is_there(
    hands: Hands,
    key: ServiceKey,
    settings: ServiceSettings,
    endpoint: Endpoint,
    destination: Destination,
) -> None:
    """
    A service and a destination read back as they were given, with counters that start at 0.
    """
    table = {key: VirtualService(settings, {endpoint: destination})}

    assert hands.apply(build(table)) == []

    observed = hands.observe()
    assert observed.table == table
    assert observed.counters == {Place(key, endpoint): Counters()}


def test_a_tunnel_always_reads_back_as_one(hands: Hands) -> None:
    """
    A tun destination that was given no tunnel has the plain one, Tunnel().
    """
    hands.apply([AddService(WEB, WLC), AddDestination(WEB, ONE, IPIP)])

    assert hands.observe().table[WEB].destinations == {ONE: IPIP_THERE}


def test_a_service_is_changed_in_place(hands: Hands) -> None:
    """
    SetService changes scheduler, flags and persistence, also back to none, and keeps destinations.
    """
    rich = ServiceSettings("sh", frozenset({"sh-port", "sh-fallback"}), Persistence(300, 24), True)
    hands.apply([AddService(WEB, rich), AddDestination(WEB, ONE, PLAIN)])

    assert hands.apply([SetService(WEB, WLC)]) == []
    bare = hands.observe().table[WEB]
    assert hands.apply([SetService(WEB, rich)]) == []

    assert bare == VirtualService(WLC, {ONE: PLAIN})
    assert hands.observe().table[WEB] == VirtualService(rich, {ONE: PLAIN})


def test_persistence_by_sip_call_comes_and_goes_in_place(hands: Hands) -> None:
    """
    An engine is set, kept by a change of the timeout, and taken out by a SetService without it.
    """
    engine = ServiceSettings("rr", persistence=BY_CALL)
    longer = ServiceSettings("rr", persistence=Persistence(90, 32, "sip"))
    bare = ServiceSettings("rr", persistence=Persistence(90, 32))
    hands.apply([AddService(UDP, WLC), AddDestination(UDP, ONE, PLAIN)])

    for settings in (engine, longer, bare, engine, WLC):
        assert hands.apply([SetService(UDP, settings)]) == []
        assert hands.observe().table[UDP] == VirtualService(settings, {ONE: PLAIN})


def test_one_address_and_port_of_three_protocols_are_three_services(hands: Hands) -> None:
    """
    So is the one of every port; each has destinations of its own, and goes alone.
    """
    every = ServiceKey(WEB.family, WEB.protocol, WEB.address, 0)
    keys = (WEB, UDP, SCTP, every)
    table = {
        key: VirtualService(WLC, {ONE: Destination(weight=number)})
        for number, key in enumerate(keys)
    }
    assert hands.apply(build(table)) == []
    assert hands.observe().table == table

    assert hands.apply([DeleteService(UDP)]) == []

    del table[UDP]
    assert hands.observe().table == table


def test_a_tunnel_is_changed_in_place(hands: Hands) -> None:
    """
    From one type to another and back, with port and checksum, and no trace of the one before.
    """
    kinds = (Tunnel(), Tunnel("gue", 6080, checksum=True), Tunnel("gre", checksum=True), Tunnel())
    hands.apply([AddService(WEB, WLC), AddDestination(WEB, ONE, IPIP)])

    for tunnel in kinds:
        wanted = Destination(forwarding=Forwarding.TUN, tunnel=tunnel)
        assert hands.apply([SetDestination(WEB, ONE, wanted)]) == []
        assert hands.observe().table[WEB].destinations == {ONE: wanted}


def test_a_destination_that_was_removed_comes_back_with_new_settings(hands: Hands) -> None:
    """
    The kernel takes it out of its trash list; what it was before is not seen.
    """
    before = Destination(weight=7, upper_threshold=9, lower_threshold=3)
    hands.apply([AddService(UDP, WLC), AddDestination(UDP, ONE, before)])

    back: list[Op] = [DeleteDestination(UDP, ONE), AddDestination(UDP, ONE, GUE)]
    assert hands.apply(back) == []

    assert hands.observe().table[UDP].destinations == {ONE: GUE}


def test_a_destination_is_changed_in_place(hands: Hands) -> None:
    """
    SetDestination changes all of a destination, also its tunnel away, and no other one.
    """
    tunnelled = Destination(weight=5, forwarding=Forwarding.TUN, tunnel=Tunnel("gue", 6080))
    hands.apply(build({WEB: VirtualService(WLC, {ONE: tunnelled, TWO: PLAIN})}))

    assert hands.apply([SetDestination(WEB, ONE, Destination(weight=0))]) == []

    assert hands.observe().table[WEB].destinations == {ONE: Destination(weight=0), TWO: PLAIN}


def test_deleting_a_service_takes_its_destinations_and_no_others(hands: Hands) -> None:
    """
    DeleteService and DeleteDestination remove what they name.
    """
    both = {ONE: PLAIN, TWO: PLAIN}
    hands.apply(build({WEB: VirtualService(WLC, both), OTHER: VirtualService(WLC, both)}))

    assert hands.apply([DeleteService(WEB), DeleteDestination(OTHER, ONE)]) == []

    assert hands.observe().table == {OTHER: VirtualService(WLC, {TWO: PLAIN})}


def test_marks_of_the_two_families_are_two_services(hands: Hands) -> None:
    """
    One mark in IPv4 and in IPv6 names two services.
    """
    table = {MARKED: VirtualService(WLC, {}), MARKED6: VirtualService(WLC, {})}

    assert hands.apply(build(table)) == []

    assert hands.observe().table == table


def test_both_sync_daemons_run_together(hands: Hands) -> None:
    """
    Master and backup run at once, each with its own settings; stopping one leaves the other.
    """
    backup = SyncSettings(interface="lo", id=52, port=9000, ttl=3, maxlen=1400, group="224.0.0.99")

    assert hands.apply([StartSync("master", LO), StartSync("backup", backup)]) == []
    running = hands.observe().sync
    assert hands.apply([StopSync("master")]) == []

    assert running["backup"] == backup
    master = running["master"]
    assert (master.interface, master.id, master.group, master.port, master.ttl) == (
        *("lo", 51, "224.0.0.81"),
        *(8848, 1),
    )
    assert hands.observe().sync == {"backup": backup}


def test_a_sync_daemon_stops_before_it_ever_ran(hands: Hands) -> None:
    """
    Started and stopped in one breath: it is gone, nothing is refused, nothing hangs.
    """
    for _ in range(5):
        assert hands.apply([StartSync("master", LO), StopSync("master")]) == []

        assert hands.observe().sync == {}


def test_timeouts_of_0_leave_what_is_there(hands: Hands) -> None:
    """
    Only the timeouts that are given change.
    """
    _, tcp_fin, udp = hands.observe().timeouts

    assert hands.apply([SetTimeouts(tcp=600)]) == []

    assert hands.observe().timeouts == (600, tcp_fin, udp)


def test_a_sysctl_is_compared_with_single_spaces(hands: Hands) -> None:
    """
    What was written reads back as it was written; what is not there is not among what was read.
    """
    assert hands.apply([SetSysctl(THRESHOLD, "0 0")]) == []

    assert hands.observe((THRESHOLD, "net.ipv4.vs.nosuch")).sysctls == {THRESHOLD: "0 0"}


def test_order_is_kept_across_kinds(hands: Hands) -> None:
    """
    An op that is not about the table is done between those before and those after it.
    """
    mixed = AddDestination(WEB, SIX, IPIP)
    ops: list[Op] = [AddService(WEB, WLC), StartSync("backup", LO), mixed]
    ops += [StopSync("backup"), mixed]

    refused = hands.apply(ops)

    assert [one.errno for one in refused] == [errno.EINVAL]
    assert set(hands.observe().table[WEB].destinations) == {SIX}


def test_applying_and_observing_stop_between_batches(hands: Hands) -> None:
    """
    A loop that has other duties gets its turn at least every 128 operations and every service.
    """
    ops: list[Op] = [AddService(WEB, WLC), AddService(OTHER, WLC)]
    ops += [SetDestination(WEB, ONE, PLAIN) for _ in range(254)]

    sizes = [len(refused) for refused in hands.apply_batches(ops)]

    assert sizes == [126, 128]
    assert sum(1 for _ in hands.observing()) >= 2
    assert finish(hands.observing()) == hands.observe()


@given_settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(table=tables())
def test_a_random_table_reads_back(hands: Hands, table: Table) -> None:
    """
    Whatever table is built, the same is read.
    """
    try:
        refused = hands.apply(build(table))
        observed = hands.observe()
    finally:
        clear(hands)

    assert refused == []
    assert observed.table == table


FILE = """\
format = 1
[interfaces]
front = "eth0"
[nodes.lb1]
addresses = { front = "192.0.2.2" }
priority = 150
[vrrp.web]
interface = "front"
vrid = 51
addresses = ["192.0.2.10", { address = "10.0.8.1/24", advertise = false }]
[real_servers]
web1 = "10.0.8.11"
web2 = "10.0.8.12"
[services.dns]
virtual = "192.0.2.10:53"
protocol = "udp"
one_packet = true
scheduler = "rr"
weight = 1
real_servers = ["web1", "web2"]
checks = "none"
[services.phone]
virtual = "192.0.2.10:5060"
protocol = "udp"
persistence = { timeout = "1m", engine = "sip" }
real_servers = ["web1", { server = "web2", upper_threshold = 10, lower_threshold = 8 }]
checks = "none"
[services.diameter]
virtual = "192.0.2.10:3868"
protocol = "sctp"
real_servers = ["web1", { server = "web2", forwarding = "nat", port = 3869 }]
checks = "none"
[services.ftp]
fwmark = 20
family = "ipv4"
persistence = { timeout = "10m", netmask = 24 }
real_servers = ["web1", "web2"]
checks = "none"
[services.marked]
fwmark = 20
family = "ipv6"
real_servers = ["2001:db8:8::1"]
checks = "none"
[services.every]
virtual = "192.0.2.10:0"
persistence = "5m"
real_servers = ["web1"]
checks = "none"
[services.stream]
virtual = "192.0.2.10:8443"
forwarding = "tun"
tunnel = { type = "gue", port = 6080, checksum = true }
real_servers = ["web1", "2001:db8:8::1"]
checks = "none"
[services.far]
virtual = "192.0.2.10:8444"
forwarding = "tun"
tunnel = { type = "gre" }
scheduler = "mh"
scheduler_flags = ["mh-port"]
real_servers = ["web1", { server = "web2", forwarding = "dr" }]
checks = "none"
"""


def test_what_a_file_says_stands_and_is_not_repaired(hands: Hands) -> None:
    """
    Services of every kind are built in one go, serve without checks, and read back as wanted:
    the next round has nothing to do.
    """
    facts = Facts(check_text(FILE, node="lb1").config)
    facts.learn_observed(hands.observe(), now=0.0)
    table: Table = {}
    for name in facts.services:
        table |= derive(facts, name, 0.0).table

    assert hands.apply(diff(table, {})) == []

    assert hands.observe().table == table
    assert len(table) == 8
    assert all(
        one.weight > 0 for service in table.values() for one in service.destinations.values()
    )
    facts.learn_observed(hands.observe(), now=2.0)
    again = [diff(derive(facts, name, 2.0).table, table) for name in facts.services]
    assert again == [()] * 8


def test_what_is_known_is_not_held_twice(hands: Hands) -> None:
    """A reading beside an earlier one has the endpoints of that one."""
    hands.apply([AddService(WEB, WLC), AddDestination(WEB, ONE, PLAIN)])
    known = hands.observe().table

    seen = finish(hands.observing((), known)).table

    assert seen == known
    assert {id(at) for at in seen[WEB].destinations} == {id(at) for at in known[WEB].destinations}
