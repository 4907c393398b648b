"""What a synced flow of a tunnel does to a director that lacks its destination, on two kernels."""

import sys
from pathlib import Path

import pytest

from director.drill.engines import EngineName, MachineSpec
from director.drill.host import run_folder
from director.drill.machines import Machine

SCRIPT = (sys.executable, "-m", "tests.kernel.unbound_tunnel")
LAG = 3.5  # seconds: how old the last sync message can be when it leaves
# A kernel that dereferences the missing destination would not live to say the rest.
SAID = ["ipv4 dr: goes on", "ipv4 tun: lost", "ipv6 dr: goes on", "ipv6 tun: lost"]


@pytest.mark.drill
@pytest.mark.full
@pytest.mark.parametrize("engine", ["uml", "qemu"])
def test_an_unbound_entry_of_a_tunnel_loses_its_flow_and_not_the_machine(
    engine: EngineName,
) -> None:
    """
    A synced entry forwards without its destination where that is routed, and drops what would
    have to go through a tunnel, also once the destination is there. No kernel falls over.
    """
    spec = MachineSpec(name="one", engine=engine)
    with run_folder(Path(".build", "drill")) as folder, Machine(spec, folder) as machine:
        machine.boot()
        machine.wait()
        argv = [*SCRIPT, str(2 * LAG * machine.slower)]
        said = machine.run(argv, timeout=120.0 * machine.slower).stdout

        assert machine.alive
        assert said.splitlines() == SAID
