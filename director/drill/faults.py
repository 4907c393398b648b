# What goes wrong in a drill, and how it is put right again.
#
# Each fault returns the instant (our CLOCK_MONOTONIC) at which it was certain to have happened:
# what a client saw is counted from there.
"""Power cuts, stopped time, cut cables, dead and hung processes."""

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager

from director.drill.machines import Clock, Machine
from director.drill.places import DrillError, Job, Place
from director.drill.topology import Lab

# What a bridge does not pass on, from port to port. nft takes it again and again.
ONE_WAY = """
table bridge drill {
  set one_way { type ifname . ifname; }
  chain passing {
    type filter hook forward priority 0;
  }
}
flush chain bridge drill passing
add rule bridge drill passing iifname . oifname @one_way drop
"""


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


def unplug(lab: Lab, member: str, network: str) -> float:
    """Pull out a cable: the card loses its carrier. Raises DrillError for a UML machine's."""
    _set_carrier(lab, member, network, on=False)
    return time.monotonic()


def plug_in(lab: Lab, member: str, network: str) -> float:
    """Undo `unplug`."""
    _set_carrier(lab, member, network, on=True)
    return time.monotonic()


def _set_carrier(lab: Lab, member: str, network: str, *, on: bool) -> None:
    port = lab.port(member, network)
    if (machine := lab.machines.get(member)) is not None:
        wire = next(one for one in machine.spec.wires if one.tap == port.name)
        machine.set_carrier(wire, on=on)
    else:  # the other end of a veth pair
        port.place.run(["ip", "link", "set", port.name, "up" if on else "down"])


def deafen(lab: Lab, hearer: str, speaker: str, network: str) -> float:
    """From now on one director does not hear another, which goes on hearing it."""
    _cut(lab, "add", hearer, speaker, network)
    return time.monotonic()


def undeafen(lab: Lab, hearer: str, speaker: str, network: str) -> float:
    """Undo `deafen`."""
    _cut(lab, "delete", hearer, speaker, network)
    return time.monotonic()


def _cut(lab: Lab, verb: str, hearer: str, speaker: str, network: str) -> None:
    come, go = lab.port(speaker, network), lab.port(hearer, network)
    if come.place is not go.place:
        raise DrillError(f"{hearer} and {speaker} are on bridges of their own", "cut elsewhere")
    come.place.run(["nft", ONE_WAY])
    cut = f"{{ {come.name} . {go.name} }}"
    come.place.run(["nft", f"{verb} element bridge drill one_way {cut}"])


@contextmanager
def degraded(place: Place, device: str, *netem: str) -> Iterator[float]:
    """Delay, lose or reorder what leaves a device for a while, in the words of tc-netem(8).

    It takes a kernel with sch_netem: a director's, or the field's where that is a machine.
    Raises DrillError.
    """
    place.run(["tc", "qdisc", "replace", "dev", device, "root", "netem", *netem])
    try:
        yield time.monotonic()
    finally:
        place.run(["tc", "qdisc", "delete", "dev", device, "root"])


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
