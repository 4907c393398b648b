"""`director clear` on a distribution's kernel, which has the nftables that User-Mode Linux has not."""

import os
import sys

import pytest

from director.drill.engines import MachineSpec
from director.drill.host import run_folder
from director.drill.machines import Machine
from tests.conftest import INSIDE

ARGV = (sys.executable, "-m", "pytest", "-q", "-rP", "-p", "no:cacheprovider")


@pytest.mark.drill
@pytest.mark.full
def test_no_table_of_nftables_is_left() -> None:
    """What holds in User-Mode Linux holds there as well, with a table that stood before."""
    spec = MachineSpec(name="one", engine="qemu")
    with run_folder() as folder, Machine(spec, folder) as machine:
        machine.boot()
        machine.wait()
        env = {INSIDE: os.devnull}
        argv = [*ARGV, "tests/kernel/test_clear.py", "-k", "nothing_is_left"]
        done = machine.run(argv, timeout=400, check=False, env=env)

    print(done.stdout[-3000:])
    assert done.status == 0
    assert "table ip director" in done.stdout
