# Release is mute, not removal.
#
# When a VIP moves, packets are still on their way to the node that gave it up: to its MAC, for as
# long as a switch or a neighbour has not heard the announcement. If it took the address off, they
# would meet a host that does not know it. So it keeps the VIP for LINGER seconds on a dummy: what
# still arrives is local and IPVS forwards it, but with arp_ignore=1 the interface no longer
# answers for an address that is not its own (arp.c, arp_ignore), and neighbour solicitations are
# answered for an interface's own addresses alone (ndisc.c, ndisc_recv_ns). One node answers, both
# serve. The kernel's lease ends it, whatever becomes of us.
"""VIPs that were given up, kept without answering for them."""

import logging
import os
from collections.abc import Callable, Iterable, Mapping

from director.kernel import sysctl
from director.kernel.addresses import Addresses, Held
from director.model.address import parse_prefix
from director.model.vip import Vip

DUMMY = "director-mute"
LINGER = 5.0  # seconds: above the sync lag of 2 to 3 s, so that whoever comes here late is known
OWN_ONLY = (1, 2, 8)  # values of arp_ignore (ip-sysctl.rst) with which a dummy's address is quiet

log = logging.getLogger("director.vrrp")

Read = Callable[[Iterable[str]], Mapping[str, str]]


class Mute:
    """Keeps the VIPs of one virtual router on the dummy after their release."""

    def __init__(self, name: str, addresses: Addresses, read: Read = sysctl.read) -> None:
        self._name = name
        self._addresses = addresses
        self._read = read
        self._said = ""

    def prepare(self) -> None:
        """Make the device before it is needed: loading its module takes time."""
        try:
            self._addresses.dummy(DUMMY)
        except OSError as error:
            self._cannot(f"no dummy device: {error.strerror}; mend: modprobe dummy")

    def keep(self, vips: Iterable[Vip]) -> None:
        """Hold them for LINGER seconds. What cannot be held is released with no such grace."""
        quiet = [vip for vip in vips if not self._loud(vip)]
        if not quiet:
            return
        try:
            index = self._addresses.dummy(DUMMY)
        except OSError as error:
            self._cannot(f"no dummy device: {error.strerror}; mend: modprobe dummy")
            return
        held = [Held(index, parse_prefix(vip.prefix.address)) for vip in quiet]
        for one, code in self._addresses.hold(held, LINGER).items():
            self._cannot(f"{one.prefix}: {os.strerror(code)}")

    def _loud(self, vip: Vip) -> bool:
        """Would its interface answer ARP for an address of another device?"""
        if ":" in vip.prefix.address:
            return False
        device = vip.interface.replace(".", "/")
        names = [f"net.ipv4.conf.{one}.arp_ignore" for one in ("all", device)]
        # The kernel goes by the larger of the two (inetdevice.h, IN_DEV_ARP_IGNORE).
        effective = max(map(int, self._read(names).values()), default=0)
        if effective in OWN_ONLY:
            return False
        self._cannot(f"{vip.interface} answers ARP for every address; mend: sysctl {names[1]}=1")
        return True

    def _cannot(self, why: str) -> None:
        if why != self._said:
            log.warning("%s: released VIPs do not linger: %s", self._name, why)
        self._said = why
