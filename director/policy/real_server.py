"""What a real server must look like for DR and TUN, derived from the file."""

import msgspec

from director.errors import ConfigError, Fault
from director.model.address import family_of
from director.model.config import Config
from director.model.service import Forwarding

DUMMY = "director0"
TUNNEL = "tunl0"

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
        for member in service.members:
            if member.name != name or member.forwarding is Forwarding.NAT:
                continue
            found = True
            tunnel |= member.forwarding is Forwarding.TUN
            families = {family_of(address) for address in member.addresses}
            vips |= {key.address: None for key in service.virtuals if key.family in families}
    if not found:
        known = sorted(
            {
                member.name
                for service in config.services
                for member in service.members
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
