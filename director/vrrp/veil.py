# The virtual MAC of a virtual router (RFC 9568 section 7.3): its VIPs are on a device of their
# own, which has that MAC, and its adverts leave from there. A takeover then changes no
# neighbour's entry: the switch learns from the first advert of the new active where the MAC is now.
#
# - The device is there while the router is played, and up while it holds its VIPs: a backup must
#   not receive for the MAC (RFC 9568 section 6.4.1), and not send from it, or the switch would
#   bring it what is another's.
# - It goes down before the VIPs are taken off. The kernel leaves IPv6 groups with them, and the
#   report of that must not leave from the virtual MAC: a successor has it already.
# - What is on its way to the old node then is lost: its card no longer takes frames for the MAC.
#   These are microseconds, for the successor's adverts moved the MAC before. What others forward
#   to our own MAC (kernel: `chance`) still finds the VIPs, mute (mute.py).
# - A SIGKILL leaves the device up until the process starts again; its VIPs end with their lease.
"""Makes, raises, lowers and removes the device with the virtual MAC."""

import errno
import logging
import os
from collections.abc import Iterable, Mapping

from director.kernel import sysctl
from director.kernel.addresses import Addresses, Link
from director.kernel.devices import encode_gone, encode_macvlan, encode_manners, encode_up
from director.model.address import Family
from director.model.ops import SetSysctl
from director.model.vip import Router

VIRTUAL = bytes.fromhex("00005e00")
VEILS = ("vr4-", "vr6-")  # model/vip.py, Router.veil

log = logging.getLogger("director.vrrp")


class Veil:
    """Of one router, raised and lowered; of one without a virtual MAC it does nothing."""

    def __init__(self, router: Router, addresses: Addresses) -> None:
        self._router = router
        self._addresses = addresses
        self._raised: bool | None = None

    def rise(self, links: Mapping[str, Link]) -> None:
        """It is up; nothing is asked when it is so already."""
        if self._raised is not True:
            self._set(links, up=True)

    def lower(self, links: Mapping[str, Link]) -> None:
        """It is down."""
        if self._raised is not False:
            self._set(links, up=False)

    def look(self, links: Mapping[str, Link]) -> None:
        """Somebody may have lowered it."""
        there = links.get(self._router.device)
        if self._raised and there is not None and not there.up:
            self._set(links, up=True)

    def _set(self, links: Mapping[str, Link], *, up: bool) -> None:
        there = links.get(self._router.device)
        if self._router.mac != "virtual" or there is None:
            return
        self._raised = up
        (code,) = self._addresses.request([encode_up(there.index, up=up)])
        if code:
            word = "raise" if up else "lower"
            why = os.strerror(code)
            log.warning("%s: cannot %s %s: %s", self._router.name, word, there.name, why)


def ensure(router: Router, links: Mapping[str, Link], addresses: Addresses) -> bool:
    """Have the device made, down; was anything done? Raises OSError."""
    parent, there = links.get(router.interface), links.get(router.device)
    if router.mac != "virtual" or parent is None:
        return False
    if there is not None:
        if there.mac == router.virtual_mac:
            return False
        if not _ours(there):
            raise OSError(errno.EEXIST, f"{there.name} exists, with a MAC that is not virtual")
        _ask(addresses, encode_gone(there.index))
    _ask(addresses, encode_macvlan(router.device, parent.index, router.virtual_mac))
    index = addresses.links()[router.device].index
    for family in Family:
        (code,) = addresses.request([encode_manners(index, family)])
        if code not in (0, errno.EAFNOSUPPORT):
            raise OSError(code, os.strerror(code))
    # Or a host that does not forward would ask for routers, and make itself addresses there. Where
    # it cannot be written, or there is no IPv6, it is no reason not to play.
    sysctl.write(SetSysctl(f"net/ipv6/conf/{router.device}/accept_ra", "0"))
    return True


def remove(router: Router, links: Mapping[str, Link], addresses: Addresses) -> None:
    """The router is no longer played."""
    there = links.get(router.device)
    if router.mac == "virtual" and there is not None:
        (code,) = addresses.request([encode_gone(there.index)])
        if code not in (0, errno.ENODEV):
            log.warning("%s: cannot remove %s: %s", router.name, there.name, os.strerror(code))


def remove_left(devices: Iterable[str], links: Mapping[str, Link], addresses: Addresses) -> None:
    """Those among these devices that have a virtual MAC: a file before named them."""
    for device in devices:
        there = links.get(device)
        if there is not None and _ours(there):
            addresses.request([encode_gone(there.index)])


def _ours(there: Link) -> bool:
    return there.mac[:4] == VIRTUAL and there.name.startswith(VEILS)


def _ask(addresses: Addresses, request: bytes) -> None:
    (code,) = addresses.request([request])
    if code:
        raise OSError(code, os.strerror(code))
