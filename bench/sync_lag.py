# How long until the standby knows a new connection: below this age a power cut may lose it.
#
# The kernel's master daemon sends a sync message when it is full; at an open one it looks once a
# second (IPVS_SYNC_CHECK_PERIOD) and sends it when it is older than two (IPVS_SYNC_FLUSH_TIME).
# With a small `maxlen` each record pushes its predecessor out, and the pulse (policy/pulse.py)
# makes records. All of it is measured here, quiet and under load.
"""`python -m bench.sync_lag`: seconds from a SYN to the connection's entry on the standby."""

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
# What a file can say of it. 44: a header and one IPv4 record (ip_vs_sync.c).
SETTINGS = {
    "the kernel's": "pulse = false\n",
    "small messages": "pulse = false\nmaxlen = 44\n",
    "pulse": "",
}


def main() -> None:
    """One JSON line for each setting."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=10)
    repeats = parser.parse_args().repeats
    for name, keys in SETTINGS.items():
        lags = measure(keys, repeats)
        for load, values in lags.items():
            row = {
                "bench": "sync_lag",
                "setting": name,
                "load": load,
                "min_s": round(min(values), 3),
                "median_s": round(statistics.median(values), 3),
                "max_s": round(max(values), 3),
            }
            print(json.dumps(row), flush=True)


def measure(keys: str, repeats: int) -> dict[str, list[float]]:
    """Lags in seconds, with 100 other new connections a second and with none."""
    config = CONFIG.read_text().replace("id = 51\n", f"id = 51\n{keys}", 1)
    with run_folder() as folder, set_stage(folder, config) as stage:
        busy = [lag(stage) for _ in range(repeats)]
        stage.requests.stop()
        quiet = [lag(stage) for _ in range(repeats)]
    return {"100 connections/s": busy, "quiet": quiet}


def lag(stage: Stage) -> float:
    """From the SYN of one connection, that then says nothing, to its entry on the standby."""
    standby = stage.other(stage.active())
    seen = dict.fromkeys(known(standby), 0.0)
    held = HeldConnections(stage.client, VIP, ECHO_PORT, count=1, every=60.0)

    def look() -> float | None:
        # The standby may know it before we know its port: note when each was seen first.
        now = time.monotonic()
        for port in known(standby):
            seen.setdefault(port, now)
        if not held.open_now():
            return None
        port, began = held.first()
        return seen[port] - began if port in seen else None

    took = eventually(look, KNOWN_WITHIN, "the standby knows it")
    held.stop()
    return took


def known(node: Node) -> set[int]:
    """The client ports of connections to the echo service in a director's table."""
    lines = node.place.read("/proc/net/ip_vs_conn").splitlines()
    return {int(line.split()[2], 16) for line in lines if f" {ECHO_PORT:04X} " in line}


if __name__ == "__main__":
    main()
