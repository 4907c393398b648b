"""`director maintenance`, `weight`, `failover`: an operator's word to the engine."""

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


def weight(args: argparse.Namespace) -> int:
    """A weight by hand, a share of the configured one, or back to what the file and health say."""
    words = {"server": args.server, "weight": args.weight}
    if args.for_ is not None:
        words["for"] = args.for_
    return _say_places(args, "weight", **words)


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
