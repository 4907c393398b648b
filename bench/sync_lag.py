# How long until the standby knows a new connection: below this age a power cut may lose it.
#
# The kernel's master daemon sends a sync message when it is full; at an open one it looks once a
# second (IPVS_SYNC_CHECK_PERIOD) and sends it when it is older than two (IPVS_SYNC_FLUSH_TIME).
# With a small `maxlen` each record pushes its predecessor out. Both are measured here, quiet and
# under load.
"""`python -m bench.sync_lag`: seconds from a new connection to its entry on the standby."""

import argparse
import json
import statistics
import time

from director.drill.clients import HeldConnections
from director.drill.host import run_folder
from director.drill.pair import CONFIG, Node
from director.drill.places import eventually
from director.drill.stage import ECHO_PORT, VIP, Stage, set_stage

KNOWN_WITHIN = 8.0
SMALLEST = 44  # of sync messages: a header and one IPv4 record (ip_vs_sync.c)


def main() -> None:
    """One JSON line for each setting."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=10)
    repeats = parser.parse_args().repeats
    for maxlen in (0, SMALLEST):
        lags = measure(maxlen, repeats)
        for load, values in lags.items():
            row = {
                "bench": "sync_lag",
                "maxlen": maxlen or "default",
                "load": load,
                "min_s": round(min(values), 3),
                "median_s": round(statistics.median(values), 3),
                "max_s": round(max(values), 3),
            }
            print(json.dumps(row), flush=True)


def measure(maxlen: int, repeats: int) -> dict[str, list[float]]:
    """Lags in seconds, with 100 other new connections a second and with none."""
    config = CONFIG.read_text()
    if maxlen:
        config = config.replace("id = 51\n", f"id = 51\nmaxlen = {maxlen}\n", 1)
    with run_folder() as folder, set_stage(folder, config) as stage:
        busy = [lag(stage) for _ in range(repeats)]
        stage.requests.stop()
        quiet = [lag(stage) for _ in range(repeats)]
    return {"100 connections/s": busy, "quiet": quiet}


def lag(stage: Stage) -> float:
    """Of one new connection that then says nothing for a while."""
    standby = stage.other(stage.active())
    before = known(standby)
    held = HeldConnections(stage.client, VIP, ECHO_PORT, count=1, every=60.0)
    held.wait_until_open()
    began = time.monotonic()
    eventually(lambda: known(standby) > before, KNOWN_WITHIN, "the standby knows it")
    took = time.monotonic() - began
    held.stop()
    return took


def known(node: Node) -> int:
    """Connections to the echo service in a director's table, whatever became of them."""
    lines = node.place.read("/proc/net/ip_vs_conn").splitlines()
    return sum(1 for line in lines if f" {ECHO_PORT:04X} " in line)


if __name__ == "__main__":
    main()
