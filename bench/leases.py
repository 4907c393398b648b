# What it costs that VIPs fence themselves: each has a lease that is refreshed four times in its
# length, and our adverts must not be late for it. One vrrp process, alone in a UML kernel, active.
"""`python -m bench.leases`: refreshing many VIPs in ms and % of a CPU, and how late adverts are."""

import argparse
import json
import os
import statistics
import sys
import time
from pathlib import Path

import msgspec
import trio

from director.drill.engines import MachineSpec
from director.drill.host import run_folder
from director.drill.machines import Machine
from director.kernel.addresses import Addresses, Held
from director.kernel.links import ensure_dummy
from director.model.address import Prefix, parse_prefix
from director.model.vip import Failback, Router, Vip
from director.vrrp.process import be_punctual
from director.vrrp.socket import Announcer
from director.vrrp.stage import Stage

DEVICE, SOURCE = "front0", "10.9.0.1"
INTERVAL, LEASE = 0.1, 2.0
SETTLE, MEASURE = 3.0, 20.0
SIZES = (1, 100, 1000)


def main() -> None:
    """One JSON line for each number of VIPs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--inside", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--family", choices=("ipv4", "ipv6"), default="ipv4")
    args = parser.parse_args()
    if args.inside is not None:
        print(json.dumps(measure(args.inside, args.family)), flush=True)
        return
    for count in SIZES:
        with run_folder() as folder, Machine(MachineSpec(name="leases"), folder) as machine:
            machine.boot()
            machine.wait()
            argv = [sys.executable, "-m", "bench.leases", "--inside", str(count)]
            done = machine.run([*argv, "--family", args.family], timeout=120)
            print(done.stdout.strip(), flush=True)


def measure(count: int, family: str) -> dict[str, object]:
    """Within the machine."""
    ensure_dummy(DEVICE)
    addresses = Addresses()
    index = addresses.links()[DEVICE].index
    addresses.hold([Held(index, Prefix(SOURCE, 32))], 0)
    vips = [Vip(Prefix("10.9.0.100", 32), DEVICE)]
    form = "10.{}.{}.{}" if family == "ipv4" else "2001:db8:{:x}::{:x}:{:x}"
    texts = [form.format(100 + n // 62500, n // 250 % 250, n % 250 + 1) for n in range(count - 1)]
    vips += [Vip(parse_prefix(text), DEVICE) for text in texts]
    router = Router(
        name="web",
        vrid=51,
        interface=DEVICE,
        source=SOURCE,
        priority=100,
        interval=INTERVAL,
        vips=tuple(vips),
        lease=LEASE,
        failback=Failback(when="now"),
    )
    advertised = msgspec.structs.replace(
        router, vips=(vips[0], *(msgspec.structs.replace(v, advertise=False) for v in vips[1:]))
    )
    whole = batch(addresses, [Held(index, vip.prefix) for vip in vips])
    be_punctual()
    found = trio.run(play, advertised, addresses)
    return {"bench": "leases", "vips": count, "family": family, "batch_ms": whole} | found


def batch(addresses: Addresses, held: list[Held]) -> float:
    """A refresh of all of them in one go: the median of ten, in ms."""
    addresses.hold(held, 60)
    took = []
    for _ in range(10):
        start = time.perf_counter()
        addresses.hold(held, 60)
        took.append(time.perf_counter() - start)
    addresses.release(held)
    return round(statistics.median(took) * 1000, 2)


async def play(router: Router, addresses: Addresses) -> dict[str, object]:
    """The stage as it runs; how late its timers were at worst in each second, and its CPU."""
    table = Path("/dev/null")
    stage = Stage(addresses, Announcer(), table=table)
    async with trio.open_nursery() as nursery:
        await nursery.start(stage.run)
        stage.play([router])
        stage.table_ready()
        await trio.sleep(SETTLE)
        takeover = stage.take_lateness()
        assert [role.role for role in stage.roles()] == ["active"]
        cpu, worst, end = os.times(), [], trio.current_time() + MEASURE
        while trio.current_time() < end:
            await trio.sleep(1.0)
            worst.append(stage.take_lateness() * 1000)
        used = os.times()
        nursery.cancel_scope.cancel()
    busy = (used.user + used.system - cpu.user - cpu.system) / (used.elapsed - cpu.elapsed)
    return {
        "cpu_percent": round(100 * busy, 2),
        "takeover_late_ms": round(takeover * 1000, 2),
        "late_ms_median": round(statistics.median(worst), 2),
        "late_ms_max": round(max(worst), 2),
    }


if __name__ == "__main__":
    main()
