"""Tests of director.model.profile."""

from director.model.address import Family
from director.model.config import Config, SyncSettings
from director.model.pool import Member, Service
from director.model.profile import profile, settings
from director.model.service import Forwarding, Protocol, ServiceKey, ServiceSettings

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
    Forwarding first, no sync, no NAT; every device once, the servers' side loose.
    """
    assert list(profile(config()).items()) == [
        ("net.ipv4.ip_forward", "1"),
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
        (VS + "nat_icmp_send", "0"),
        ("net.ipv4.conf.eth1/100.send_redirects", "0"),
    }
    assert profile(config(address="2001:db8::10")).items() - plain.items() == {
        ("net.ipv6.conf.all.forwarding", "1")
    }
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
