# The table in the words of ipvsadm(8): what `ipvsadm -R` reads.
#
# What one does not expect: ipvsadm 1.31 reads thresholds (-x, -y) and its own -S leaves them out;
# it writes marks from 2^31 on as negative numbers and reads either.
"""A virtual service as `ipvsadm --restore` takes it."""

from director.model.address import Endpoint, Family
from director.model.service import (
    Destination,
    Forwarding,
    Protocol,
    ServiceKey,
    ServiceSettings,
    VirtualService,
)

FINDS = {Protocol.TCP: "-t", Protocol.UDP: "-u", Protocol.SCTP: "--sctp-service"}
METHODS = {Forwarding.DR: "-g", Forwarding.TUN: "-i", Forwarding.NAT: "-m"}


def restorable(key: ServiceKey, there: VirtualService) -> list[str]:
    """One line for the service and one for each destination."""
    found = _found(key)
    lines = [f"-A {found} {_settings(key, there.settings)}"]
    lines += [
        f"-a {found} -r {endpoint} {_destination(one)}"
        for endpoint, one in there.destinations.items()
    ]
    return lines


def _found(key: ServiceKey) -> str:
    if key.mark:
        return f"-f {key.mark}{' -6' if key.family is Family.IPV6 else ''}"
    return f"{FINDS[key.protocol]} {Endpoint(key.address, key.port)}"


def _settings(key: ServiceKey, settings: ServiceSettings) -> str:
    words = ["-s", settings.scheduler]
    if kept := settings.persistence:
        words += ["-p", str(kept.timeout)]
        if kept.prefix != key.family.bits:
            words += ["-M", _mask(key.family, kept.prefix)]
        if kept.engine:
            words += ["--pe", kept.engine]
    if settings.one_packet:
        words.append("-o")
    if settings.flags:
        words += ["-b", ",".join(sorted(settings.flags))]
    return " ".join(words)


def _mask(family: Family, prefix: int) -> str:
    if family is Family.IPV6:
        return str(prefix)
    bits = (0xFFFFFFFF << (32 - prefix)) & 0xFFFFFFFF
    return ".".join(str(byte) for byte in bits.to_bytes(4, "big"))


def _destination(one: Destination) -> str:
    words = [METHODS[one.forwarding], "-w", str(one.weight)]
    if one.upper_threshold or one.lower_threshold:
        words += ["-x", str(one.upper_threshold), "-y", str(one.lower_threshold)]
    if tunnel := one.tunnel:
        words += ["--tun-type", tunnel.type]
        if tunnel.port:
            words += ["--tun-port", str(tunnel.port)]
        if tunnel.type != "ipip":
            words.append("--tun-csum" if tunnel.checksum else "--tun-nocsum")
    return " ".join(words)
