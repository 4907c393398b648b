# Routes and rules of a virtual router: there while its VIPs are.
#
# They are added once the VIPs are held (a route may have one as its preferred source), asked for
# again with each refresh, and removed before the VIPs go. After a SIGKILL those that have no lease
# of their own (kernel/routes.py) stay until the vrrp process starts again: who starts and holds no
# VIP removes them. They attract no packets: a director without the VIP does not get what it would
# have to route.
"""What moves along with the VIPs."""

import logging
import os
from collections.abc import Mapping

from director.kernel.addresses import Addresses, Link
from director.kernel.routes import (
    GONE,
    THERE,
    encode_route,
    encode_route_gone,
    encode_rule,
    encode_rule_gone,
)
from director.model.vip import Route, Router

log = logging.getLogger("director.vrrp")


class Moves:
    """The routes and rules of one virtual router."""

    def __init__(self, router: Router, addresses: Addresses) -> None:
        self._router = router
        self._addresses = addresses
        self._refused: dict[str, int] = {}

    @property
    def refused(self) -> bool:
        """Is something missing that is asked for again?"""
        return bool(self._refused)

    def hold(self, links: Mapping[str, Link]) -> None:
        """Have the kernel hold them all; what it refuses is said once, and asked for again."""
        routes = [one for one in self._router.routes if one.interface in ("", *links)]
        lease = self._router.lease
        requests = [encode_route(one, _index(one, links), lease) for one in routes]
        requests += [encode_rule(one) for one in self._router.rules]
        names = [*map(str, routes), *map(str, self._router.rules)]
        self._say(dict(zip(names, self._addresses.request(requests), strict=True)), THERE, "hold")

    def release(self, links: Mapping[str, Link]) -> None:
        """They are gone afterwards, or never were."""
        routes = [one for one in self._router.routes if one.interface in ("", *links)]
        requests = [encode_rule_gone(one) for one in self._router.rules]
        requests += [encode_route_gone(one, _index(one, links)) for one in routes]
        names = [*map(str, self._router.rules), *map(str, routes)]
        answers = dict(zip(names, self._addresses.request(requests), strict=True))
        self._say(answers, GONE, "release")
        self._refused = {}

    def _say(self, answers: dict[str, int], fine: tuple[int, ...], what: str) -> None:
        refused = {name: code for name, code in answers.items() if code and code not in fine}
        for name, code in refused.items():
            if self._refused.get(name) != code:
                why = os.strerror(code)
                log.warning("%s: cannot %s %s: %s", self._router.name, what, name, why)
        self._refused = refused


def _index(route: Route, links: Mapping[str, Link]) -> int:
    return links[route.interface].index if route.interface else 0
