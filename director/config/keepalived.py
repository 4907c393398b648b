# What keepalived has to be told on a node that the file gives to it, while a pair is moved node by
# node: `[nodes.NAME] runs = "keepalived"`.
#
# Only what both nodes have to agree on is written here. Its virtual servers are the operator's, who
# has them already. What one does not expect:
# - 2.2.7 drops an advert whose list of addresses is not its own, so `virtual_ipaddress` has those
#   that our adverts name, in their order, and all others are `virtual_ipaddress_excluded`.
# - `nopreempt` and `preempt_delay` need `state BACKUP`; priority 255 is active at once even so.
# - `lvs_sync_daemon` without an instance: both daemons run always, as ours do. With one they are
#   stopped and started as the VIP moves, and what is established in between is not told.
#
# Source: keepalived.conf(5) of 2.2.7.
"""A piece of keepalived.conf that fits the file."""

from collections.abc import Iterable, Sequence

from director.model.config import SyncSettings
from director.model.vip import Router, Vip

DELAY_MAX = 1000  # seconds: preempt_delay takes no more
METHODS = {"pass": "PASS", "ah": "AH"}
SYNC_WORDS = ("id", "port", "ttl", "group", "maxlen")


def keepalived_text(node: str, routers: Sequence[Router], sync: SyncSettings | None) -> str:
    """What the file on `node` must say; paste it there. Secrets are left to be filled in."""
    lines = ["global_defs {", f"  router_id {node}"]
    if sync is not None:
        lines.append(f"  lvs_sync_daemon {' '.join(_sync(sync))}")
    lines.append("}")
    for router in routers:
        lines += _instance(router)
    for group in dict.fromkeys(router.group for router in routers if router.group):
        members = (router.name for router in routers if router.group == group)
        lines += [f"vrrp_sync_group {group} {{", *_block("group", members), "}"]
    return "\n".join(lines) + "\n"


def _sync(sync: SyncSettings) -> Iterable[str]:
    yield sync.interface
    for word in SYNC_WORDS:
        value = getattr(sync, word)
        if value or word == "id":
            yield f"{word} {value}"


def _instance(router: Router) -> list[str]:
    advertised = [vip for vip in router.vips if vip.prefix.address in router.advertised]
    others = [vip for vip in router.vips if vip not in advertised]
    lines = [
        f"vrrp_instance {router.name} {{",
        "  state BACKUP",
        f"  interface {router.interface}",
        f"  virtual_router_id {router.vrid}",
        f"  priority {router.priority}",
        f"  advert_int {router.interval:g}",
        f"  version {router.version}",
    ]
    if router.mac == "virtual":
        lines.append(f"  use_vmac {router.device}")
    if router.peers:
        lines.append(f"  unicast_src_ip {router.source}")
        lines += _block("unicast_peer", router.peers)
    elif router.source:
        lines.append(f"  mcast_src_ip {router.source}")
    if router.auth is not None:
        lines += [
            "  authentication {",
            f"    auth_type {METHODS[router.auth.method]}",
            f"    auth_pass ________  # the first line of {router.auth.secret_file}",
            "  }",
        ]
    if router.checksum == "plain" and router.version == 3:
        lines.append("  v3_checksum_as_v2  # 2.2.7 does not know it, and drops what we send")
    lines += _failback(router)
    lines += _block("virtual_ipaddress", (_vip(router, vip) for vip in advertised))
    if others:
        lines += _block("virtual_ipaddress_excluded", (_vip(router, vip) for vip in others))
    return [*lines, "}"]


def _vip(router: Router, vip: Vip) -> str:
    """With use_vmac it goes there by itself."""
    veiled = router.mac == "virtual" and vip.interface == router.device
    return f"{vip.prefix}" if veiled else f"{vip.prefix} dev {vip.interface}"


def _failback(router: Router) -> list[str]:
    match router.failback.when:
        case "never":
            return ["  nopreempt"]
        case "after" if router.failback.after:
            return [f"  preempt_delay {min(router.failback.after, DELAY_MAX):g}"]
        case _:
            return []


def _block(name: str, lines: Iterable[str]) -> list[str]:
    return [f"  {name} {{", *(f"    {line}" for line in lines), "  }"]
