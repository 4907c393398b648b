# Runs in a freshly booted machine, one measure each (MEASURES): destinations that were deleted stay
# in the kernel for minutes and slow every add. Files lie in the folder that is given.
"""What each peer does to the IPVS table, timed where it is done. Seconds, MiB."""

import json
import os
import select
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from bench.table_files import DESTINATIONS, server, virtual
from bench.table_worker import CheckWorker
from director.config.load import load
from director.kernel.codec import encode
from director.kernel.hands import KernelHands
from director.kernel.look import KernelLook
from director.kernel.netlink import BATCH, GENERIC, Socket
from director.model.address import Endpoint, Family
from director.model.ops import AddDestination, AddService, Observed, TableOp
from director.model.service import Destination, ServiceKey, ServiceSettings
from director.policy.once import wanted
from director.policy.plan import diff

Found = dict[str, object]
DIRECTOR = (sys.executable, "-m", "director")
KEEPALIVED = ("keepalived", "-n", "-C", "-l", "--log-console", "-f")
IPVSADM = "/usr/sbin/ipvsadm"
CHANGED = 777
WITHIN = 600.0
TRANSITIONS = 21
LOOK_EVERY = 0.01


def key(number: int) -> ServiceKey:
    """A service of the files."""
    return ServiceKey(Family.IPV4, address=virtual(number), port=80)


def last_weight(look: KernelLook, number: int) -> int | None:
    """That of a service's last destination, once all eight are there."""
    seen = look.service(key(number))
    if seen is None or len(seen.destinations) < DESTINATIONS:
        return None
    wanted_at = Endpoint(server(number, DESTINATIONS - 1), 80)
    return next(one.destination.weight for one in seen.destinations if one.endpoint == wanted_at)


def timed(do: Callable[[], object]) -> float:
    """Seconds."""
    began = time.perf_counter()
    do()
    return time.perf_counter() - began


def run(*argv: str, **how: object) -> None:
    subprocess.run(argv, check=True, stdout=subprocess.DEVNULL, **how)  # type: ignore[call-overload]


def apply(path: Path) -> None:
    """`director apply`, process start and all."""
    places = ("--node", "lb1", "--state", "/run/state", "--runtime", "/run/none")
    run(*DIRECTOR, "apply", str(path), *places)


def by_director(_services: int, folder: Path) -> Found:
    """From an empty kernel."""
    return {"program_s": timed(lambda: apply(folder / "director.toml"))}


def on_standing(services: int, folder: Path) -> Found:
    """One changed weight; then reading the table, checking the file, and one service more."""
    apply(folder / "director.toml")
    hands = KernelHands()
    change_s = timed(lambda: apply(folder / "director-changed.toml"))
    assert last_weight(KernelLook(), services - 1) == CHANGED
    more = ServiceKey(Family.IPV4, address="10.254.0.1", port=80)
    pool = [Endpoint(f"10.254.1.{number}", 80) for number in range(1, DESTINATIONS + 1)]
    ops: list[TableOp] = [AddService(more, ServiceSettings())]
    ops += [AddDestination(more, one, Destination()) for one in pool]
    return {
        "change_s": change_s,
        "read_s": timed(hands.observe),
        "ipvsadm_read_s": timed(lambda: run(IPVSADM, "-L", "-n")),
        "check_s": timed(
            lambda: run(*DIRECTOR, "check", str(folder / "director.toml"), "--node", "lb1")
        ),
        "add_one_s": timed(lambda: hands.apply(ops)),
    }


def whole(services: int, _folder: Path) -> Found:
    """Does all of it stand? Or the time was not worth measuring."""
    table = KernelHands().observe().table
    found = len(table), sum(len(one.destinations) for one in table.values())
    assert found == (services, services * DESTINATIONS), found
    return {}


def by_ipvsadm(_services: int, folder: Path) -> Found:
    """`ipvsadm -R`."""
    with (folder / "ipvsadm").open() as lines:
        program_s = timed(lambda: run(IPVSADM, "-R", stdin=lines))
    return {"program_s": program_s}


def by_floor(_services: int, folder: Path) -> Found:
    """The same bytes, made before the clock runs: what the kernel itself takes."""
    config = load(folder / "director.toml", node="lb1", host="")
    hands = KernelHands()
    ops = diff(wanted(config, Observed(), {}), {})
    pack = hands._ipvs._request  # noqa: SLF001  (the very bytes that it would send)
    requests = [pack(*encode(op)) for op in ops]  # type: ignore[arg-type]
    batches = [requests[at : at + BATCH] for at in range(0, len(requests), BATCH)]
    replay = Socket(GENERIC)
    program_s = timed(lambda: [replay.transact(one) for one in batches])
    return {"program_s": program_s}


def by_keepalived(services: int, folder: Path) -> Found:
    """From its start until the last destination stands."""
    return _keepalived(services, folder, change=False)


def keepalived_reload(services: int, folder: Path) -> Found:
    """SIGHUP until the change stands, and what it needs before and after."""
    return _keepalived(services, folder, change=True)


def _keepalived(services: int, folder: Path, *, change: bool) -> Found:
    config = Path("/run/keepalived.conf")
    config.write_text((folder / "keepalived.conf").read_text())
    look = KernelLook()
    began = time.perf_counter()
    with subprocess.Popen(
        [*KEEPALIVED, str(config)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        wait(lambda: last_weight(look, services - 1) is not None)
        found: Found = {"program_s": time.perf_counter() - began}
        if change:
            found["rss_mib"] = family_mib(process.pid)
            config.write_text((folder / "keepalived-changed.conf").read_text())
            began = time.perf_counter()
            process.send_signal(signal.SIGHUP)
            wait(lambda: last_weight(look, services - 1) == CHANGED)
            found["change_s"] = time.perf_counter() - began
            found["rss_after_mib"] = family_mib(process.pid)
        for pid in [*children(process.pid), process.pid]:
            os.kill(pid, signal.SIGKILL)  # it takes minutes to remove a large table
    return found


def by_engine(services: int, folder: Path) -> Found:
    """An engine from its start; then transitions, alone and while the table is shown.

    The last service alone is checked: by us.
    """
    runtime = Path("/run/director")
    places = ("--runtime", str(runtime), "--state", "/run/state", "--node", "lb1")
    argv = [*DIRECTOR, "engine", "--config", str(folder / "director-checked.toml"), *places]
    look, last = KernelLook(), services - 1
    began = time.perf_counter()
    with subprocess.Popen(argv, stderr=subprocess.DEVNULL) as process:
        wait(lambda: last_weight(look, last) is not None)
        program_s = time.perf_counter() - began
        wait((runtime / "control.sock").exists)
        rss = mib(process.pid)
        with closing(CheckWorker(runtime)) as worker:
            wait(lambda: last_weight(look, last) == DESTINATIONS)
            alone = [transition(worker, look, last) for _ in range(TRANSITIONS)]
            shown = subprocess.Popen(
                [*DIRECTOR, "show", *places[:2], "--timeout", "60s", "--json"],
                stdout=subprocess.DEVNULL,
            )
            beside: list[float] = []
            while shown.poll() is None or not beside:
                beside.append(transition(worker, look, last))
        assert shown.returncode == 0, shown.returncode
        after = mib(process.pid)
        process.kill()
    return {
        "program_s": program_s,
        "transition_s": statistics.median(alone),
        "transition_max_s": max(alone),
        "transition_beside_show_s": statistics.median(beside),
        "transition_beside_show_max_s": max(beside),
        "beside_show": len(beside),
        "rss_mib": rss,
        "rss_after_mib": after,
    }


def transition(worker: CheckWorker, look: KernelLook, number: int) -> float:
    """The last destination of a service goes down, or comes up again: seconds."""
    at = Endpoint(server(number, DESTINATIONS - 1), 80)
    (key,) = (one.key for one in worker.targets if one.endpoint == at)
    up = last_weight(look, number) == 0
    took = worker.transition(key, "up" if up else "down")
    assert last_weight(look, number) == (DESTINATIONS if up else 0)
    return took


def wait(until: Callable[[], bool]) -> None:
    """Look every LOOK_EVERY: one short question to the kernel each."""
    give_up_at = time.monotonic() + WITHIN
    while not until():
        assert time.monotonic() < give_up_at
        select.select([], [], [], LOOK_EVERY)


def mib(pid: int) -> float:
    """Resident memory of a process: shared pages of libraries included."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return round(int(line.split()[1]) / 1024, 1)
    return 0.0


def children(pid: int) -> list[int]:
    """Those that run."""
    found = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [int(one) for one in found]


def family_mib(pid: int) -> float:
    """Of the largest process of a family: keepalived's checker, which holds the table."""
    return max(mib(one) for one in (pid, *children(pid)))


MEASURES: dict[str, Callable[[int, Path], Found]] = {
    "director": by_director,
    "keepalived": by_keepalived,
    "ipvsadm": by_ipvsadm,
    "floor": by_floor,
    "standing": on_standing,
    "keepalived_reload": keepalived_reload,
    "engine": by_engine,
}


def main() -> None:
    """Arguments: measure, services, folder."""
    name, services, folder = sys.argv[1:]
    measures = MEASURES | {"whole": whole}
    print(json.dumps(measures[name](int(services), Path(folder))), flush=True)


if __name__ == "__main__":
    main()
