# Addresses of interfaces that services follow. Asked before the first round, so that a fresh engine
# wants what it finds, and then told by the kernel.
#
# The vrrp process refreshes its leases four times a lifetime, and each is an event here, too: what
# is known already is no news, and between two reads is a rest.
"""Tell the facts which addresses there are."""

import logging
from collections.abc import Callable, Iterable
from contextlib import closing

import msgspec
import trio

from director.engine.news import News
from director.kernel.addresses import Addresses, Held, Link, networks
from director.kernel.netlink import Garbled, Torn
from director.kernel.watch import AddressGone, AddressIs, Event, LinkIs, Watch
from director.model.config import Config
from director.policy.facts import Facts
from director.policy.following import followed_all

REST = 0.05  # seconds
LOOK_AGAIN_AFTER = 30.0  # events are hints

log = logging.getLogger("director.engine")


def as_it_is_now(config: Config) -> Config:
    """The file with what interfaces have at this moment. Raises OSError, Torn, Garbled."""
    if not any(service.follows for service in config.services):
        return config
    with closing(Addresses()) as addresses:
        there = _by_device(addresses.all(), addresses.links())
    named = [key for service in config.services for key in service.virtuals]
    services = tuple(followed_all(config.services, there, named))
    return msgspec.structs.replace(config, services=services)


def _by_device(held: Iterable[Held], links: dict[str, Link]) -> dict[str, set[str]]:
    return {
        name: {prefix.address for prefix in prefixes}
        for name, prefixes in networks(held, links).items()
    }


class Following:
    """Nothing where no service follows an interface. `retarget` is called when probes changed."""

    def __init__(self, facts: Facts, news: News, retarget: Callable[[], None]) -> None:
        self._facts = facts
        self._news = news
        self._retarget = retarget
        self._known: dict[Held, float] = {}
        self._names: dict[int, str] = {}
        self._addresses: Addresses | None = None
        self._renewed = trio.Event()

    def look(self, *, ahead: bool = False) -> None:
        """Read what is there, and say what that changes. An unreadable kernel changes nothing.

        `ahead`: also where nothing is followed yet.
        """
        if not self._facts.follows and not ahead:
            return
        try:
            self._addresses = self._addresses or Addresses()
            links, self._known = self._addresses.links(), self._addresses.all()
        except (OSError, Torn, Garbled) as error:
            log.warning("addresses cannot be read: %s", error)
            return
        self._names = {link.index: name for name, link in links.items()}
        there = _by_device(self._known, links)
        targets = self._facts.probing.targets.keys()
        before = set(targets)
        touched = self._facts.learn_addresses(there)
        if touched:
            log.info("addresses have changed, and with them: %s", ", ".join(sorted(touched)))
        if before != self._facts.probing.targets.keys():
            self._retarget()
        self._news.tell(touched)

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """For ever; started once it is known what there is to follow."""
        self.look()
        task_status.started()
        try:
            while True:
                if self._facts.follows and self._addresses is not None:
                    await self._watch(self._addresses)
                await self._renewed.wait()
        finally:
            if self._addresses is not None:
                self._addresses.close()

    def renew(self) -> None:
        """Another file is in force."""
        self._renewed.set()
        self._renewed = trio.Event()

    async def _watch(self, addresses: Addresses) -> None:
        with closing(Watch(addresses.port)) as watch:
            self.look()  # what came between the first look and the watch
            while self._facts.follows:
                with trio.move_on_after(LOOK_AGAIN_AFTER) as patience:
                    await trio.lowlevel.wait_readable(watch.fileno)
                if patience.cancelled_caught or any(map(self._is_news, watch.read())):
                    self.look()
                await trio.sleep(REST)

    def _is_news(self, event: Event) -> bool:
        match event:
            case AddressIs(held):
                return held not in self._known
            case AddressGone(held):
                return held in self._known
            case LinkIs(link):
                return self._names.get(link.index) != link.name
            case _:
                return True
