"""VIPs without a length have to be in a network that their interface has."""

from collections.abc import Iterable
from ipaddress import ip_address, ip_interface

from director.config.faults import Found
from director.config.vips import Bare
from director.model.address import Prefix


def outside(bare: Iterable[Bare], networks: dict[str, list[Prefix]]) -> tuple[Found, ...]:
    """One fault for each such VIP. `networks`: the prefixes that each device has, by its name.

    A device that is not in `networks` is another check's matter. Host prefixes are no networks.
    """
    return tuple(
        Found(
            vip.key,
            f"{vip.address} is in no network of {vip.device}",
            f'write its length, as in "{vip.address}/{128 if ":" in vip.address else 32}", '
            f"or an address of a network that {vip.device} has",
        )
        for vip in bare
        if vip.device in networks and not _inside(vip.address, networks[vip.device])
    )


def _inside(address: str, networks: list[Prefix]) -> bool:
    there = ip_address(address)
    return any(
        there in ip_interface(str(prefix)).network
        for prefix in networks
        if prefix.length < prefix.family.bits
    )
