# What goes wrong in a drill, and how it is put right again.
#
# Each fault returns the instant (our CLOCK_MONOTONIC) at which it was certain to have happened:
# what a client saw is counted from there.
"""Power cuts, stopped time, cut cables, dead and hung processes."""

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager

from director.drill.engines import Wire
from director.drill.machines import Clock, Machine
from director.drill.places import Job
from director.drill.topology import Lab


def cut_power(machine: Machine) -> float:
    """It is dead at once: nobody says good-bye, and taps keep their place on the wires."""
    machine.cut_power()
    return time.monotonic()


def boot_again(machine: Machine) -> float:
    """It returns with its name, MACs and addresses, and else as empty as a machine comes up."""
    machine.boot()
    machine.wait()
    return time.monotonic()


def pause(machine: Machine, clock: Clock = "goes on") -> float:
    """Nothing in it runs, as when a virtual machine's host is busy.

    Its clock may stand still, too, as when it is migrated (QEMU alone).
    """
    machine.pause(clock)
    return time.monotonic()


def resume(machine: Machine) -> float:
    """It goes on, and finds that its clock has jumped, if that went on."""
    machine.resume()
    return time.monotonic()


def unplug(machine: Machine, network: str) -> float:
    """Pull out a director's cable: its card loses its carrier (QEMU alone)."""
    machine.set_carrier(_wire(machine, network), on=False)
    return time.monotonic()


def plug_in(machine: Machine, network: str) -> float:
    """Undo `unplug`."""
    machine.set_carrier(_wire(machine, network), on=True)
    return time.monotonic()


def silence(lab: Lab, member: str, network: str) -> float:
    """Cut a cable without loss of carrier: nothing gets through, neither way."""
    port = lab.port(member, network)
    port.place.run(["ip", "link", "set", port.name, "nomaster"])
    return time.monotonic()


def reconnect(lab: Lab, member: str, network: str) -> float:
    """Undo `silence`."""
    port = lab.port(member, network)
    port.place.run(["ip", "link", "set", port.name, "master", port.bridge])
    return time.monotonic()


@contextmanager
def silenced(lab: Lab, member: str, *networks: str) -> Iterator[float]:
    """Cables that are cut for a while."""
    for network in networks:
        silence(lab, member, network)
    try:
        yield time.monotonic()
    finally:
        for network in networks:
            reconnect(lab, member, network)


def kill(job: Job) -> float:
    """SIGKILL to a process and all of its group; returns once it has ended."""
    job.signal(signal.SIGKILL, group=True)
    job.wait()
    return time.monotonic()


def hang(job: Job) -> float:
    """SIGSTOP to a process and its group: the kernel still accepts connections for it."""
    job.signal(signal.SIGSTOP, group=True)
    return time.monotonic()


def unhang(job: Job) -> float:
    """Undo `hang`."""
    job.signal(signal.SIGCONT, group=True)
    return time.monotonic()


def _wire(machine: Machine, network: str) -> Wire:
    return next(one for one in machine.spec.wires if one.tap == f"{machine.name}-{network}")
