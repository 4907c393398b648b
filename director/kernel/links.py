# Devices: the dummy that keeps VIPs mute, the tunnel that a real server listens on.
#
# pyroute2 is imported within the functions (33 MiB and 130 ms): only `real-server install` and the
# engine come here, never the vrrp process. Its synchronous calls run a private asyncio loop: they
# work in a plain program and in a trio task (which they block for some milliseconds), and raise
# RuntimeError within asyncio.
#
# What one does not expect: `tunl0` is made by the module ipip itself, in each network namespace, as
# soon as it is loaded, and cannot be removed; asking for a device of kind ipip loads it. The
# answer is then EEXIST when the device is called tunl0.
"""Make, raise and remove devices. All may be asked twice. Raise SystemLacks or NoRight."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from director.errors import NoRight, SystemLacks


def ensure_dummy(name: str) -> None:
    """There is a dummy device of that name, and it is up."""
    _ensure(name, "dummy")


def tunnel_up(name: str = "tunl0") -> None:
    """There is an IPIP tunnel device of that name, and it is up."""
    _ensure(name, "ipip")


def ensure_up(name: str) -> None:
    """The device is up."""
    with _talk(name) as route:
        route.link("set", index=_index(route, name), state="up")


def ensure_down(name: str) -> None:
    """The device is down, or there is none."""
    with _talk(name) as route:
        for index in route.link_lookup(ifname=name):
            route.link("set", index=index, state="down")


def remove_link(name: str) -> None:
    """There is no device of that name."""
    with _talk(name) as route:
        for index in route.link_lookup(ifname=name):
            route.link("del", index=index)


def _ensure(name: str, kind: str) -> None:
    with _talk(name, kind) as route:
        if not route.link_lookup(ifname=name):
            _create(route, name, kind)
        route.link("set", index=_index(route, name), state="up")


def _create(route: Any, name: str, kind: str) -> None:
    from pyroute2.netlink.exceptions import NetlinkError  # type: ignore[import-untyped]

    try:
        route.link("add", ifname=name, kind=kind)
    except NetlinkError as error:
        if error.code != errno.EEXIST:
            raise


def _index(route: Any, name: str) -> int:
    found = route.link_lookup(ifname=name)
    if not found:
        raise SystemLacks(f"there is no device {name}", mend=f"create {name}, or name another")
    return int(found[0])


@contextmanager
def _talk(name: str, kind: str = "") -> Iterator[Any]:
    from pyroute2 import IPRoute  # type: ignore[import-untyped]
    from pyroute2.netlink.exceptions import NetlinkError

    try:
        with IPRoute() as route:
            yield route
    except NetlinkError as error:
        if error.code in (errno.EPERM, errno.EACCES):
            raise NoRight(f"{name} may not be changed", mend="run it as root") from error
        word = errno.errorcode.get(error.code, str(error.code))
        mend = f"modprobe {kind}" if kind else f"see `ip -d link show {name}`"
        raise SystemLacks(f"{name}: the kernel says {word}", mend=mend) from error
