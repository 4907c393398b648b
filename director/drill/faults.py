# What goes wrong in a drill, and how it is put right again.
#
# Each fault returns the instant (our CLOCK_MONOTONIC) at which it was certain to have happened:
# what a client saw is counted from there.
"""Power cuts, stopped time, cut cables, dead and hung processes."""

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager

from director.drill.machines import Machine
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


def pause(machine: Machine) -> float:
    """Its time stands still, as a virtual machine's does when its host is busy."""
    machine.pause()
    return time.monotonic()


def resume(machine: Machine) -> float:
    """It goes on, and finds that its clock has jumped."""
    machine.resume()
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
