"""Many lives on all cores: `python -m tests.sim.soak`; or one, told line by line: `--show SEED`."""

import argparse
import os
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from itertools import count
from multiprocessing import get_context

from tests.sim.lives import drawn, plan, play, run_life
from tests.sim.world import Violation

CHUNK = 250  # seeds that a worker is given at once
FAILURES = 3  # after so many it is enough
LINE_EVERY = 30.0  # seconds


def lives(first: int, seeds: int) -> list[str]:
    """Play seeds one after the other; the violations, as text."""
    broken = []
    for seed in range(first, first + seeds):
        try:
            play(seed)
        except Violation as violation:
            broken.append(str(violation))
    return broken


def in_parallel(first: int, seeds: int, workers: int, *, chunk: int = CHUNK) -> Iterator[list[str]]:
    """The violations of each chunk, in order; a fresh interpreter a worker."""
    starts = range(first, first + seeds, chunk)
    sizes = [min(chunk, first + seeds - start) for start in starts]
    pool = ProcessPoolExecutor(workers, mp_context=get_context("spawn"))
    try:
        yield from pool.map(lives, starts, sizes)
    finally:
        pool.shutdown(cancel_futures=True)


def soak(first: int, seeds: int, workers: int) -> int:
    """Play, and say now and then how far it is; 1 when an invariant broke."""
    began = said = time.monotonic()
    failures = 0
    for chunk, broken in zip(count(1), in_parallel(first, seeds, workers), strict=False):
        for violation in broken[: FAILURES - failures]:
            print(violation, flush=True)
        failures += len(broken)
        now = time.monotonic()
        if now - said > LINE_EVERY:
            said = now
            done = min(chunk * CHUNK, seeds)
            left = (now - began) / done * (seeds - done)
            print(f"{done} of {seeds} seeds, {failures} broken; {left:.0f} s to go", flush=True)
        if failures >= FAILURES:
            break
    took = time.monotonic() - began
    print(f"seeds {first} to {first + seeds - 1}: {failures} broken, {took:.0f} s")
    return 1 if failures else 0


def show(seed: int) -> int:
    """One life, and its timeline; 1 when an invariant broke in it."""
    world = drawn(seed)
    plan(world)
    try:
        run_life(world)
    except Violation as violation:
        print(f"seed {seed}")
        print(world.story())
        print(str(violation).partition("\n")[0])
        return 1
    print(f"seed {seed}\n{world.story()}\nall invariants hold")
    return 0


def main(arguments: list[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.sim.soak", description=__doc__)
    parser.add_argument("--from", dest="first", type=int, default=0, metavar="SEED")
    parser.add_argument("--seeds", type=int, default=1_000_000, metavar="COUNT")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--show", type=int, metavar="SEED", help="play this one, and tell it all")
    given = parser.parse_args(arguments)
    if given.show is not None:
        return show(given.show)
    return soak(given.first, given.seeds, given.workers)


if __name__ == "__main__":
    sys.exit(main())
