"""python -m checks: one check worker as a process."""

import argparse
import asyncio
import gc
import logging
import resource
import signal
import sys
import traceback
from pathlib import Path
from typing import NamedTuple, NoReturn

from checks.worker import IN_FLIGHT_MAX, Worker
from director.errors import DirectorError, Exit, SystemLacks
from director.paths import RUNTIME, WORKERS_SOCKET

# Probing makes no cycles; at the default of 700 every target is walked many times a second.
GARBAGE_THRESHOLD = 50_000
DESCRIPTORS_KEPT = 64  # for all that is no probe: the loop, the link, the standard streams
ROOM_MIN = 16
KEPT_MAX = 50_000


class Parser(argparse.ArgumentParser):
    """argparse with the exit status of docs/contract.md for wrong usage."""

    def error(self, message: str) -> NoReturn:
        """Say what is wrong and end with Exit.USAGE."""
        self.print_usage(sys.stderr)
        self.exit(Exit.USAGE, f"{self.prog}: {message}\n")


def parser() -> Parser:
    """The command line of a worker."""
    made = Parser(prog="python -m checks", description="Probes real servers for the engine.")
    made.add_argument(
        "--runtime",
        type=Path,
        default=RUNTIME,
        metavar="DIR",
        help=f"where the engine's sockets lie (default {RUNTIME})",
    )
    made.add_argument("--name", default="0", help="this worker among others (default 0)")
    return made


class Room(NamedTuple):
    """Sockets that there are descriptors for: probes in flight, and connections kept besides."""

    in_flight: int
    kept: int


def find_room(wanted: int = IN_FLIGHT_MAX) -> Room:
    """Raise the descriptor limit as far as allowed; what there is room for."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    if hard == resource.RLIM_INFINITY:
        return Room(wanted, KEPT_MAX)
    room = hard - DESCRIPTORS_KEPT
    if room < ROOM_MIN:
        raise SystemLacks(
            f"{hard} file descriptors are too few to probe anything",
            key="RLIMIT_NOFILE",
            mend=f"give LimitNOFILE={DESCRIPTORS_KEPT + IN_FLIGHT_MAX} or more",
        )
    if room < wanted:
        logging.getLogger("checks").warning(
            "%d file descriptors: %d probes at once instead of %d", hard, room, wanted
        )
    in_flight = min(room, wanted)
    return Room(in_flight, min(room - in_flight, KEPT_MAX))


async def run(path: Path, name: str, room: Room) -> None:
    """Work until SIGTERM or SIGINT."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await Worker(path, name, room=room.in_flight, keep_max=room.kept).run(stop)


def main(argv: list[str] | None = None) -> int:
    """Run a worker; the exit status."""
    args = parser().parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s")
    gc.set_threshold(GARBAGE_THRESHOLD)
    try:
        room = find_room()
        asyncio.run(run(args.runtime / WORKERS_SOCKET, args.name, room))
    except DirectorError as error:
        for fault in error.faults:
            sys.stderr.write(f"checks: {fault}\n  mend: {fault.mend}\n")
        return error.status
    except Exception:  # noqa: BLE001 - the last door: a bug ends the process with its own status
        traceback.print_exc()
        return Exit.BUG
    return Exit.DONE


if __name__ == "__main__":
    sys.exit(main())
