"""`python -m bench.failover`: this project beside keepalived, event by event, in one run.

One line of JSON for each event, interval and peer, then a table, then every *must* that was missed.
The status is 0 when none was, 1 otherwise.
"""

import argparse
import compileall
import json
import signal
import statistics
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack

from rich.console import Console
from rich.table import Table

import checks
import director
from bench.arena import Arena, PeerName, set_up
from bench.events import EVENTS, Trial, play
from bench.verdict import missed
from director.drill.host import need_tools, run_folder
from director.errors import DirectorError

PEERS: tuple[PeerName, ...] = ("director", "keepalived")
# At slow adverts an outage lasts seconds. Fewer of them tell as much: its length depends on where
# in an interval the event falls, and repeats are spread evenly over that.
REPEATS, SLOW_REPEATS, SLOW = 10, 3, 1.0


def run(events: Sequence[str], intervals: Sequence[float], repeats: int | None) -> list[Trial]:
    """All trials, both peers in turn. Raises SystemLacks, NoRight, DrillError."""
    need_tools({"keepalived": "keepalived"})
    for package in (
        director,
        checks,
    ):  # or each process in a machine, which writes nothing, does it
        compileall.compile_dir(package.__path__[0], quiet=1)
    trials = []
    for interval in intervals:
        with run_folder() as folder, ExitStack() as stack:
            arenas = [stack.enter_context(set_up(one, interval, folder / one[0])) for one in PEERS]
            count = repeats or (SLOW_REPEATS if interval >= SLOW else REPEATS)
            for event in events:
                for number in range(count):
                    trials += _round(event, arenas, number, (number + 0.5) / count)
                _tell(trials[-count * len(PEERS) :])
    return trials


def _round(event: str, arenas: Sequence[Arena], number: int, phase: float) -> list[Trial]:
    """The event once for each peer; who is first changes from round to round."""
    for arena in arenas:
        arena.begin_mending()
    for arena in arenas:
        arena.restore()
    for arena in arenas:
        arena.ready()
        arena.rest()
    trials = []
    for arena in arenas if number % 2 == 0 else reversed(arenas):
        arena.mature()
        trial = play(event, arena, phase)
        arena.rest()
        print(
            f"  {event} {arena.interval:g} s, {arena.peer}: {trial.gap_ms:.1f} ms,"
            f" {trial.failed} failed, {trial.lost} lost",
            file=sys.stderr,
        )
        trials.append(trial)
    return trials


def summary(trials: Sequence[Trial]) -> dict[str, object]:
    """The figures of one event, interval and peer."""
    first = trials[0]
    found: dict[str, object] = {
        "event": first.event,
        "interval": first.interval,
        "peer": first.peer,
        "gap_ms": _spread([one.gap_ms for one in trials]),
        "failed": _spread([one.failed for one in trials]),
        "lost": _spread([one.lost for one in trials]),
    }
    if taken := [one.takeover_ms for one in trials if one.takeover_ms is not None]:
        found["takeover_ms"] = _spread(taken)
    found["late_ms"] = _spread([one.late_ms for one in trials])
    if first.event == "kill":
        gone = [one.gone_ms for one in trials]
        known = [one for one in gone if one is not None]
        found["gone_ms"] = (_spread(known) if known else {}) | {"raw": gone}
        found["bare"] = sum(one.bare for one in trials)
        found["failed_after"] = sum(one.failed_after for one in trials)
    for field in ("failures", "lost_why"):
        if said := [value for one in trials if (value := getattr(one, field))]:
            found[field] = said
    return found


def _spread(values: Sequence[float]) -> dict[str, object]:
    return {
        "min": min(values),
        "median": round(statistics.median(values), 1),
        "max": max(values),
        "raw": list(values),
    }


def _groups(trials: Sequence[Trial]) -> list[list[Trial]]:
    keys = sorted(
        {(one.event, -one.interval, one.peer) for one in trials},
        key=lambda key: (list(EVENTS).index(key[0]), *key[1:]),
    )
    return [[one for one in trials if (one.event, -one.interval, one.peer) == k] for k in keys]


def _tell(trials: Sequence[Trial]) -> None:
    for group in _groups(trials):
        print(json.dumps(summary(group)), flush=True)


def table(trials: Sequence[Trial]) -> Table:
    """For a person; min / median / max."""
    shown = Table("event", "adverts", "peer", "outage ms", "failed", "lost", "VIP gone ms", "bare")
    for group in _groups(trials):
        first = group[0]
        killed = first.event == "kill"
        shown.add_row(
            first.event,
            f"{first.interval:g} s",
            first.peer,
            _three([one.gap_ms for one in group]),
            _three([one.failed for one in group]),
            str(sum(one.lost for one in group)),
            _gone(group) if killed else "",
            f"{sum(one.bare for one in group)}" if killed else "",
        )
    return shown


def _gone(trials: Sequence[Trial]) -> str:
    known = [one.gone_ms for one in trials if one.gone_ms is not None]
    words = [_three(known)] if known else []
    if len(known) < len(trials):
        words.append(f"never in {len(trials) - len(known)} of {len(trials)}")
    return ", ".join(words)


def _three(values: Sequence[float]) -> str:
    return f"{min(values):.0f} / {statistics.median(values):.0f} / {max(values):.0f}"


def _arguments(words: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench.failover", description=__doc__)
    often = (
        f"default {REPEATS}, and {SLOW_REPEATS} where adverts come every {SLOW:g} s or less often"
    )
    parser.add_argument("--repeats", type=int, help=often)
    parser.add_argument("--events", default=",".join(EVENTS), help="of: %(default)s")
    parser.add_argument("--intervals", default="1,0.1,0.02", help="seconds; default %(default)s")
    args = parser.parse_args(words)
    args.events = args.events.split(",")
    args.intervals = [float(word) for word in args.intervals.split(",")]
    if unknown := set(args.events) - set(EVENTS):
        parser.error(f"no event {', '.join(sorted(unknown))}; there are {', '.join(EVENTS)}")
    if args.repeats is not None and args.repeats < 1:
        parser.error("--repeats is at least 1")
    return args


def main(words: Sequence[str] | None = None) -> int:
    """For the command line."""
    args = _arguments(words)
    began = time.monotonic()
    try:
        trials = run(args.events, args.intervals, args.repeats)
    except DirectorError as error:
        for fault in error.faults:
            print(f"director: {fault}\n  mend: {fault.mend}", file=sys.stderr)
        return int(error.status)
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    Console(width=120).print(table(trials))
    wrong = missed(trials)
    for one in wrong:
        print(f"missed: {one}")
    print(f"{time.monotonic() - began:.0f} s in all; {len(wrong)} musts missed")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
