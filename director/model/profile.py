# The sysctls of a director: name, value, reason.
#
# Rules of this room:
# 1. Data alone. The file's `[kernel] sysctl` goes over it, and wins.
# 2. The order is the order of writing: ip_forward comes first, for a change of it sets the
#    interfaces' own settings back (ip-sysctl.rst, ip_forward).
# 3. What a kernel lacks is not an error: it is not observed, and so not written, but said.
# 4. Names as sysctl(8) has them: a dot in the name of an interface is a slash.
# 5. An interface's own setting, and `all` only where the kernel would not heed the interface's: of
#    arp_ignore, arp_announce and rp_filter it takes the larger of the two, promote_secondaries is
#    on where either is, and so is send_redirects (inetdevice.h): a 0 of it needs `all`, too.
# 6. docs/sysctls.md is made of these tables: a test compares, and another asks a kernel for names
#    of net.ipv4.vs that are neither here nor there.
#
# The three sync traps (ip_vs_sync.c, ip_vs_sync_conn_needed): with the kernel's default
# sync_threshold "3 50" an established flow is told to the peer again only every 50 packets, so one
# that sends more seldom than every 18 s expires there; a flow that came back by failover starts at
# the threshold and is not told for 50 packets; and persistence without a refresh period sends a
# record for every packet. A refresh period with a threshold of "0 0" mends all three: any packet
# tells the peer, once the last report is older than the period.
#
# sync_persist_mode is 0, though 1 is often advised: 1 sends the templates alone and keeps the
# connections of persistent services from being synced (the same function returns 0 for them), so
# that a failover cuts them unless sloppy_tcp=1 is set too; and that hands stray packets of *every*
# service to any real server. What it was to save, the refresh period saves as well.
"""The built-in sysctl profile."""

import msgspec

from director.model.address import Family
from director.model.config import Config, SyncSettings
from director.model.service import Forwarding

VS = "net.ipv4.vs."
SYNC_SOCKET_BYTES = 4 * 1024 * 1024
# The role (a key of `[interfaces]`) of the device that has the real servers behind it.
SERVERS = "servers"
HASHING = {"mh", "sh"}


class Setting(msgspec.Struct, frozen=True):
    """One sysctl, and why it must be so. `least`: more than the value is good as well.

    `since` is the Linux that brought it, where some supported one lacks it.
    """

    name: str
    value: str
    reason: str
    least: bool = False
    since: str = ""


# What is balanced by direct routing or a tunnel is local input, and not forwarded (ip_vs_core.c):
# DR and TUN need none of this, and a director that does not need it should not be a router.
FORWARD = (
    Setting(
        "net.ipv4.ip_forward",
        "1",
        "the answers of NAT real servers pass through this machine",
    ),
)
FORWARD_IPV6 = (
    Setting(
        "net.ipv6.conf.all.forwarding",
        "1",
        "the same for IPv6; router advertisements are then taken with accept_ra=2 alone",
    ),
)
DIRECTOR = (
    Setting(
        VS + "backup_only",
        "0",
        "1 switches IPVS off while a backup daemon runs, and ours always does",
    ),
    Setting(
        VS + "conn_reuse_mode",
        "1",
        "a reused client port is a new connection, not the old server's",
    ),
    Setting(
        VS + "expire_nodest_conn",
        "1",
        "flows to a removed destination end at once, not by time-out",
    ),
    Setting(VS + "expire_quiescent_template", "1", "persistence must not send clients to weight 0"),
)
# Often advised as 1. But then the kernel drops whatever comes from a NAT real server's port and
# belongs to no balanced connection, and the answers to our own checks are just that (ip_vs_core.c,
# ip_vs_out; seen: every check of a NAT destination timed out).
# Source translation is netfilter's, and without this IPVS takes its packets out of conntrack
# (ip_vs_xmit.c, ip_vs_notrack). It holds for all services of the network namespace.
MASQUERADE = (Setting(VS + "conntrack", "1", "masquerading is done by connection tracking"),)
NAT = (
    Setting(VS + "nat_icmp_send", "0", "1 would drop the answers to our own health checks"),
    Setting(
        "net.ipv4.conf.all.send_redirects",
        "0",
        "1 here would undo the 0 of the interface (the kernel takes either)",
    ),
)
SYNC = (
    Setting(
        VS + "sync_threshold",
        "0 0",
        "time and not packets: slow flows are kept; `[sync] threshold`",
    ),
    Setting(
        VS + "sync_refresh_period",
        "10",
        "seconds after which any packet reports its connection again; `[sync] refresh`",
    ),
    Setting(VS + "sync_retries", "1", "sync messages are not acknowledged: say it twice"),
    Setting(
        VS + "sync_sock_size",
        str(SYNC_SOCKET_BYTES),
        "bursts of sync messages overflow the default buffer",
    ),
    Setting(
        VS + "sync_persist_mode", "0", "connections of persistent services must survive a failover"
    ),
)
# Where nothing is synced a failover finds an empty table, and mh or sh lead a flow to the server
# that it had. With any other scheduler a packet of no known connection would go anywhere.
SLOPPY = (
    Setting(VS + "sloppy_tcp", "1", "a flow that is not known here finds its server by its hash"),
    Setting(VS + "sloppy_sctp", "1", "the same for SCTP"),
)
# Netfilter's own table of connections, where IPVS is told to keep entries there (masquerading).
CONNTRACK_PER_CORE, CONNTRACK_LEAST = 32768, 131072
CONNTRACK = (
    Setting(VS + "conntrack", "1", "netfilter can translate the source of what IPVS balances"),
    Setting(
        "net.netfilter.nf_conntrack_max",
        str(CONNTRACK_LEAST),
        f"a full table drops packets: {CONNTRACK_PER_CORE} for each core, and not less than this",
        least=True,
    ),
    Setting(
        "net.netfilter.nf_conntrack_tcp_timeout_established",
        "86400",
        "clients that vanished fill the table for a day, not for five",
    ),
    Setting(
        "net.netfilter.nf_conntrack_tcp_timeout_close_wait",
        "3600",
        "a server may go on sending long after its client has closed (the kernel gives it 60 s)",
    ),
)
# Per interface that carries a role, and not `all`: others keep their own manners.
INTERFACE = (
    Setting("arp_ignore", "1", "answer ARP only for addresses of the interface asked on"),
    Setting("arp_announce", "2", "never name a VIP as the source of our own ARP requests"),
    Setting("promote_secondaries", "1", "the first VIP of a network must not take others along"),
)
# 2 and not 0: the kernel uses the larger of `all` and the interface's own, so that a strict `all`
# is undone by 2 alone.
SERVERS_SIDE = (Setting("rp_filter", "2", "real servers' packets may come by another way (loose)"),)
SERVERS_SIDE_NAT = (
    Setting(
        "send_redirects",
        "0",
        "a real server must not be told a way to the client that misses the director",
    ),
)
DEVICE = "net.ipv4.conf.DEVICE."
# The whole of it, for docs/sysctls.md: when, and what is put before the names.
CATALOGUE = (
    ("a service forwards by NAT over IPv4", "", FORWARD),
    ("a service forwards by NAT over IPv6", "", FORWARD_IPV6),
    ("always", "", DIRECTOR),
    ("a service forwards by NAT", "", NAT),
    ("`[sync]` is written", "", SYNC),
    ("nothing is synced, and every scheduler is `mh` or `sh`", "", SLOPPY),
    ('`sysctl = { "net.ipv4.vs.conntrack" = 1 }` is written', "", CONNTRACK),
    ("for each device in `[interfaces]`", DEVICE, INTERFACE),
    ("for the device with the role `servers`", DEVICE, SERVERS_SIDE),
    ("the same, with NAT", DEVICE, SERVERS_SIDE_NAT),
)
# The rest of net.ipv4.vs: nobody's but yours.
LEFT = {
    "am_droprate": "how much drop_packet drops",
    "amemthresh": "when memory counts as low for the defences below",
    "cache_bypass": "for transparent proxies",
    "conn_lfactor": "how full the connection table may be before it grows (newer kernels)",
    "conn_max": "how many connections there may be (newer kernels)",
    "debug_level": "of kernels built for debugging",
    "drop_entry": "a defence against floods that also drops half-open connections of the honest",
    "drop_packet": "a defence that drops one packet in so many",
    "est_cpulist": "which processors estimate rates (since 6.3)",
    "est_nice": "and how politely (since 6.3)",
    "ignore_tunneled": "1 where a director is at the same time a tunnel's real server",
    "lblc_expiration": "how long the scheduler lblc keeps a client's server",
    "lblcr_expiration": "the same of lblcr",
    "pmtu_disc": "1 by itself: a client is told when its packets do not fit into a tunnel",
    "run_estimation": "1 by itself: rates in `ipvsadm --rate` (since 5.17)",
    "schedule_icmp": "errors about connections that nobody knows; ours are known by sync",
    "secure_tcp": "a defence with shorter times",
    "snat_reroute": "1 by itself: answers of NAT are routed by their new source",
    "svc_lfactor": "the same for the table of services (newer kernels)",
    "sync_ports": "more than 1 from some 50,000 reports a second on; the same on both nodes",
    "sync_qlen_max": "messages that wait to be sent, by the size of memory",
    "sync_version": "1 by itself; 0 is for directors from before 2011",
}


def settings(config: Config) -> tuple[Setting, ...]:
    """What the running director wants, in the order of writing."""
    nat = {
        key.family
        for service in config.services
        if any(member.forwarding is Forwarding.NAT for member in service.pool)
        for key in service.virtuals
    }
    return (
        *(FORWARD if Family.IPV4 in nat else ()),
        *(FORWARD_IPV6 if Family.IPV6 in nat else ()),
        *DIRECTOR,
        *(NAT if nat else ()),
        *(_sync(config.sync) if config.sync else _unsynced(config)),
        *(MASQUERADE if _masquerades(config) else ()),
        *(_conntrack(config) if tracks(config) else ()),
        *_interfaces(config, nat=bool(nat)),
    )


def profile(config: Config) -> dict[str, str]:
    """Names and values alone."""
    return {row.name: row.value for row in settings(config)}


def tracks(config: Config) -> bool:
    """Has IPVS to keep netfilter's entries?"""
    return _masquerades(config) or config.kernel.sysctl.get(VS + "conntrack") == "1"


def _masquerades(config: Config) -> bool:
    return any(service.masquerade for service in config.services)


def _sync(sync: SyncSettings) -> tuple[Setting, ...]:
    values = {
        VS + "sync_threshold": "{} {}".format(*sync.threshold),
        VS + "sync_refresh_period": str(round(sync.refresh)),
    }
    return tuple(
        msgspec.structs.replace(row, value=values.get(row.name, row.value)) for row in SYNC
    )


def _unsynced(config: Config) -> tuple[Setting, ...]:
    schedulers = {service.settings.scheduler for service in config.services}
    return SLOPPY if schedulers and schedulers <= HASHING else ()


def _conntrack(config: Config) -> tuple[Setting, ...]:
    most = str(max(CONNTRACK_LEAST, CONNTRACK_PER_CORE * config.cores))
    return tuple(
        msgspec.structs.replace(row, value=most) if row.least else row for row in CONNTRACK
    )


def _interfaces(config: Config, *, nat: bool) -> list[Setting]:
    rows = [
        _of(device, row) for device in sorted(set(config.interfaces.values())) for row in INTERFACE
    ]
    if servers := config.interfaces.get(SERVERS):
        rows += [_of(servers, row) for row in (*SERVERS_SIDE, *(SERVERS_SIDE_NAT if nat else ()))]
    return rows


def _of(device: str, row: Setting) -> Setting:
    name = f"net.ipv4.conf.{device.replace('.', '/')}.{row.name}"
    return msgspec.structs.replace(row, name=name)
