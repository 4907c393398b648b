# What `ipvsadm -L` shows, with names and health. The engine tells the table in pieces and each is
# printed as it comes, so that a big table costs little memory at either end. The connections are
# read here and not by the engine: the kernel walks its table anew for each page of that file, and
# with a million connections that takes minutes.
"""`director show` and `director zero`."""

import argparse
import sys
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path

import msgspec

from director.ask import ask_engine, ask_for_pieces
from director.cli.columns import Columns, heading_lines
from director.errors import DirectorError, Exit, Fault, Unreachable
from director.model.address import Endpoint, parse_endpoint
from director.model.shown import Heading, ShownService
from director.policy.connections import Entry, read_entry

CONNECTIONS = Path("/proc/self/net/ip_vs_conn")
WITH_STATS = ("stats", "rate")


def show(args: argparse.Namespace) -> int:
    """0: told by the engine. 69: none runs, and this is what the kernel alone knows."""
    stats = "yes" if args.view in WITH_STATS else ""
    try:
        pieces = ask_for_pieces(
            args.runtime, args.timeout, "show", service=args.service or "", stats=stats
        )
        heading = next(pieces).body
    except Unreachable as error:
        _tell(args, *_from_kernel(args, error))
        sys.stdout.flush()
        said = "this is from the kernel alone, without names and health"
        print(f"director: {error}: {said}\n  mend: {error.faults[0].mend}", file=sys.stderr)
        return Exit.UNREACHABLE
    _tell(args, heading, (piece.body for piece in pieces))
    return Exit.DONE


def zero(args: argparse.Namespace) -> int:
    """Counters and totals to 0, of the file's services or of one."""
    answer = ask_engine(args.runtime, args.timeout, "zero", change=True, service=args.service or "")
    print(answer.body if args.json else f"done: {answer.body} virtual services")
    return Exit.DONE


def _tell(args: argparse.Namespace, heading: str, bodies: Iterable[str]) -> None:
    if args.view == "connections":
        _tell_connections(args, bodies)
    elif args.json:
        _tell_json(heading, bodies)
    else:
        columns = Columns(args.view or "weights")
        print("\n".join(heading_lines(msgspec.json.decode(heading, type=Heading))))
        print(columns.heads())
        for service in _services(bodies):
            print("\n".join(columns.lines(service)))


def _tell_json(heading: str, bodies: Iterable[str]) -> None:
    """One object, written as the pieces come: none of them is looked into."""
    print(heading[:-1] + ', "services": [')
    before = ""
    for body in bodies:
        if within := body[1:-1]:
            print(before + within, end="")
            before = ",\n"
    print("\n]}")


def _services(bodies: Iterable[str]) -> Iterator[ShownService]:
    return chain.from_iterable(map(msgspec.json.Decoder(list[ShownService]).decode, bodies))


def _tell_connections(args: argparse.Namespace, bodies: Iterable[str]) -> None:
    wanted = set(_virtuals(_services(bodies))) if args.service else None
    before = "["
    for entry in _connections():
        if wanted is not None and entry.virtual not in wanted:
            continue
        if args.json:
            print(before + msgspec.json.encode(entry).decode(), end="")
            before = ",\n"
        else:
            print(
                f"{entry.protocol:<4} {entry.client!s:<23} {entry.virtual!s:<23} "
                f"{entry.destination!s:<23} {entry.state:<11} {entry.expires}s {entry.engine_data}"
            )
    if args.json:
        print("]" if before != "[" else "[]")


def _virtuals(services: Iterable[ShownService]) -> Iterator[Endpoint]:
    for service in services:
        if service.mark:
            fault = f"{service.virtual}: connections do not say by which mark they came"
            mend = "director show --connections, for all of them"
            raise DirectorError(Exit.NO, Fault(fault=fault, mend=mend))
        yield parse_endpoint(service.virtual, lowest=0)


def _connections() -> Iterator[Entry]:
    try:
        with CONNECTIONS.open() as lines:
            yield from filter(None, map(read_entry, lines))
    except FileNotFoundError:
        return  # ip_vs is not loaded, so there are none
    except PermissionError as error:
        fault = Fault(fault=f"{CONNECTIONS} cannot be read", mend="become root")
        raise DirectorError(Exit.RIGHTS, fault) from error


def _from_kernel(args: argparse.Namespace, error: Unreachable) -> tuple[str, Iterable[str]]:
    """The same from the kernel; what the engine alone knows is left out."""
    from director.cli.planning import open_kernel
    from director.kernel.look import KernelLook
    from director.policy.showing import heading_of, show_destination, show_service

    try:
        with open_kernel() as hands:
            observed = hands.observe()
        look = KernelLook()
    except DirectorError:
        raise error from None
    info = look.info()
    stats = args.view in WITH_STATS
    shown = []
    for key in observed.table:
        seen = look.service(key, stats=stats)
        if seen is not None:
            each = [
                show_destination(one.endpoint, one.destination, one.counters, stats=one.stats)
                for one in seen.destinations
            ]
            shown.append(show_service(key, seen.settings, each, stats=seen.stats))
    look.close()
    if args.service:
        names = ("{0.virtual}", "{0.protocol}/{0.virtual}")
        shown = [one for one in shown if args.service in [name.format(one) for name in names]]
    heading = msgspec.json.encode(heading_of(observed, info.version, info.table_size)).decode()
    return heading, [msgspec.json.encode(shown).decode()]
