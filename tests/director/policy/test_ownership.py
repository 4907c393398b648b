"""policy/ownership: whose is a virtual service, and how one leaves."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from director.model.address import Endpoint, Family
from director.model.config import Config, KernelSettings, SyncSettings
from director.model.ops import AddService, DeleteService, Observed, Op, SetDestination
from director.model.pool import Place, Service
from director.model.service import (
    Counters,
    Destination,
    Forwarding,
    Protocol,
    ServiceKey,
    ServiceSettings,
    VirtualService,
)
from director.policy.facts import Facts
from director.policy.ownership import Ownership, parse_key
from director.policy.pulse import KEY as PULSE
from director.policy.tunnels import ESTABLISHED

WEB = ServiceKey(Family.IPV4, address="192.0.2.10", port=80)
OLD = ServiceKey(Family.IPV4, address="192.0.2.11", port=80)
POD = ServiceKey(Family.IPV4, address="10.96.0.1", port=443)
SIX = ServiceKey(Family.IPV6, address="2001:db8::10", port=80)
MARK = ServiceKey(Family.IPV4, mark=7)
ONE, TWO = Endpoint("10.0.8.11", 80), Endpoint("10.0.8.12", 80)
HEAVY, QUIET = Destination(weight=100), Destination(weight=0)
DRAIN = 60.0
KEYS = st.one_of(
    st.builds(
        ServiceKey,
        st.just(Family.IPV4),
        st.sampled_from(Protocol),
        st.sampled_from(["192.0.2.10", "10.0.0.1"]),
        st.integers(0, 65535),
    ),
    st.builds(
        ServiceKey,
        st.just(Family.IPV6),
        st.sampled_from(Protocol),
        st.sampled_from(["2001:db8::1", "::"]),
        st.integers(0, 65535),
    ),
    st.builds(ServiceKey, st.sampled_from(Family), mark=st.integers(1, 2**32 - 1)),
)


def config_of(*virtuals: ServiceKey, foreign: str = "keep", keep: tuple[str, ...] = ()) -> Config:
    services = [
        Service(name=f"s{n}", virtuals=(key,), settings=ServiceSettings(), members=())
        for n, key in enumerate(virtuals)
    ]
    kernel = KernelSettings(foreign=foreign, keep_networks=keep, drain=DRAIN)
    return Config(node="lb1", interfaces={}, services=tuple(services), kernel=kernel)


def service(**ends: Destination) -> VirtualService:
    names = {"one": ONE, "two": TWO}
    return VirtualService(ServiceSettings(), {names[name]: one for name, one in ends.items()})


def observed(*keys: ServiceKey, of: VirtualService | None = None) -> Observed:
    there = of or service(one=HEAVY)
    table = {key: VirtualService(there.settings, dict(there.destinations)) for key in keys}
    places = [Place(key, at) for key in keys for at in there.destinations]
    return Observed(table=table, counters=dict.fromkeys(places, Counters()))


def farewell(config: Config, owned: list[ServiceKey], there: Observed, at: float = 0.0) -> list[Op]:
    ownership, facts = Ownership(config, owned), Facts(config)
    ownership.learn(there, 0.0)
    facts.learn_observed(there, 0.0)
    return list(ownership.farewell(facts, at))


def test_without_a_memory_nothing_goes() -> None:
    """What the file does not name and nobody remembers is foreign."""
    assert farewell(config_of(WEB), [], observed(WEB, OLD, MARK), at=1e9) == []


def test_what_was_ours_is_quiesced_first() -> None:
    """The one that the file still names is not touched."""
    assert farewell(config_of(WEB), [WEB, OLD], observed(WEB, OLD)) == [
        SetDestination(OLD, ONE, QUIET)
    ]


def test_what_was_ours_goes_once_it_is_empty() -> None:
    """Weight 0, and no connection and no template left."""
    there = observed(WEB, OLD, of=service(one=QUIET, two=QUIET))

    assert farewell(config_of(WEB), [OLD], there) == [DeleteService(OLD)]


@pytest.mark.parametrize("counters", [Counters(active=1), Counters(inactive=1), Counters(0, 0, 1)])
def test_who_is_still_served_keeps_it_until_the_deadline(counters: Counters) -> None:
    """`drain` bounds the wait."""
    there = observed(WEB, OLD, of=service(one=QUIET, two=QUIET))
    there.counters[Place(OLD, TWO)] = counters

    assert farewell(config_of(WEB), [OLD], there, at=DRAIN - 1) == []
    assert farewell(config_of(WEB), [OLD], there, at=DRAIN) == [DeleteService(OLD)]


def test_what_was_not_counted_since_it_was_quiesced_is_not_empty() -> None:
    """A count of before says nothing."""
    there = observed(WEB, OLD, of=service(one=QUIET))
    there.counters.clear()

    assert farewell(config_of(WEB), [OLD], there) == []


def test_the_last_of_a_family_waits_for_its_successor() -> None:
    """Else the kernel takes its hooks out, and every connection stops."""
    quiet = service(one=QUIET)

    assert farewell(config_of(WEB), [OLD], observed(OLD, of=quiet), at=1e9) == []
    assert farewell(config_of(WEB), [OLD], observed(OLD, SIX, of=quiet), at=1e9) == []
    assert farewell(config_of(WEB), [OLD], observed(OLD, WEB, of=quiet)) == [DeleteService(OLD)]
    assert farewell(config_of(SIX), [OLD], observed(OLD, SIX, of=quiet)) == [DeleteService(OLD)]


def test_of_several_last_ones_none_goes() -> None:
    """Together they are the last."""
    there = observed(OLD, MARK, of=service(one=QUIET))

    assert farewell(config_of(WEB), [OLD, MARK], there, at=1e9) == []


def test_foreign_ones_go_where_the_file_says_so() -> None:
    """`foreign = "remove"`, drained like our own."""
    config = config_of(WEB, foreign="remove")

    assert farewell(config, [], observed(WEB, OLD)) == [SetDestination(OLD, ONE, QUIET)]
    assert farewell(config, [], observed(WEB, OLD, of=service(one=QUIET))) == [DeleteService(OLD)]


@pytest.mark.parametrize("foreign", ["keep", "remove"])
def test_kept_networks_are_never_touched(foreign: str) -> None:
    """Whatever `foreign` says, and whoever remembers what."""
    config = config_of(WEB, foreign=foreign, keep=("10.96.0.0/12",))

    assert farewell(config, [POD], observed(WEB, POD), at=1e9) == []


def test_marks_have_no_address_to_be_kept_by() -> None:
    """They go like others."""
    config = config_of(WEB, foreign="remove", keep=("0.0.0.0/0",))

    assert farewell(config, [], observed(WEB, MARK)) == [SetDestination(MARK, ONE, QUIET)]


def test_a_tunnel_stays_while_connections_are_synced() -> None:
    """For as long as the peer may have an entry that needs its destination; never with one here."""
    tunnel = Destination(weight=0, forwarding=Forwarding.TUN)
    there = observed(WEB, OLD, of=service(one=tunnel))
    config = config_of(WEB)
    synced = msgspec.structs.replace(config, sync=SyncSettings(interface="lo"))

    assert farewell(config, [OLD], there) == [DeleteService(OLD)]
    assert farewell(synced, [OLD], there, at=ESTABLISHED - 1) == []
    assert farewell(synced, [OLD], there, at=ESTABLISHED) == [DeleteService(OLD)]
    there.counters[Place(OLD, ONE)] = Counters(active=1)
    assert farewell(synced, [OLD], there, at=1e9) == []


def test_the_pulse_is_ours_while_it_beats() -> None:
    """And is taken away by a file that syncs nothing any more."""
    config = config_of(WEB)
    sync = SyncSettings(interface="lo", pulse=True)
    beating = Ownership(msgspec.structs.replace(config, sync=sync))

    assert PULSE in beating.owned
    assert farewell(config, beating.owned, observed(WEB, PULSE)) == [
        SetDestination(PULSE, ONE, QUIET)
    ]


def test_what_we_made_is_ours_though_nobody_wants_it_at_the_next_reading() -> None:
    """An interface's address that came and went in between leaves no service behind."""
    ownership = Ownership(config_of(WEB))

    ownership.made(AddService(OLD, ServiceSettings()))
    ownership.learn(observed(WEB, OLD), 5.0)

    assert ownership.leaving == {OLD: 5.0}
    assert ownership.owned == sorted([WEB, OLD])


def test_what_is_ours_is_what_stands_or_is_named() -> None:
    """The next engine is told of what still drains, and not of what is gone."""
    ownership = Ownership(config_of(WEB), [OLD, MARK])

    ownership.learn(observed(OLD, POD), 0.0)
    assert ownership.owned == sorted([WEB, OLD])
    changes = ownership.changes
    ownership.learn(observed(OLD, WEB), 5.0)
    assert ownership.changes == changes
    assert ownership.leaving == {OLD: 0.0}


def test_what_is_named_may_change_while_the_engine_runs() -> None:
    """An address that comes makes its service ours; one that goes lets it drain, and be removed."""
    config = config_of(WEB)
    ownership = Ownership(config)
    (service,) = config.services
    with_old = msgspec.structs.replace(service, virtuals=(WEB, OLD))
    before = ownership.changes

    ownership.learn_named((with_old,))
    ownership.learn(observed(WEB, OLD), 0.0)
    assert (ownership.changes, ownership.leaving) == (before + 1, {})

    ownership.learn_named((service,))
    ownership.learn(observed(WEB, OLD), 5.0)
    assert (ownership.owned, ownership.leaving) == (sorted([WEB, OLD]), {OLD: 5.0})

    ownership.learn(observed(WEB), 6.0)
    assert (ownership.changes, ownership.owned) == (before + 2, [WEB])


@given(key=KEYS)
def test_a_key_is_read_as_it_is_written(key: ServiceKey) -> None:
    """state.json has them as logs and `status` show them."""
    assert parse_key(str(key)) == key


@pytest.mark.parametrize(
    "text", ["", "tcp", "tcp/", "icmp/192.0.2.1:80", "tcp/192.0.2.1", "fwmark/", "fwmark/0",
             "fwmark/-1", "fwmark/4294967296", "tcp/192.0.2.1:65536", "tcp/fe80::1%eth0:80"]
)  # fmt: skip
def test_what_is_no_key_is_refused(text: str) -> None:
    """By ValueError alone."""
    with pytest.raises(ValueError, match=r"."):
        parse_key(text)
