"""What a real server must look like for DR and TUN, derived from the file."""

from ipaddress import ip_address

import msgspec

from director.errors import ConfigError, Fault
from director.model.address import Endpoint, Family, family_of
from director.model.config import Config
from director.model.match import Match
from director.model.pool import Member, Service
from director.model.service import Forwarding, ServiceKey, Tunnel
from director.policy.probing import endpoint_of

DUMMY = "director0"
TUNNEL = "tunl0"
ADDRESSES_MAX = 1024

# Sysctls of every real server with a VIP that it must not answer ARP for, and why.
QUIET = {
    "net.ipv4.conf.all.arp_ignore": "1",  # answer only for addresses of the interface asked on
    "net.ipv4.conf.all.arp_announce": "2",  # never name the VIP in our own ARP requests
}
# A packet leaves the tunnel with a source that the route back does not lead into: no filter there.
# The kernel uses the larger of `all` and the interface's own, so both must be 0.
TUNNELLED = {
    "net.ipv4.conf.all.rp_filter": "0",
    f"net.ipv4.conf.{TUNNEL}.rp_filter": "0",
}


class Setup(msgspec.Struct, frozen=True, kw_only=True):
    """The real server's side. This is also what is kept under /etc for the next boot."""

    format: int = 1
    name: str
    vips: tuple[str, ...]
    tunnel: bool
    device: str = DUMMY

    @property
    def sysctls(self) -> dict[str, str]:
        """What must be set, by name."""
        return QUIET | (TUNNELLED if self.tunnel else {})


def setup_of(config: Config, name: str) -> Setup:
    """What `name` needs. Raises ConfigError when the file names no such server with DR or TUN."""
    vips: dict[str, None] = {}
    tunnel = found = False
    for service in config.services:
        for member in service.pool:
            if member.name != name or member.forwarding is Forwarding.NAT:
                continue
            found = True
            tunnel |= member.forwarding is Forwarding.TUN
            for key in service.virtuals:
                endpoint = endpoint_of(service, member, key)
                if endpoint is not None:
                    _refuse_other_tunnels(config, service, member, key, endpoint)
                    vips |= dict.fromkeys(_addresses(config, service, key))
    if not found:
        known = sorted(
            {
                member.name
                for service in config.services
                for member in service.pool
                if member.forwarding is not Forwarding.NAT
            }
        )
        raise ConfigError(
            Fault(
                fault=f"the file names no real server {name!r} with dr or tun",
                mend=f"say --name with one of: {', '.join(known)}"
                if known
                else "nat needs nothing",
                file=config.file,
            )
        )
    return Setup(name=name, vips=tuple(vips), tunnel=tunnel)


def _addresses(config: Config, service: Service, key: ServiceKey) -> list[str]:
    """What the packets of a virtual service are sent to; with a mark: any VIP on the adverts.

    Where the director sets the mark: each address that it does that for.
    """
    if not key.mark:
        return [key.address]
    if matches := [match for match in service.matches if match.mark == key.mark]:
        return [address for match in matches for address in _each(config, service, match)]
    return [
        vip.prefix.address
        for router in config.routers
        for vip in router.vips
        if vip.advertise and vip.prefix.family is key.family
    ]


def _each(config: Config, service: Service, match: Match) -> list[str]:
    """All addresses of a match, as a dummy device can have them."""
    first, last = match.bounds
    if last - first >= ADDRESSES_MAX:
        raise ConfigError(
            Fault(
                fault=f"{match} is more than the {ADDRESSES_MAX} addresses that this puts on a "
                "device",
                mend="by hand: ip route add local NETWORK dev lo, for networks that it is made of",
                key=f"services.{service.name}",
                file=config.file,
            )
        )
    return [str(ip_address(match.first) + number) for number in range(last - first + 1)]


def _refuse_other_tunnels(
    config: Config, service: Service, member: Member, key: ServiceKey, endpoint: Endpoint
) -> None:
    """The device that IPIP over IPv4 comes out of is all that `install` prepares so far."""
    if member.forwarding is not Forwarding.TUN:
        return
    tunnel = member.tunnel or Tunnel()
    inner, outer = key.family, family_of(endpoint.address)
    if tunnel.type == "ipip" and inner is outer is Family.IPV4:
        return
    words = {Family.IPV4: "IPv4", Family.IPV6: "IPv6"}
    device = "ip6tnl0" if outer is Family.IPV6 else "tunl0" if inner is Family.IPV4 else "sit0"
    opened = f"ip link set {device} up"
    if tunnel.type == "gue":
        opened = f"modprobe fou; ip fou add port {tunnel.port} gue; {opened}"
    if tunnel.type == "gre":
        device = "ip6gre0" if outer is Family.IPV6 else "gre0"
        opened = f"modprobe ip_gre; ip link set {device} up"
    raise ConfigError(
        Fault(
            fault=f"{tunnel.type} with {words[inner]} in {words[outer]} ends at {member.name}, and "
            "this prepares ipip with IPv4 in IPv4 alone",
            mend=f"by hand: {opened}; rp_filter 0 on it; the VIPs on a dummy, with arp_ignore 1 "
            "and arp_announce 2",
            key=f"services.{service.name}.tunnel",
            file=config.file,
        )
    )
