"""`director plan`, `apply`, `export`: the file and the kernel's table, side by side."""

import argparse
import json
import sys
from collections.abc import Iterable, Iterator

from director.cli.check import load_config, need_director, undisturbed
from director.cli.planning import (
    Plan,
    open_kernel,
    plan_alone,
    plan_with_engine,
    recall,
    record,
    services_in,
    told,
)
from director.engine.following import as_it_is_now
from director.errors import DirectorError, Exit, Fault, Unreachable
from director.kernel.netlink import Garbled, Torn
from director.kernel.seat import take_seat
from director.model.config import Config
from director.model.ops import (
    AddDestination,
    AddService,
    DeleteDestination,
    DeleteService,
    Op,
    Refused,
    StartSync,
    StopSync,
    show,
)
from director.model.service import ServiceKey, VirtualService
from director.policy.book import look
from director.policy.pulse import KEY as PULSE
from director.policy.saved import restorable
from director.policy.showing import key_of, service_of

REFUSALS_TOLD = 20


def plan(args: argparse.Namespace) -> int:
    """0: the kernel is as the file says. 2: it is not, and what would change."""
    with undisturbed(), _reading():
        config = _config(args)
        try:
            found = plan_with_engine(args, config)
        except Unreachable:
            with open_kernel() as hands:
                found = plan_alone(config, hands, recall(args)[0])
        (_tell_json if args.json else _tell)(found)
    return Exit.DIFFERS if found.ops else Exit.DONE


def apply(args: argparse.Namespace) -> int:
    """Program what the file says and leave; nobody checks anything."""
    seat = take_seat()
    try:
        with undisturbed(), _reading():
            config = _config(args)
            remembered, trouble = recall(args)
            with open_kernel() as hands:
                found = plan_alone(config, hands, remembered)
                record(args, found, remembered)
                refused = hands.apply(found.ops)
    finally:
        seat.close()
    if trouble:
        print(f"warning: {trouble}", file=sys.stderr)
    if refused:
        raise DirectorError(Exit.NO, *_faults(refused))
    count = len(found.ops)
    print(json.dumps({"format": 1, "changes": count}) if args.json else f"done: {count} changes")
    return Exit.DONE


def export(args: argparse.Namespace) -> int:
    """The table as `ipvsadm -R` reads it: from the engine, or read here where none runs."""
    with _reading():
        lines = (line for key, there in _table(args) for line in restorable(key, there))
        if args.json:
            print(json.dumps(list(lines)))
        else:
            for line in lines:
                print(line)
    return Exit.DONE


def _table(args: argparse.Namespace) -> Iterator[tuple[ServiceKey, VirtualService]]:
    try:
        pieces = told(args, "show")
        next(pieces)
    except Unreachable:
        with open_kernel() as hands:
            yield from hands.observe().table.items()
        return
    for shown in services_in(pieces):
        yield key_of(shown), service_of(shown)


class _reading:  # noqa: N801  (used as a statement)
    """What the kernel says instead of an answer, as an error with a mend."""

    def __enter__(self) -> None:
        return

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, Torn | Garbled):
            fault = Fault(fault=f"the table cannot be read: {error}", mend="try again")
            raise DirectorError(Exit.LATER, fault) from error


def _config(args: argparse.Namespace) -> Config:
    config = load_config(args.file or args.config, args.node)
    need_director(config)
    return as_it_is_now(config)


def _lines(found: Plan) -> Iterator[tuple[str, str]]:
    """A sign and a text for each change."""
    for op in found.ops:
        yield _sign(op), show(op, look(found.observed, op))


def _sign(op: Op) -> str:
    match op:
        case AddService() | AddDestination() | StartSync():
            return "+"
        case DeleteService() | DeleteDestination() | StopSync():
            return "-"
        case _:
            return "~"


def _foreign(found: Plan) -> list[str]:
    ours = {PULSE, *(key for one in found.config.services for key in one.virtuals)}
    return [str(key) for key in found.observed.table if key not in ours]


def _tell(found: Plan) -> None:
    for sign, text in _lines(found):
        print(f"{sign} {text}")
    foreign = _foreign(found)
    by = "told by the engine" if found.source == "engine" else "read here: no engine runs"
    left = f"; {len(foreign)} services that the file does not name are left alone"
    print(f"{len(found.ops)} changes{left if foreign else ''}; {by}")


def _tell_json(found: Plan) -> None:
    """One object, a change a line, so that a big plan is not held as text."""
    head = {"format": 1, "source": found.source, "foreign": _foreign(found)}
    print(json.dumps(head)[:-1] + ', "changes": [')
    before = ""
    for op, (sign, text) in zip(found.ops, _lines(found), strict=True):
        print(f"{before}{json.dumps({'sign': sign, 'change': _kind(op), 'text': text})}", end="")
        before = ",\n"
    print("\n]}")


def _kind(op: Op) -> str:
    tag = op.__struct_config__.tag
    return str(tag)


def _faults(refused: Iterable[Refused]) -> list[Fault]:
    faults = [
        Fault(key=show(one.op), fault=f"the kernel refused: {one.name}", mend=one.mend)
        for one in refused
    ]
    if (more := len(faults) - REFUSALS_TOLD) > 0:
        faults[REFUSALS_TOLD:] = [
            Fault(fault=f"{more} more refusals", mend="see `director plan` for what is missing")
        ]
    return faults
