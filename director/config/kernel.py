"""`[kernel]`: how what is in the kernel is kept."""

import re
from contextlib import suppress
from ipaddress import ip_address, ip_network

from director.config.faults import Findings
from director.config.readers import element, listed, pick, read_duration
from director.config.schema import FileTable
from director.model.config import KernelSettings
from director.model.pool import Service
from director.units import parse_duration

SYSCTL = re.compile(r"[A-Za-z0-9_-]+([./][A-Za-z0-9_-]+)+")


def read_kernel(file: FileTable, found: Findings) -> KernelSettings:
    """`[kernel]`, and from `[defaults]` how long what nobody names may drain."""
    table = file.kernel
    timeouts = [
        read_duration(
            getattr(table.timeouts, name), ("kernel", "timeouts", name), found, whole=True
        )
        for name in ("tcp", "tcp_fin", "udp")
    ]
    tcp, tcp_fin, udp = (0.0 if seconds is None else seconds for seconds in timeouts)
    resync: float | None = automatic_resync(
        sum(max(1, len(listed(one.virtual))) for one in file.services.values())
    )
    if table.resync != "auto":
        resync = read_duration(table.resync, ("kernel", "resync"), found, low=0.1)
    least = read_duration(table.min_resync, ("kernel", "min_resync"), found, high=60.0)
    for name in table.sysctl:
        if SYSCTL.fullmatch(name) is None:
            mend = 'write it in quotes, as in "net.ipv4.vs.sync_ports"'
            found.add(("kernel", "sysctl", name), f'"{name}" is not a sysctl', mend)
    return KernelSettings(
        foreign=table.foreign,
        keep_networks=_networks(table.keep_networks, found),
        drain=_default_drain(file),
        sysctls=table.sysctls,
        sysctl={name: str(value) for name, value in table.sysctl.items()},
        timeouts=(tcp, tcp_fin, udp),
        resync=resync or 0.0,
        min_resync=least or 0.0,
    )


def _networks(written: str | list[str], found: Findings) -> tuple[str, ...]:
    networks = []
    for index, text in enumerate(listed(written)):
        try:
            networks.append(str(ip_network(text)))
        except ValueError as error:
            key = element(("kernel", "keep_networks"), written, index)
            found.add(key, str(error), 'write a network, as in "10.96.0.0/12"')
    return tuple(networks)


def _default_drain(file: FileTable) -> float:
    """Whether it is a duration at all is told where services read it."""
    with suppress(ValueError, TypeError):
        return parse_duration(pick("5m", file.defaults.drain))
    return KernelSettings().drain


def check_kept(kernel: KernelSettings, services: list[Service], found: Findings) -> None:
    """What is never touched cannot be a service of ours."""
    networks = [ip_network(one) for one in kernel.keep_networks]
    for service in services:
        for virtual in service.virtuals:
            if virtual.mark:
                continue
            inside = [one for one in networks if ip_address(virtual.address) in one]
            if inside:
                fault = f"{inside[0]} is never touched, and service {service.name} is {virtual}"
                mend = "narrow the network, or leave the service to whoever else programs it"
                found.add(("kernel", "keep_networks"), fault, mend)


def automatic_resync(services: int) -> float:
    """Seconds between two full reads: 2 up to 1,000 virtual services, 30 at 20,000."""
    return 2.0 + max(0, services - 1000) * 28.0 / 19000
