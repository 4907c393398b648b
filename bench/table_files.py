"""One IPVS table in the words of each peer: N services with 8 destinations. Pure."""

from collections.abc import Container, Iterator

DESTINATIONS = 8
HEAD = """\
format = 1
[interfaces]
front = "lo"
[nodes.lb1]
addresses = { front = "10.255.0.2" }
[kernel]
sysctls = "report"
[defaults]
scheduler = "wlc"
"""
SERVICE = """\
[services.s{number}]
virtual = "{address}:80"
held = "elsewhere"
checks = {checks}
real_servers = [{servers}]
"""
# keepalived's checker alone, and no checkers in it: all that it does is programming the table.
KEEPALIVED_HEAD = "global_defs {\n  router_id lb1\n}\n"
KEEPALIVED = """\
virtual_server {address} 80 {{
  lb_algo wlc
  lb_kind DR
  protocol TCP
{servers}}}
"""
Changed = tuple[int, int] | None


def virtual(number: int) -> str:
    """The address of a service."""
    return f"10.{100 + number // 62500}.{number // 250 % 250}.{number % 250 + 1}"


def server(number: int, index: int) -> str:
    """The address of one of its destinations; no two services share one."""
    flat = number * DESTINATIONS + index
    return f"10.{1 + flat // 62500}.{flat // 250 % 250}.{flat % 250 + 1}"


def weights(services: int, changed: Changed) -> Iterator[tuple[int, list[tuple[str, int]]]]:
    """Each service with its servers and their weights; the last destination of `changed[0]` has
    the weight `changed[1]`."""
    for number in range(services):
        pool = [(server(number, index), index + 1) for index in range(DESTINATIONS)]
        if changed is not None and number == changed[0]:
            pool[-1] = (pool[-1][0], changed[1])
        yield number, pool


def director_file(services: int, changed: Changed = None, *, checked: Container[int] = ()) -> str:
    """director.toml; the services in `checked` have TCP checks, the others none."""
    parts = [HEAD]
    for number, pool in weights(services, changed):
        servers = ", ".join(
            f'{{ server = "{address}", weight = {weight} }}' for address, weight in pool
        )
        checks = '[{ kind = "tcp" }]' if number in checked else '"none"'
        parts.append(
            SERVICE.format(number=number, address=virtual(number), servers=servers, checks=checks)
        )
    return "".join(parts)


def keepalived_file(services: int, changed: Changed = None) -> str:
    """keepalived.conf."""
    parts = [KEEPALIVED_HEAD]
    for number, pool in weights(services, changed):
        servers = "".join(
            f"  real_server {address} 80 {{\n    weight {weight}\n  }}\n"
            for address, weight in pool
        )
        parts.append(KEEPALIVED.format(address=virtual(number), servers=servers))
    return "".join(parts)


def ipvsadm_file(services: int) -> str:
    """What `ipvsadm -R` reads."""
    lines = []
    for number, pool in weights(services, None):
        lines.append(f"-A -t {virtual(number)}:80 -s wlc")
        lines += [f"-a -t {virtual(number)}:80 -r {one}:80 -g -w {weight}" for one, weight in pool]
    return "\n".join([*lines, ""])
