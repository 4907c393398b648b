# Each measure has a freshly booted kernel, pinned to one CPU, since destinations that were deleted
# stay in the kernel's memory for minutes and slow every add. All of one scale are measured one
# after the other in one run: only ratios within a run count.
"""`python -m bench.table`: the IPVS table beside keepalived and ipvsadm, in one run.

One line of JSON for each row and scale, then every *must* that was missed. The status is 0 when
none was, 1 otherwise. What is not reached yet by a reload of the engine is measured as `director
apply` of the changed file on the standing table (change_s), and as the kernel's part alone
(add_one_s).
"""

import argparse
import compileall
import json
import os
import signal
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import checks
import director
from bench.table_files import director_file, ipvsadm_file, keepalived_file
from bench.table_inside import CHANGED, MEASURES, WITHIN
from bench.table_verdict import Row, rows
from director.drill.engines import EngineName, MachineSpec
from director.drill.host import need_tools, run_folder
from director.drill.machines import Machine
from director.errors import DirectorError

SCALES = (20000, 5000)
FEW = 100
MEMORY = 3072


def run(scales: Sequence[int], engine: EngineName = "uml") -> list[Row]:
    """All rows of all scales. Raises SystemLacks, NoRight, DrillError."""
    need_tools({"keepalived": "keepalived", "ipvsadm": "ipvsadm"})
    for package in (director, checks):  # a machine keeps nothing that it compiles
        compileall.compile_dir(package.__path__[0], quiet=1)
    few = measure("engine", FEW, engine)
    found: list[Row] = []
    for services in scales:
        figures = {}
        for name in MEASURES:
            figures[name] = measure(name, services, engine)
            print(f"  {name} {services}: {figures[name]}", file=sys.stderr, flush=True)
        here = rows(services, figures, few)
        for row in here:
            print(json.dumps(row.as_json()), flush=True)
        found += here
    return found


def measure(name: str, services: int, engine: EngineName = "uml") -> dict[str, float]:
    """One measure in a machine of its own."""
    spec = MachineSpec(name="table", memory=MEMORY, engine=engine)
    with run_folder() as folder, Machine(spec, folder) as machine:
        write_files(folder, services)
        machine.boot()
        machine.wait()
        argv = [sys.executable, "-m", "bench.table_inside"]
        rest = [str(services), str(folder)]
        within = WITHIN * machine.slower
        before = cpu_s(machine.processes())
        done = machine.run([*argv, name, *rest], timeout=within)
        used = cpu_s(machine.processes()) - before
        if name != "standing":  # which has one service more by now
            machine.run([*argv, "whole", *rest], timeout=within)
    figures: dict[str, float] = json.loads(done.stdout)
    return figures | {"cpu_s": round(used, 2)}


def cpu_s(pids: Sequence[int]) -> float:
    """What a machine has used of the host's processors: seconds, also of its dead processes.

    Others' load does not change it much, and a machine's own clock does not know it.
    """
    ticks = 0
    for pid in pids:
        with suppress(OSError):  # it has just ended, and its parent has counted it
            words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            ticks += sum(map(int, words[11:15]))
    return ticks / os.sysconf("SC_CLK_TCK")


def write_files(folder: Path, services: int) -> None:
    """What all peers read; `changed`: the last destination has another weight."""
    changed = (services - 1, CHANGED)
    (folder / "director.toml").write_text(director_file(services))
    (folder / "director-changed.toml").write_text(director_file(services, changed))
    checked = director_file(services, checked={services - 1})
    (folder / "director-checked.toml").write_text(checked)
    (folder / "keepalived.conf").write_text(keepalived_file(services))
    (folder / "keepalived-changed.conf").write_text(keepalived_file(services, changed))
    (folder / "ipvsadm").write_text(ipvsadm_file(services))


def main(words: Sequence[str] | None = None) -> int:
    """For the command line."""
    parser = argparse.ArgumentParser(prog="bench.table", description=__doc__)
    scales = ",".join(map(str, SCALES))
    parser.add_argument("--services", default=scales, help="one or more; default %(default)s")
    parser.add_argument("--engine", default="uml", choices=("uml", "qemu"))
    args = parser.parse_args(words)
    began = time.monotonic()
    try:
        found = run([int(one) for one in args.services.split(",")], args.engine)
    except DirectorError as error:
        for fault in error.faults:
            print(f"director: {fault}\n  mend: {fault.mend}", file=sys.stderr)
        return int(error.status)
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    wrong = [row for row in found if row.missed]
    for row in wrong:
        print(f"missed: {row}")
    print(f"{time.monotonic() - began:.0f} s in all; {len(wrong)} musts missed")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
