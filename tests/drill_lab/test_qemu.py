"""QEMU with a distribution's kernel: what User-Mode Linux cannot show."""

import lzma
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from director.drill import debian, faults, qemu
from director.drill.debian import unpacked
from director.drill.engines import MachineSpec
from director.drill.host import run_folder
from director.drill.machines import Clock, Machine
from director.drill.places import DrillError, eventually
from director.drill.spec import LabSpec, Member
from director.drill.topology import Lab
from director.errors import SystemLacks

SPEC = LabSpec(
    networks=("front",),
    directors=(Member(name="lb1", addresses={"front": ("192.0.2.2/24",)}),),
    field=(Member(name="client", addresses={"front": ("192.0.2.100/24",)}),),
)
# Packets for a VIP are copied to another director, after every other rule. Neither nft nor the kernel
# has `dup` for the inet family (nft_dup_ipv4.c, nft_dup_ipv6.c: one family each), so it is a table
# for each; a table of the inet family has the rest.
COPIES = """
table ip director {
  chain copies {
    type filter hook input priority 101;
    ip daddr 192.0.2.10 udp dport 4000 dup to 192.0.2.100 device eth0
  }
}
table ip6 director {
  chain copies {
    type filter hook input priority 101;
    ip6 daddr 2001:db8::10 udp dport 4000 dup to 2001:db8::100 device eth0
  }
}
table inet director {
  chain fence {
    type filter hook input priority 101;
    ip daddr 192.0.2.11 counter drop
    ip6 daddr 2001:db8::11 counter drop
  }
}
"""
STAND_STILL = 1.0


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with run_folder() as folder, Lab(SPEC, folder, engine="qemu") as lab:
        yield lab


@pytest.fixture
def machine(lab: Lab) -> Machine:
    return lab.machines["lb1"]


def pings(lab: Lab) -> bool:
    argv = ["ping", "-c", "1", "-W", "0.3", "192.0.2.2"]
    return lab["client"].run(argv, check=False).status == 0


@pytest.mark.drill
@pytest.mark.full
def test_nftables_copies_packets_of_both_families(machine: Machine) -> None:
    """`dup to` in an input hook is taken, and so are tables of the families ip, ip6 and inet."""
    rules = machine.folder / "copies.nft"
    rules.write_text(COPIES)

    machine.run(["nft", "-f", str(rules)], timeout=60)
    shown = machine.run(["nft", "list", "ruleset"], timeout=60).stdout
    machine.run(["nft", "flush", "ruleset"])

    assert shown.count("priority 101") == 3
    assert 'dup to 192.0.2.100 device "eth0"' in shown
    assert 'dup to 2001:db8::100 device "eth0"' in shown


@pytest.mark.drill
@pytest.mark.full
def test_the_kernel_balances(machine: Machine) -> None:
    """A distribution's IPVS takes services and every scheduler of the other engine."""
    machine.run(["ipvsadm", "-A", "-t", "192.0.2.10:80", "-s", "mh"])
    machine.run(["ipvsadm", "-a", "-t", "192.0.2.10:80", "-r", "10.0.8.11", "-g"])

    table = machine.read("/proc/net/ip_vs")

    assert "C000020A:0050 mh" in table
    assert "0A00080B:0050" in table
    machine.run(["ipvsadm", "-C"])


@pytest.mark.drill
@pytest.mark.full
def test_a_wire_without_carrier_is_seen_to_be_down(lab: Lab, machine: Machine) -> None:
    """A cable that is pulled out shows inside, unlike a silent cut; put back, it works again."""
    assert pings(lab)

    faults.unplug(lab, "lb1", "front")
    eventually(lambda: "NO-CARRIER" in flags(machine), 5.0, "loss of carrier")
    assert not pings(lab)
    faults.plug_in(lab, "lb1", "front")

    eventually(lambda: "LOWER_UP" in flags(machine), 5.0, "carrier")
    eventually(lambda: pings(lab), 5.0, "an answer")


def flags(machine: Machine) -> str:
    return machine.run(["ip", "link", "show", "dev", "eth0"]).stdout


@pytest.mark.drill
@pytest.mark.full
@pytest.mark.parametrize(("clock", "jumps"), [("goes on", True), ("stands still", False)])
def test_a_pause_is_seen_inside_or_is_not(machine: Machine, clock: Clock, jumps: bool) -> None:
    """Stopped from outside its clock jumps; stopped by its monitor it has lost that time."""
    before = machine.clock_offset()

    began = faults.pause(machine, clock)
    eventually(lambda: time.monotonic() > began + STAND_STILL, 5.0, "the end of a pause")
    faults.resume(machine)

    lost = machine.clock_offset() - before
    assert (lost < STAND_STILL / 4) == jumps
    assert (lost > STAND_STILL * 3 / 4) != jumps


@pytest.mark.drill
@pytest.mark.full
def test_a_machine_boots_in_seconds(record_property: object) -> None:
    """Emulated, in less than half a minute on a busy host."""
    with run_folder() as folder, Machine(MachineSpec(name="one", engine="qemu"), folder) as one:
        began = time.monotonic()
        one.boot()
        one.wait()
        within = time.monotonic() - began

    print(f"{within:.1f} s")
    assert within < 30


@pytest.mark.drill
def test_user_mode_linux_says_what_it_cannot_show() -> None:
    """A fault that an engine does not have is refused with the one that has it."""
    with run_folder() as folder, Machine(MachineSpec(name="one"), folder) as machine:
        machine.boot()
        with pytest.raises(DrillError, match="one: uml cannot stop the clock") as caught:
            faults.pause(machine, "stands still")

    assert caught.value.faults[0].mend == 'use one with engine "qemu"'


def test_without_qemu_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """A missing QEMU names its Debian package."""
    monkeypatch.setattr(qemu, "QEMU", "no-such-qemu")
    monkeypatch.setattr("os.geteuid", lambda: 0)

    with pytest.raises(SystemLacks) as caught:
        qemu.need_qemu()

    assert caught.value.faults[0].mend == "apt-get install qemu-system-x86"


def test_a_kernel_that_cannot_be_had_says_why(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A package that apt does not know leaves nothing in the cache, and its mend."""
    monkeypatch.setattr(debian, "CACHE", tmp_path)
    monkeypatch.setattr(debian, "PACKAGE", "linux-image-of-nobody")

    with pytest.raises(SystemLacks) as caught:
        debian.find_kernel()

    assert "apt-get update" in caught.value.faults[0].mend
    assert list(tmp_path.iterdir()) == []


def test_a_packed_kernel_is_unpacked_once() -> None:
    """The ELF kernel of an xz-packed image, whatever stands around it; another image as it is."""
    elf = b"\x7fELF and so on" * 100

    assert unpacked(b"MZ boot sector" + lzma.compress(elf) + b"setup data") == elf
    assert unpacked(b"MZ packed otherwise") == b"MZ packed otherwise"
