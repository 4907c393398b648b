# The sysctls of a director: name, value, reason.
#
# Rules of this room:
# 1. Data alone. The file's `[kernel] sysctl` goes over it, and wins.
# 2. The order is the order of writing: ip_forward comes first, for a change of it sets the
#    interfaces' own settings back (ip-sysctl.rst, ip_forward).
# 3. What a kernel lacks is not an error: it is not observed, and so not written.
# 4. Names as sysctl(8) has them: a dot in the name of an interface is a slash.
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
from director.model.config import Config
from director.model.service import Forwarding

VS = "net.ipv4.vs."
SYNC_SOCKET_BYTES = 4 * 1024 * 1024
# The role (a key of `[interfaces]`) of the device that has the real servers behind it.
SERVERS = "servers"


class Setting(msgspec.Struct, frozen=True):
    """One sysctl, and why it must be so."""

    name: str
    value: str
    reason: str


FORWARD = Setting("net.ipv4.ip_forward", "1", "NAT answers and tunnels pass through this machine")
FORWARD_IPV6 = Setting(
    "net.ipv6.conf.all.forwarding",
    "1",
    "the same for IPv6; router advertisements are then taken with accept_ra=2 alone",
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
NAT = (Setting(VS + "nat_icmp_send", "0", "1 would drop the answers to our own health checks"),)
# Source translation is netfilter's, and without this IPVS takes its packets out of conntrack
# (ip_vs_xmit.c, ip_vs_notrack). It holds for all services of the network namespace.
MASQUERADE = (Setting(VS + "conntrack", "1", "masquerading is done by connection tracking"),)
SYNC = (
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
# Per interface that carries a role, and not `all`: others keep their own manners.
INTERFACE = (
    Setting("arp_ignore", "1", "answer ARP only for addresses of the interface asked on"),
    Setting("arp_announce", "2", "never name a VIP as the source of our own ARP requests"),
    Setting("promote_secondaries", "1", "the first VIP of a network must not take others along"),
)
# 2 and not 0: the kernel uses the larger of `all` and the interface's own, so that a strict `all`
# is undone by 2 alone.
SERVERS_SIDE = Setting("rp_filter", "2", "real servers' packets may come by another way (loose)")
SERVERS_SIDE_NAT = Setting(
    "send_redirects",
    "0",
    "a real server must not be told a way to the client that misses the director",
)


def settings(config: Config) -> tuple[Setting, ...]:
    """What the running director wants, in the order of writing."""
    nat = any(
        member.forwarding is Forwarding.NAT
        for service in config.services
        for member in service.pool
    )
    ipv6 = any(key.family is Family.IPV6 for service in config.services for key in service.virtuals)
    return (
        FORWARD,
        *((FORWARD_IPV6,) if ipv6 else ()),
        *DIRECTOR,
        *(NAT if nat else ()),
        *(MASQUERADE if any(one.masquerade for one in config.services) else ()),
        *_sync(config),
        *_interfaces(config, nat=nat),
    )


def profile(config: Config) -> dict[str, str]:
    """Names and values alone."""
    return {row.name: row.value for row in settings(config)}


def _sync(config: Config) -> tuple[Setting, ...]:
    if config.sync is None:
        return ()
    low, high = config.sync.threshold
    return (
        Setting(
            VS + "sync_threshold", f"{low} {high}", "time and not packets: slow flows are kept"
        ),
        Setting(
            VS + "sync_refresh_period",
            str(round(config.sync.refresh)),
            "seconds after which any packet reports its connection again",
        ),
        *SYNC,
    )


def _interfaces(config: Config, *, nat: bool) -> list[Setting]:
    rows = [
        _of(device, row) for device in sorted(set(config.interfaces.values())) for row in INTERFACE
    ]
    if servers := config.interfaces.get(SERVERS):
        rows.append(_of(servers, SERVERS_SIDE))
        if nat:
            rows.append(_of(servers, SERVERS_SIDE_NAT))
    return rows


def _of(device: str, row: Setting) -> Setting:
    name = f"net.ipv4.conf.{device.replace('.', '/')}.{row.name}"
    return msgspec.structs.replace(row, name=name)
