"""`python -m director.drill.one CMD…`: boot one test machine, run a command in it, end with its status."""

import shutil
import sys
import tempfile
from pathlib import Path

from director.drill.machines import Machine, Spec
from director.errors import DirectorError


def run_in_machine(argv: list[str], *, within: float = 600.0) -> int:
    """The command's exit status; its output goes to ours."""
    build = Path.cwd() / ".build"
    build.mkdir(exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="one-", dir=build))
    machine = Machine(Spec(name="one"), folder)
    try:
        machine.boot()
        machine.wait()
        done = machine.place.run(argv, within=within, check=False)
        sys.stdout.write(done.stdout)
        sys.stderr.write(done.stderr)
        return done.status
    finally:
        machine.cut_power()
        shutil.rmtree(folder)


if __name__ == "__main__":
    try:
        sys.exit(run_in_machine(sys.argv[1:]))
    except DirectorError as error:
        sys.exit(str(error))
