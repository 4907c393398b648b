"""A table in the words of `ipvsadm -Sn`, written from its manual and not from our codec."""

from ipaddress import IPv4Network

from director.model.address import Endpoint, Family
from director.model.service import (
    Destination,
    Forwarding,
    Protocol,
    ServiceKey,
    ServiceSettings,
    Table,
)

SERVICES = {Protocol.TCP: "-t", Protocol.UDP: "-u", Protocol.SCTP: "--sctp-service"}
METHODS = {Forwarding.DR: "-g", Forwarding.TUN: "-i", Forwarding.NAT: "-m"}


def saved(table: Table, *, thresholds: bool) -> list[str]:
    """One line a service and a destination. ipvsadm 1.31 reads thresholds and saves none."""
    lines: list[str] = []
    for key, service in table.items():
        lines.append(f"-A {_found(key)} {_service(key, service.settings)}")
        for endpoint, one in service.destinations.items():
            words = _destination(one)
            if thresholds:
                words += f" -x {one.upper_threshold} -y {one.lower_threshold}"
            lines.append(f"-a {_found(key)} -r {endpoint} {words}")
    return lines


def _found(key: ServiceKey) -> str:
    if key.mark:
        return f"-f {key.mark}" + (" -6" if key.family is Family.IPV6 else "")
    return f"{SERVICES[key.protocol]} {Endpoint(key.address, key.port)}"


def _service(key: ServiceKey, settings: ServiceSettings) -> str:
    words = [f"-s {settings.scheduler}"]
    if kept := settings.persistence:
        words.append(f"-p {kept.timeout}")
        if kept.prefix < key.family.bits:
            mask = str(kept.prefix)
            if key.family is Family.IPV4:
                mask = str(IPv4Network(f"0.0.0.0/{kept.prefix}").netmask)
            words.append(f"-M {mask}")
        if kept.engine:
            words.append(f"--pe {kept.engine}")
    if settings.one_packet:
        words.append("-o")
    if settings.flags:
        words.append(f"-b {','.join(sorted(settings.flags))}")
    return " ".join(words)


def _destination(one: Destination) -> str:
    words = [METHODS[one.forwarding], f"-w {one.weight}"]
    if tunnel := one.tunnel:
        words.append(f"--tun-type {tunnel.type}")
        if tunnel.type == "gue":
            words.append(f"--tun-port {tunnel.port}")
        if tunnel.type != "ipip":
            words.append("--tun-csum" if tunnel.checksum else "--tun-nocsum")
    return " ".join(words)
