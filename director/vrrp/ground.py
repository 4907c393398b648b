# What virtual routers stand on: the links of this node, as the kernel last told.
#
# Rules of this room:
# 1. Events change what we know; everything is read at first, when events were lost, and every
#    READ_EVERY seconds, in case one was lost that nobody told us of.
# 2. What cannot be read now changes nothing.
"""The links under the virtual routers, kept up to date by events."""

import logging
import os
from collections.abc import Iterable
from pathlib import Path

from director.kernel.addresses import Addresses, Held, Link
from director.kernel.netlink import Torn
from director.kernel.watch import Event, LinkGone, LinkIs, Lost
from director.model.vip import DUMMY, Router, Vip
from director.vrrp import veil
from director.vrrp.player import Player

READ_EVERY = 15.0  # seconds
TABLE_HEADING = 3  # lines

log = logging.getLogger("director.vrrp")


class Ground:
    """Knows the links by name; None until they could be read."""

    def __init__(self, addresses: Addresses) -> None:
        self._addresses = addresses
        self._links: dict[int, Link] | None = None

    def links(self) -> dict[str, Link] | None:
        """By name, as they are now; reads them if they are not known yet."""
        if self._links is None:
            self.read()
        if self._links is None:
            return None
        return {link.name: link for link in self._links.values()}

    def read(self) -> None:
        """All of them, anew."""
        try:
            self._links = {link.index: link for link in self._addresses.links().values()}
        except (OSError, Torn) as error:
            log.warning("the interfaces cannot be read: %s", error)

    def learn(self, events: Iterable[Event]) -> bool:
        """Take in what has changed; was any of it about links?"""
        touched = False
        for event in events:
            match event:
                case Lost():
                    self.read()
                case LinkIs(link) if self._links is not None:
                    self._links[link.index] = link
                case LinkGone(index) if self._links is not None:
                    self._links.pop(index, None)
            touched = touched or isinstance(event, Lost | LinkIs | LinkGone)
        return touched

    def links_for(self, router: Router) -> dict[str, Link]:
        """The links, with the device among them that it needs beside its interface."""
        links = self.links() or {}
        dummy = not router.announced and DUMMY not in links
        try:
            if dummy:
                self._addresses.dummy(DUMMY)
            elif not veil.ensure(router, links, self._addresses):
                return links
        except (OSError, Torn) as error:
            kind = "dummy" if dummy else "macvlan"
            log.warning("%s: no %s device: %s; mend: modprobe %s", router.name, kind, error, kind)
        self.read()
        return self.links() or {}

    def forget(self, router: Router) -> None:
        """It is no longer played: its virtual MAC's device goes."""
        veil.remove(router, self.links() or {}, self._addresses)

    def remove(self, strangers: Iterable[Vip], routers: Iterable[Router]) -> None:
        """Take VIPs off that no router has any more; these are all routers."""
        links = self.links() or {}
        left = [
            Held(links[vip.interface].index, vip.prefix)
            for vip in strangers
            if vip.interface in links
        ]
        refused = self._addresses.release(left) if left else {}
        for one, code in refused.items():
            log.warning("cannot remove %s: %s", one.prefix, os.strerror(code))
        of_before = {vip.interface for vip in strangers} - {router.device for router in routers}
        veil.remove_left(of_before, links, self._addresses)

    def vips_stand(self, players: Iterable[Player]) -> bool:
        """Is a VIP of theirs on its interface?"""
        links = self.links() or {}
        try:
            return any(player.holds_any(links) for player in players)
        except (OSError, Torn) as error:
            log.warning("the addresses cannot be read: %s", error)
            return False


def table_stands(table: Path) -> bool:
    """Are there virtual services in the kernel?"""
    try:
        with table.open() as lines:
            return sum(1 for _ in lines) > TABLE_HEADING
    except OSError:
        return False
