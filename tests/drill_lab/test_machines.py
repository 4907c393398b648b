"""Test machines: boot, command, pause, power cut, and that nothing of them survives the run."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from director.drill import uml
from director.drill.engines import EngineName, MachineSpec
from director.drill.host import HostNamespace, run_folder, tree
from director.drill.machines import Machine, sysctl_path
from director.drill.places import DrillError, Job, eventually
from director.errors import SystemLacks

COUNTS = "import time\nfor n in range(10**6): print(n, flush=True); time.sleep(0.01)"

UNIT = "[Service]\nType=oneshot\nExecStart=/usr/bin/touch /run/mark\n"

# A run with a machine, wires and a host namespace; says which processes it is made of, and waits.
RUN = """
import json, os, sys
from pathlib import Path
from director.drill.host import run_folder, tree
from director.drill.spec import LabSpec, Member
from director.drill.topology import Lab
spec = LabSpec(
    networks=("front",),
    directors=(Member(name="lb1", addresses={"front": ("192.0.2.2/24",)}),),
    field=(Member(name="client", addresses={"front": ("192.0.2.100/24",)}),),
)
with run_folder(Path(sys.argv[1])) as folder, Lab(spec, folder, field="host", engine=sys.argv[2]) as lab:
    lab["client"].start(["sleep", "60"])
    print(json.dumps(tree(os.getpid())[1:]), flush=True)
    lab["lb1"].run(["sleep", "60"], timeout=60)
"""


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with run_folder() as folder:
        yield folder


@pytest.fixture(scope="module", params=["uml", pytest.param("qemu", marks=pytest.mark.full)])
def solo(folder: Path, request: pytest.FixtureRequest) -> Iterator[Machine]:
    with Machine(MachineSpec(name="solo", engine=request.param), folder) as machine:
        yield machine


@pytest.fixture
def machine(solo: Machine) -> Machine:
    """One for all tests, since a boot takes longer than most of them."""
    if not solo.alive:
        solo.boot()
        solo.wait()
    return solo


def counted(job: Job) -> int:
    return job.text.count("\n")


def gone(pid: int) -> bool:
    """Dead; a zombie that nobody has buried yet is dead, too."""
    try:
        return ") Z " in Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return True


@pytest.mark.drill
def test_a_command_inside_gives_its_status_and_both_outputs(machine: Machine) -> None:
    """Output, error output and status of a command come out apart."""
    done = machine.run(["sh", "-c", "hostname; echo oops >&2; exit 3"], check=False)

    assert (done.status, done.stdout, done.stderr) == (3, "solo\n", "oops\n")


@pytest.mark.drill
def test_a_failed_command_is_an_error_that_shows_what_it_said(machine: Machine) -> None:
    """A failure names the machine, the command, the status and the error output."""
    with pytest.raises(DrillError, match=r"solo: ls /nosuch ended with 2: .*No such file"):
        machine.run(["ls", "/nosuch"])


@pytest.mark.drill
def test_a_command_that_is_not_there_is_an_error(machine: Machine) -> None:
    """What cannot be started is an error at once, and the line goes on."""
    with pytest.raises(DrillError, match="No such file or directory: 'nosuch'"):
        machine.run(["nosuch"])

    assert machine.run(["true"]).status == 0


@pytest.mark.drill
def test_a_command_that_takes_too_long_is_ended(machine: Machine) -> None:
    """The deadline of `run` kills what is still running."""
    with pytest.raises(DrillError, match=r"has not ended within 0\.1 s"):
        machine.run(["sleep", "54321"], timeout=0.1)

    eventually(
        lambda: machine.run(["pgrep", "-f", "sleep 54321"], check=False).status == 1,
        5.0,
        "the end of sleep",
    )


@pytest.mark.drill
def test_large_words_and_large_output_do_not_wedge_the_line(machine: Machine) -> None:
    """An order and an output far beyond the serial line's 4 KiB arrive whole."""
    machine.write("/etc/drill/large", "x" * 300_000)

    assert machine.read("/etc/drill/large") == "x" * 300_000
    assert machine.run(["cat", "/etc/drill/large"]).stdout == "x" * 300_000
    assert machine.run(["echo", "y" * 50_000]).stdout == "y" * 50_000 + "\n"


@pytest.mark.drill
def test_what_is_written_inside_stays_inside(machine: Machine) -> None:
    """The host's tree is the lower layer of an overlay in memory."""
    machine.write("/etc/drill/mark", "inside")

    assert machine.read("/etc/drill/mark") == "inside"
    assert not Path("/etc/drill").exists()


@pytest.mark.drill
def test_the_kernel_has_what_a_director_needs(machine: Machine) -> None:
    """IPVS, every scheduler, dummy, veth and tunnel devices are there."""
    have = set(machine.run(["ls", "/sys/module"]).stdout.split())

    assert {"ip_vs", "ip_vs_rr", "ip_vs_wlc", "ip_vs_mh", "nf_conntrack"} <= have
    machine.ip(["link add d0 type dummy", "link add v0 type veth peer name v1", "netns add n0"])
    machine.ip(["link delete d0", "link delete v0", "netns delete n0"])


@pytest.mark.drill
def test_a_job_can_be_followed_signalled_and_waited_for(machine: Machine) -> None:
    """A job's log grows while it runs; a signal's number comes back as a negative status."""
    job = machine.start([sys.executable, "-I", "-S", "-c", COUNTS], name="counter")
    eventually(lambda: counted(job) > 3, 10.0, "some lines")

    assert job.poll() is None
    assert job.stop() == -signal.SIGTERM
    assert job.poll() == -signal.SIGTERM
    job.signal(signal.SIGTERM)  # no fault: it has ended


@pytest.mark.drill
def test_a_paused_machine_stands_still_and_goes_on(machine: Machine) -> None:
    """Nothing inside makes progress while the machine is paused, busy or not, and all of it after."""
    busy = machine.start([sys.executable, "-I", "-S", "-c", "while True: pass"], name="busy")
    job = machine.start([sys.executable, "-I", "-S", "-c", COUNTS], name="counter")
    eventually(lambda: counted(job) > 3, 10.0, "some lines")

    machine.pause()
    before = counted(job)
    with pytest.raises(DrillError):
        eventually(lambda: counted(job) > before, 0.3, "a line from a paused machine")
    machine.resume()

    eventually(lambda: counted(job) > before + 3, 10.0, "more lines")
    for one in (busy, job):
        one.stop()


@pytest.mark.drill
def test_a_power_cut_leaves_nothing_and_the_machine_returns(machine: Machine) -> None:
    """No host process is left, jobs count as killed, orders are refused; then it boots again."""
    machine.write("/etc/drill-mark", "")
    job = machine.start(["sleep", "60"])
    pids = machine.processes()
    assert len(pids) > 2

    machine.cut_power()

    assert [pid for pid in pids if not gone(pid)] == []
    assert not machine.alive
    assert (job.poll(), job.wait()) == (-signal.SIGKILL, -signal.SIGKILL)
    with pytest.raises(DrillError, match="solo has no power"):
        machine.run(["true"])

    machine.boot()
    machine.wait()

    assert machine.run(["hostname"]).stdout == "solo\n"
    assert machine.run(["ls", "/etc/drill-mark"], check=False).status == 2
    machine.shut_down()
    assert not machine.alive


@pytest.mark.drill
def test_a_kernel_that_dies_by_itself_is_noticed(machine: Machine) -> None:
    """Its job counts as killed, the error shows the console, and it can be booted again."""
    job = machine.start(["sleep", "60"])

    with pytest.raises(DrillError, match=r"(?s)solo has lost power.*sysrq triggered crash"):
        machine.write("/proc/sysrq-trigger", "c", mode=0)

    assert job.poll() == -signal.SIGKILL
    eventually(lambda: not machine.alive, 5.0, "the end of the kernel")
    machine.cut_power()  # no fault, and nobody else's process


@pytest.mark.drill
@pytest.mark.parametrize("engine", ["uml", pytest.param("qemu", marks=pytest.mark.full)])
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_nothing_survives_the_run(folder: Path, number: signal.Signals, engine: EngineName) -> None:
    """However a run ends, its machines, wires and namespaces end; if it can, it tidies its folder."""
    base = folder / f"{number.name}-{engine}"[3:]
    with subprocess.Popen(
        [sys.executable, "-c", RUN, str(base), engine],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as run:
        assert run.stdout is not None
        pids = json.loads(run.stdout.readline())
        assert len(pids) > 5

        os.kill(run.pid, number)
        run.communicate(timeout=10)

    eventually(lambda: all(map(gone, pids)), 5.0, "the end of all processes")
    assert bool(list(base.iterdir())) == (number == signal.SIGKILL)
    assert run.returncode in {-number, 128 + number}
    with run_folder(base) as next_one:
        assert list(base.iterdir()) == [next_one]


def test_a_run_leaves_the_folders_of_the_living_alone(folder: Path) -> None:
    """Two runs side by side have a folder each, and each takes only its own away."""
    base = folder / "side"

    with run_folder(base) as one:
        with run_folder(base) as other:
            assert sorted(base.iterdir()) == sorted([one, other])
        assert list(base.iterdir()) == [one]
    assert list(base.iterdir()) == []


@pytest.mark.drill
@pytest.mark.full
@pytest.mark.parametrize("engine", ["uml", "qemu"])
def test_a_unit_runs_under_a_real_systemd(folder: Path, engine: EngineName) -> None:
    """Process 1 is systemd, nothing of the host's own services runs, and a unit is started."""
    with Machine(MachineSpec(name=f"{engine}1", engine=engine, init="systemd"), folder) as machine:
        machine.boot()
        machine.wait()
        machine.write("/run/systemd/system/mark.service", UNIT)

        machine.run(["systemctl", "start", "mark"], timeout=30)

        assert machine.run(["hostname"]).stdout == f"{engine}1\n"
        assert machine.read("/proc/1/comm") == "systemd\n"
        assert machine.read("/run/mark") == ""
        assert machine.run(["pgrep", "-c", "nginx|sshd|cron"], check=False).stdout == "0\n"


@pytest.mark.drill
def test_a_command_line_for_one_command() -> None:
    """`python -m director.drill.one` copies the output and ends with the command's status."""
    argv = [sys.executable, "-m", "director.drill.one", "--", "sh", "-c", "uname -r; pwd; exit 5"]

    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=60)

    assert done.returncode == 5
    release, work = done.stdout.splitlines()
    assert release != os.uname().release
    assert work == str(Path.cwd())


@pytest.mark.drill
def test_a_host_namespace_has_its_own_network_and_no_right_to_the_hosts_files(folder: Path) -> None:
    """Its only device is its own loopback; it writes in the run's folder alone."""
    with HostNamespace("alone", folder) as place:
        holder = place.pid

        assert place.run(["ip", "-br", "link"]).stdout.split()[0::9] == ["lo"]
        place.write(folder / "alone" / "note", "ours")
        assert place.read(folder / "alone" / "note") == "ours"
        with pytest.raises(DrillError, match="is the host's"):
            place.write("/etc/drill-mark", "")
        job = place.start(["sleep", "60"])

    assert gone(holder)
    assert job.poll() == -signal.SIGKILL


def test_without_a_kernel_the_error_says_what_to_install(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A missing User-Mode Linux names its Debian package."""
    monkeypatch.setattr(uml, "KERNELS", ("no-such-kernel",))
    monkeypatch.setattr("os.geteuid", lambda: 0)

    with pytest.raises(SystemLacks) as caught:
        Machine(MachineSpec(name="none"), folder).boot()

    assert caught.value.faults[0].mend == "apt-get install user-mode-linux"


def test_a_folder_too_deep_for_sockets_is_refused(folder: Path) -> None:
    """The limit of 108 bytes of a socket's path shows before any machine boots."""
    with (
        pytest.raises(SystemLacks, match="too long for the sockets"),
        run_folder(folder / ("x" * 60)),
    ):
        pass


def test_sysctl_names_become_paths() -> None:
    """Dots separate, and a slash stands for a dot in a device's name."""
    assert sysctl_path("net.ipv4.conf.eth0/100.rp_filter") == "net/ipv4/conf/eth0.100/rp_filter"


def test_a_tree_of_processes_starts_with_its_root() -> None:
    """A process without children is a tree, too; so is one that has gone."""
    assert tree(os.getpid())[0] == os.getpid()
    assert tree(2**30) == [2**30]
