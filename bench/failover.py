"""`python -m bench.failover`: this project beside keepalived, event by event, in one run.

One line of JSON for each event, interval and peer, then a table, then every *must* that was missed.
The status is 0 when none was, 1 otherwise.
"""

import argparse
import compileall
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack

from rich.console import Console

import checks
import director
from bench.arena import Arena, set_up
from bench.events import EVENTS, play
from bench.report import NOTES, groups, line, table
from bench.trial import SINGLE, PeerName, Trial
from bench.verdict import missed
from director.drill.host import need_tools, run_folder
from director.errors import DirectorError

PEERS: tuple[PeerName, ...] = ("director", "keepalived")
REPEATS = 10


def run(
    events: Sequence[str],
    intervals: Sequence[float],
    repeats: int,
    peers: Sequence[PeerName] = PEERS,
) -> list[Trial]:
    """All trials, the peers in turn. Raises SystemLacks, NoRight, DrillError."""
    need_tools({"keepalived": "keepalived"} if "keepalived" in peers else {})
    for package in (
        director,
        checks,
    ):  # or each process in a machine, which writes nothing, does it
        compileall.compile_dir(package.__path__[0], quiet=1)
    trials: list[Trial] = []
    for interval in intervals:
        with run_folder() as folder, ExitStack() as stack:
            arenas = [stack.enter_context(set_up(one, interval, folder / one[0])) for one in peers]
            here: list[Trial] = []
            for event, number in schedule(events, repeats):
                here += _round(event, arenas, number, (number + 0.5) / repeats)
                if number == repeats - 1:
                    for group in groups([one for one in here if one.event == event]):
                        print(line(group), flush=True)
            trials += here
    return trials


def schedule(events: Sequence[str], repeats: int) -> Iterator[tuple[str, int]]:
    """Event by event, and at the end in turn those that kill one process.

    A process that dies again within half a minute is started again more and more slowly.
    """
    for event in events:
        if not event.startswith(SINGLE):
            yield from ((event, number) for number in range(repeats))
    for number in range(repeats):
        yield from ((event, number) for event in events if event.startswith(SINGLE))


def _round(event: str, arenas: Sequence[Arena], number: int, phase: float) -> list[Trial]:
    """The event once for each peer that has it; who is first changes from round to round."""
    arenas = [arena for arena in arenas if arena.plays(event)]
    for arena in arenas:
        arena.begin_mending()
    for arena in arenas:
        arena.restore()
    for arena in arenas:
        arena.ready()
        arena.rest()
    trials = []
    for arena in arenas if number % 2 == 0 else reversed(arenas):
        arena.mature(event)
        trial = play(event, arena, phase)
        arena.rest()
        print(
            f"  {event} {arena.interval:g} s, {arena.peer}: {trial.gap_ms:.1f} ms,"
            f" {trial.failed} failed ({trial.half_open} half-open), {trial.lost} old and"
            f" {trial.young_lost} of {trial.young} young lost",
            file=sys.stderr,
        )
        trials.append(trial)
    return trials


def _arguments(words: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench.failover", description=__doc__)
    parser.add_argument("--repeats", type=int, default=REPEATS, help="default %(default)s")
    parser.add_argument("--events", default=",".join(EVENTS), help="of: %(default)s")
    parser.add_argument("--intervals", default="1,0.1,0.02", help="seconds; default %(default)s")
    parser.add_argument("--peers", default=",".join(PEERS), help="of: %(default)s")
    args = parser.parse_args(words)
    args.events = args.events.split(",")
    args.peers = args.peers.split(",")
    args.intervals = [float(word) for word in args.intervals.split(",")]
    if unknown := set(args.events) - set(EVENTS):
        parser.error(f"no event {', '.join(sorted(unknown))}; there are {', '.join(EVENTS)}")
    if unknown := set(args.peers) - set(PEERS):
        parser.error(f"no peer {', '.join(sorted(unknown))}; there are {', '.join(PEERS)}")
    if args.repeats < 1:
        parser.error("--repeats is at least 1")
    return args


def main(words: Sequence[str] | None = None) -> int:
    """For the command line."""
    args = _arguments(words)
    began = time.monotonic()
    try:
        trials = run(args.events, args.intervals, args.repeats, args.peers)
    except DirectorError as error:
        for fault in error.faults:
            print(f"director: {fault}\n  mend: {fault.mend}", file=sys.stderr)
        return int(error.status)
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    Console(width=140).print(table(trials))
    print(NOTES)
    wrong = missed(trials)
    for one in wrong:
        print(f"missed: {one}")
    print(f"{time.monotonic() - began:.0f} s in all; {len(wrong)} musts missed")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
