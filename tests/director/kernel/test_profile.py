"""Tests of director.model.profile."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from director.model.address import Family
from director.model.config import Config, KernelSettings, SyncSettings
from director.model.pool import Member, Service
from director.model.profile import CATALOGUE, LEFT, profile, settings
from director.model.service import Forwarding, Protocol, ServiceKey, ServiceSettings

DOCS = Path(__file__).parents[3] / "docs" / "sysctls.md"

VS = "net.ipv4.vs."


def config(
    forwarding: Forwarding = Forwarding.DR,
    address: str = "192.0.2.10",
    sync: SyncSettings | None = None,
) -> Config:
    family = Family.IPV6 if ":" in address else Family.IPV4
    service = Service(
        name="web",
        virtuals=(ServiceKey(family, Protocol.TCP, address, 80),),
        settings=ServiceSettings(),
        members=(Member(name="web1", addresses=("10.0.8.11",), forwarding=forwarding),),
    )
    devices = {"front": "eth0", "servers": "eth1.100", "ha": "eth0"}
    return Config(node="lb1", interfaces=devices, services=(service,), sync=sync)


def test_the_plain_profile() -> None:
    """
    No forwarding, no sync, no NAT; every device once, the servers' side loose.
    """
    assert list(profile(config()).items()) == [
        (VS + "backup_only", "0"),
        (VS + "conn_reuse_mode", "1"),
        (VS + "expire_nodest_conn", "1"),
        (VS + "expire_quiescent_template", "1"),
        ("net.ipv4.conf.eth0.arp_ignore", "1"),
        ("net.ipv4.conf.eth0.arp_announce", "2"),
        ("net.ipv4.conf.eth0.promote_secondaries", "1"),
        ("net.ipv4.conf.eth1/100.arp_ignore", "1"),
        ("net.ipv4.conf.eth1/100.arp_announce", "2"),
        ("net.ipv4.conf.eth1/100.promote_secondaries", "1"),
        ("net.ipv4.conf.eth1/100.rp_filter", "2"),
    ]


def test_what_nat_sync_and_ipv6_add() -> None:
    """
    Each brings its own, and nothing else changes.
    """
    plain = profile(config())
    synced = profile(config(sync=SyncSettings(interface="ha", refresh=10.0, threshold=(3, 0))))

    assert profile(config(Forwarding.NAT)).items() - plain.items() == {
        ("net.ipv4.ip_forward", "1"),
        ("net.ipv4.conf.all.send_redirects", "0"),
        (VS + "nat_icmp_send", "0"),
        ("net.ipv4.conf.eth1/100.send_redirects", "0"),
    }
    assert profile(config(address="2001:db8::10")) == plain
    nat6 = profile(config(Forwarding.NAT, "2001:db8::10"))
    assert nat6["net.ipv6.conf.all.forwarding"] == "1"
    assert "net.ipv4.ip_forward" not in nat6
    assert synced.items() - plain.items() == {
        (VS + "sync_threshold", "3 0"),
        (VS + "sync_refresh_period", "10"),
        (VS + "sync_retries", "1"),
        (VS + "sync_sock_size", "4194304"),
        (VS + "sync_persist_mode", "0"),
    }


def test_each_has_its_reason() -> None:
    """
    And no name comes twice.
    """
    rows = settings(config(Forwarding.NAT, "2001:db8::10", SyncSettings(interface="ha")))

    assert all(row.reason for row in rows)
    assert len({row.name for row in rows}) == len(rows)


def test_without_a_servers_side_its_rows_are_missing() -> None:
    """
    A file that gives no device that role gets no rp_filter.
    """
    assert not any("rp_filter" in name for name in profile(Config(node="lb1", interfaces={})))


SLOPPY = {
    # schedulers           synced  sloppy
    "mh and sh":          (("mh", "sh"), False, True),
    "synced":             (("mh",), True, False),
    "another beside it":  (("mh", "wlc"), False, False),
    "no service":         ((), False, False),
}  # fmt: skip


@pytest.mark.parametrize(("schedulers", "synced", "sloppy"), SLOPPY.values(), ids=SLOPPY)
def test_stray_packets_find_their_server_by_a_hash_alone(
    schedulers: tuple[str, ...], synced: bool, sloppy: bool
) -> None:
    """
    Where nothing is synced and every scheduler finds the same server again.
    """
    (one,) = config().services
    services = tuple(replace(one, settings=ServiceSettings(name)) for name in schedulers)
    sync = SyncSettings(interface="ha") if synced else None

    rows = profile(replace(config(sync=sync), services=services))

    assert (rows.get(VS + "sloppy_tcp"), rows.get(VS + "sloppy_sctp")) == (
        ("1", "1") if sloppy else (None, None)
    )


@pytest.mark.parametrize(("cores", "most"), [(1, "131072"), (4, "131072"), (16, "524288")])
def test_conntrack_has_room_where_it_is_used(cores: int, most: str) -> None:
    """
    By the number of cores, with a floor, and more is good as well; unused nothing is set.
    """
    kernel = KernelSettings(sysctl={VS + "conntrack": "1"})
    used = settings(replace(config(), kernel=kernel, cores=cores))

    (row,) = (row for row in used if row.name == "net.netfilter.nf_conntrack_max")
    assert (row.value, row.least) == (most, True)
    assert not any("conntrack" in name for name in profile(config()))


def test_the_documentation_is_the_table() -> None:
    """
    docs/sysctls.md shows every row, and what is left alone.
    """
    shown = DOCS.read_text()

    assert [line for line in shown.splitlines() if line.startswith("| `")] == list(documented())


def documented() -> Iterator[str]:
    for when, before, rows in CATALOGUE:
        for row in rows:
            value = f"at least {row.value}" if row.least else row.value
            yield f"| `{before}{row.name}` | {value} | {when} | {row.reason} | {row.since or 'all'} |"
    for name, why in LEFT.items():
        yield f"| `{VS}{name}` | {why} |"


def test_the_catalogue_is_all_that_is_ever_set() -> None:
    """
    No row is set that the documentation does not show, and none is shown that is never set.
    """
    kernel = KernelSettings(sysctl={VS + "conntrack": "1"})
    (hashed,) = config().services
    hashed = replace(hashed, settings=ServiceSettings("mh"))
    configs = (
        replace(config(Forwarding.NAT, "2001:db8::10"), kernel=kernel),
        config(Forwarding.NAT, sync=SyncSettings(interface="ha")),
        replace(config(), services=(hashed,)),
    )
    ever = {_shown(row.name) for one in configs for row in settings(one)}
    shown = {f"{before}{row.name}" for _, before, rows in CATALOGUE for row in rows}

    assert ever == shown
    assert not {name.removeprefix(VS) for name in shown} & set(LEFT)


def _shown(name: str) -> str:
    for device in ("eth0", "eth1/100"):
        name = name.replace(f".{device}.", ".DEVICE.")
    return name
