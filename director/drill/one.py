"""`python -m director.drill.one [--qemu] [--] CMD…`: boot a test machine and run a command in it.

The command runs in the current directory, its output comes out here, and so does its status.
"""

import select
import signal
import sys
from pathlib import Path
from typing import TextIO

from director.drill.engines import EngineName, MachineSpec
from director.drill.host import run_folder
from director.drill.machines import Machine
from director.drill.places import Job
from director.errors import DirectorError

COPY_EVERY = 0.05


def run_in_machine(argv: list[str], out: TextIO, engine: EngineName = "uml") -> int:
    """The command's exit status; both its outputs go to `out` while it runs."""
    spec = MachineSpec(name="one", engine=engine)
    with run_folder() as folder, Machine(spec, folder) as machine:
        machine.boot()
        machine.wait()
        job = machine.start(argv, name=Path(argv[0]).name)
        status = _copy_until_end(job, out)
    # As a shell shows it: a signal is 128 and its number.
    return status if status >= 0 else 128 - status


def _copy_until_end(job: Job, out: TextIO) -> int:
    with job.log.open(errors="replace") as log:
        status = None
        while status is None:
            status = job.poll()
            out.write(log.read())
            out.flush()
            if status is None:
                select.select([], [], [], COPY_EVERY)
        return status


def main() -> int:
    """For the command line."""
    argv = sys.argv[1:]
    engine: EngineName = "uml"
    if argv[:1] == ["--qemu"]:
        engine, argv = "qemu", argv[1:]
    argv = argv[1:] if argv[:1] == ["--"] else argv
    if not argv:
        sys.exit(__doc__)
    try:
        return run_in_machine(argv, sys.stdout, engine)
    except DirectorError as error:
        for fault in error.faults:
            print(f"director: {fault}\n  mend: {fault.mend}", file=sys.stderr)
        return int(error.status)
    except KeyboardInterrupt:
        return 128 + signal.SIGINT


if __name__ == "__main__":
    sys.exit(main())
