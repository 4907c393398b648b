"""`director maintenance`, `drain`, `weight`, `reload`, `failover`: a word to the engine."""

import argparse
import json
import time

import msgspec

from director.ask import ask_engine
from director.errors import DirectorError, Exit, Fault
from director.model.state import State

LOOK_EVERY = 0.05


def maintenance(args: argparse.Namespace) -> int:
    """Weight 0 in all services of the server, or back."""
    return _say_places(args, "maintenance", server=args.server, switch=args.switch)


def drain(args: argparse.Namespace) -> int:
    """No new connections, and gone once it is empty; with `--wait`, return then.

    75: it was not empty at the deadline, and what was left was cut.
    """
    words = {"server": args.server}
    if args.deadline is not None:
        words["deadline"] = args.deadline
    said_at = time.monotonic()
    answer = ask_engine(args.runtime, args.timeout, "drain", change=True, **words)
    drained = json.loads(answer.body)
    if args.wait:
        _wait_until_empty(args, set(drained["places"]), said_at + drained["seconds"])
    print(answer.body if args.json else f"done: {', '.join(drained['places'])}")
    return Exit.DONE


def undrain(args: argparse.Namespace) -> int:
    """Back into traffic, as the file and health say."""
    return _say_places(args, "undrain", server=args.server)


def weight(args: argparse.Namespace) -> int:
    """A weight by hand, a share of the configured one, or back to what the file and health say."""
    words = {"server": args.server, "weight": args.weight}
    if args.for_ is not None:
        words["for"] = args.for_
    return _say_places(args, "weight", **words)


def reload(args: argparse.Namespace) -> int:
    """Have the engine take the file that it was started with; returns once it has.

    78 with every fault when it is wrong, and the old one stays.
    """
    answer = ask_engine(args.runtime, args.timeout, "reload", change=True)
    print(answer.body if args.json else f"done: {json.loads(answer.body)}")
    return Exit.DONE


def failover(args: argparse.Namespace) -> int:
    """Let the peer take over; with `--wait`, return once it has."""
    ask_engine(args.runtime, args.timeout, "failover", change=True, router=args.router)
    if not args.wait:
        return Exit.DONE
    give_up_at = time.monotonic() + args.timeout
    while _still_active(args):
        if time.monotonic() > give_up_at:
            raise DirectorError(
                Exit.NO,
                Fault(
                    fault="no peer took over; this node goes on",
                    mend="is the other director running, and does it hear our adverts?",
                ),
            )
        time.sleep(LOOK_EVERY)
    return Exit.DONE


def _wait_until_empty(args: argparse.Namespace, places: set[str], deadline: float) -> None:
    """Raises DirectorError (75) at the deadline; the engine cuts what is left then."""
    while not _all_empty(args, places):
        if time.monotonic() >= deadline:
            raise DirectorError(
                Exit.LATER,
                Fault(
                    fault=f"not empty in time: {', '.join(sorted(places))}",
                    mend="what was left is cut now; give it longer with --deadline",
                ),
            )
        time.sleep(LOOK_EVERY)


def _all_empty(args: argparse.Namespace, places: set[str]) -> bool:
    answer = ask_engine(args.runtime, args.timeout, "status")
    state = msgspec.json.decode(answer.body, type=State)
    rows = (
        one
        for service in state.services
        for one in service.destinations
        if f"{service.name}/{one.real_server}" in places
    )
    return all({"removed", "empty"} & set(one.weight.because) for one in rows)


def _still_active(args: argparse.Namespace) -> bool:
    answer = ask_engine(args.runtime, args.timeout, "status")
    state = msgspec.json.decode(answer.body, type=State)
    return any(
        router.role == "active" and args.router in ("", router.name)
        for router in state.virtual_routers
    )


def _say_places(args: argparse.Namespace, verb: str, **words: str) -> int:
    answer = ask_engine(args.runtime, args.timeout, verb, change=True, **words)
    places = json.loads(answer.body)
    print(answer.body if args.json else f"done: {', '.join(places)}")
    return Exit.DONE
