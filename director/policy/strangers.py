"""VIPs of the file before that this one no longer names."""

from collections.abc import Iterable

from director.model.vip import Router, Vip


def strangers(before: Iterable[Router], now: Iterable[Router]) -> tuple[Vip, ...]:
    """What the file before had held, and nobody names now: not as a VIP, not as a fixed address.

    An address that moved to another interface is a stranger on the old one.
    """
    now = tuple(now)
    named = {(vip.interface, vip.prefix.address) for router in now for vip in router.vips}
    fixed = {router.source for router in now}
    left = [
        vip
        for router in before
        for vip in router.vips
        if (vip.interface, vip.prefix.address) not in named and vip.prefix.address not in fixed
    ]
    return tuple(dict.fromkeys(left))
