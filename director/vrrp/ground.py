# What virtual routers stand on: the links of this node, as the kernel last told.
#
# Rules of this room:
# 1. Events change what we know; everything is read at first, when events were lost, and every
#    READ_EVERY seconds, in case one was lost that nobody told us of.
# 2. What cannot be read now changes nothing.
"""The links under the virtual routers, kept up to date by events."""

import logging
from collections.abc import Iterable

from director.kernel.addresses import Addresses, Link
from director.kernel.netlink import Torn
from director.kernel.watch import Event, LinkGone, LinkIs, Lost

READ_EVERY = 15.0  # seconds

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
