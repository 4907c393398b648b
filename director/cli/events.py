"""`director events`: what happened, and what happens."""

import argparse
import sys
import time

import msgspec

from director.ask import ask_engine
from director.errors import Exit, Unreachable
from director.model.event import Event, Events

WAIT = 20  # seconds that the engine may wait for something to happen
LOOK_AGAIN_AFTER = 1.0  # seconds, when the engine is away


def events(args: argparse.Namespace) -> int:
    """0: shown. 69: no engine answers."""
    said = _ask(args, args.timeout)
    _show(said.events, as_json=args.json)
    while args.follow:
        try:
            more = _ask(args, args.timeout + WAIT, said)
        except Unreachable as error:
            print(f"director: {error}; waiting for it", file=sys.stderr)
            more = _when_back(args, said)
        if more.engine != said.engine:
            print("director: the engine was started again, and counts anew", file=sys.stderr)
        elif more.events and more.events[0].seq > said.last + 1:
            lost = more.events[0].seq - said.last - 1
            print(f"director: {lost} events came too fast; see the journal", file=sys.stderr)
        _show(more.events, as_json=args.json)
        said = more
    return Exit.DONE


def _when_back(args: argparse.Namespace, said: Events) -> Events:
    while True:
        time.sleep(LOOK_AGAIN_AFTER)
        try:
            return _ask(args, args.timeout + WAIT, said)
        except Unreachable:
            continue


def _ask(args: argparse.Namespace, timeout: float, said: Events | None = None) -> Events:
    words = {} if said is None else {"engine": said.engine, "since": str(said.last)}
    if said is not None:
        words["wait"] = str(WAIT)
    answer = ask_engine(args.runtime, timeout, "events", change=False, **words)
    return msgspec.json.decode(answer.body, type=Events)


def _show(happened: tuple[Event, ...], *, as_json: bool) -> None:
    for event in happened:
        print(msgspec.json.encode(event).decode() if as_json else f"{event.at} {event}")
    sys.stdout.flush()
