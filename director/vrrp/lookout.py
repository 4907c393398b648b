# Listens for others that claim what we hold, on every interface where we hold something.
#
# Each of the two has to know: he who took over announces and is seen, and he who was active all the
# time says nothing for a minute. So a claimant is told that we hold the address, at once and each
# second, and asked whether he still does.
#
# It is no hot task: what it hears is an alarm, and not a reason to move. A flood of claims is read
# READS_MAX frames at a time, ten times a second; the rest the kernel drops.
"""Looks out for duplicate addresses while we are active."""

import logging
from collections.abc import Callable, Mapping

import trio

from director.kernel.addresses import Link
from director.model.address import Family, family_of
from director.vrrp.claims import Claim, answer, question
from director.vrrp.conflict import CLAIM_LASTS
from director.vrrp.sniffer import Sniffer
from director.vrrp.socket import Announcer

REST = 0.1  # seconds between two reads of one socket
ASK_EVERY = 1.0
CLAIMS_MAX = 64  # that are answered: more tell nothing new
CLOSED = -1  # the descriptor of a socket that is

OpenSniffer = Callable[[Link, Family], Sniffer]
Heard = Callable[[Claim], bool]

log = logging.getLogger("director.vrrp")


class Lookout:
    """`run` must run for anything to be heard; `heard` says whether we hold what is claimed."""

    def __init__(self, announcer: Announcer, open_sniffer: OpenSniffer = Sniffer) -> None:
        self._announcer = announcer
        self._open = open_sniffer
        self._sniffers: dict[tuple[int, Family], Sniffer] = {}
        self._claimed: dict[tuple[int, Claim], float] = {}
        self._links: dict[int, Link] = {}
        self._nursery: trio.Nursery
        self.heard: Heard = lambda _claim: False

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Until cancelled."""
        try:
            async with trio.open_nursery() as self._nursery:
                task_status.started()
                while True:
                    await trio.sleep(ASK_EVERY)
                    self._ask()
        finally:
            for sniffer in self._sniffers.values():
                sniffer.close()

    def cover(self, held: Mapping[str, set[str]], links: Mapping[str, Link]) -> None:
        """These addresses are held, by device, and these are all links of this node."""
        self._links = {link.index: link for link in links.values()}
        for key in [key for key in self._sniffers if key[0] not in self._links]:
            gone = self._sniffers.pop(key)
            trio.lowlevel.notify_closing(gone.fileno)
            gone.close()
        for link in self._links.values():
            for family in Family:
                here = {one for one in held.get(link.name, ()) if family_of(one) is family}
                self._listen(link, family, here)

    def _listen(self, link: Link, family: Family, addresses: set[str]) -> None:
        sniffer = self._sniffers.get((link.index, family))
        if len(link.mac) != 6 or (sniffer is None and not addresses):
            return
        try:
            if sniffer is None:
                sniffer = self._sniffers[link.index, family] = self._open(link, family)
                self._nursery.start_soon(self._hear, sniffer)
            sniffer.listen(addresses, link.mac)
        except OSError as error:
            log.warning("%s: duplicate addresses go unseen: %s", link.name, error)

    async def _hear(self, sniffer: Sniffer) -> None:
        while sniffer.fileno != CLOSED:
            try:
                await trio.lowlevel.wait_readable(sniffer.fileno)
            except trio.ClosedResourceError:
                return
            own = {link.mac for link in self._links.values()}
            for claim in sniffer.read():
                # Another interface of ours on the same wire is no rival.
                if claim.mac not in own and self.heard(claim):
                    self._remember(sniffer.link, claim)
            await trio.sleep(REST)

    def _remember(self, link: Link, claim: Claim) -> None:
        key = (link.index, claim)
        if key not in self._claimed:
            if len(self._claimed) >= CLAIMS_MAX:
                return
            self._announcer.send(link, answer(link.mac, claim))
        self._claimed[key] = trio.current_time()

    def _ask(self) -> None:
        """Do they still? Silence would say nothing otherwise."""
        now = trio.current_time()
        for key, last in list(self._claimed.items()):
            index, claim = key
            if now - last > CLAIM_LASTS or index not in self._links:
                del self._claimed[key]
                continue
            link = self._links[index]
            self._announcer.send(link, answer(link.mac, claim))
            self._announcer.send(link, question(link.mac, claim.address))
