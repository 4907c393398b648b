"""`director status`: is it well, and if not what to do. One screen."""

import argparse
import os
import sys
from collections.abc import Callable

import msgspec

from director.ask import ask_engine
from director.model.state import DestinationState, ServiceState, State

Paint = Callable[[str], str]  # pads nothing: codes have no width
COLOURS = {"up": "32", "active": "32", "down": "31", "fault": "31", "alarm": "31", "warning": "33"}


def status(args: argparse.Namespace) -> int:
    """0: well. 1: not well. 69: no engine answers."""
    answer = ask_engine(args.runtime, args.timeout, "status")
    if args.json:
        print(answer.body)
    else:
        state = msgspec.json.decode(answer.body, type=State)
        colour = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
        print("\n".join(lines(state, colour=colour)))
    return answer.status


def lines(state: State, *, colour: bool) -> list[str]:
    """The screen."""

    def paint(word: str) -> str:
        code = COLOURS.get(word)
        return f"\033[{code}m{word}\033[0m" if colour and code else word

    shown = [f"{state.node}: {'well' if state.well else 'NOT WELL'} at {state.at}"]
    shown += [
        f"router {router.name}  {paint(router.role)}  priority {router.priority}  "
        f"{' '.join(router.addresses)}"
        for router in state.virtual_routers
    ]
    daemons = [name for name in ("master", "backup") if getattr(state.sync, name)]
    shown.append(f"sync  {' '.join(daemons) or 'not running'}")
    for service in state.services:
        shown += _service_lines(service, paint)
    for finding in state.findings:
        shown.append(f"{paint(finding.severity)}: {finding.object}: {finding.fault}")
        shown.append(f"  mend: {finding.mend}")
    return shown


def _service_lines(service: ServiceState, paint: Paint) -> list[str]:
    quorum = f"{service.quorum.up} up, {service.quorum.need} needed"
    head = f"service {service.name}  {' '.join(service.virtual)}  {service.scheduler}  {quorum}"
    return [head, *(_destination_line(one, paint) for one in service.destinations)]


def _destination_line(one: DestinationState, paint: Paint) -> str:
    kernel = "-" if one.weight.kernel is None else str(one.weight.kernel)
    wanted = "" if kernel == str(one.weight.wanted) else f" (wanted {one.weight.wanted})"
    why = " ".join(one.weight.because)
    health = paint(one.health) + " " * (8 - len(one.health))
    return (
        f"  {one.real_server:<12} {one.address:<22} {health} weight {kernel}{wanted}"
        f"  active {one.active} inactive {one.inactive}  {why}: {one.reason}"
    )
