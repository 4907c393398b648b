"""The units that we ship, under a real systemd, in a machine that has nothing else."""

import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from director.drill.host import run_folder
from director.drill.machines import Machine
from director.drill.pair import CONFIG, CONFIG_PATH
from director.drill.places import eventually
from director.drill.spec import pair_spec
from director.drill.stage import VIP
from director.drill.topology import Lab

pytestmark = [pytest.mark.drill, pytest.mark.full]

UNITS = Path(__file__).parents[2] / "systemd"
SERVICES = ("director-engine", "director-vrrp", "director-checks@1", "director-exec")
WITHIN = 30.0


@pytest.fixture(scope="module")
def machine() -> Iterator[Machine]:
    """One director of the pair, whose peer and real servers are not there; units installed."""
    spec = msgspec.structs.replace(pair_spec(), directors=pair_spec().directors[:1], field=())
    with run_folder() as folder, Lab(spec, folder, init="systemd") as lab:
        machine = lab.machines["lb1"]
        machine.run(["ln", "-s", str(Path(sys.executable).parents[1]), "/opt/director"])
        # The interpreter may be in somebody's home, where nobody has a way but him; and this kernel
        # has no user namespaces, without which systemd does not start what asks for one (217).
        homes = [str(path) for path in Path(sys.executable).resolve().parents]
        machine.run(["chmod", "a+x", *homes])
        for service in SERVICES:
            drop_in = f"/etc/systemd/system/{service}.service.d"
            machine.run(["mkdir", "-p", drop_in])
            machine.write(f"{drop_in}/here.conf", "[Service]\nProtectHome=no\nPrivateUsers=no\n")
        machine.write(CONFIG_PATH, CONFIG.read_text())
        machine.run(["systemd-sysusers", str(UNITS / "sysusers.conf")])
        units = [str(path) for path in UNITS.iterdir() if path.suffix in (".service", ".target")]
        machine.run(["cp", *units, "/etc/systemd/system/"])
        machine.run(["systemctl", "daemon-reload"])
        machine.run(["systemctl", "start", "director.target"], timeout=WITHIN)
        yield machine


def shown(machine: Machine, service: str, what: str) -> str:
    return machine.run(
        ["systemctl", "show", "--value", f"--property={what}", service]
    ).stdout.strip()


def active(machine: Machine) -> bool:
    return all(shown(machine, service, "ActiveState") == "active" for service in SERVICES)


def holds(machine: Machine) -> bool:
    return VIP in machine.run(["ip", "-br", "addr"]).stdout


def test_the_target_starts_a_director(machine: Machine) -> None:
    """Every service is up as its type asks (READY=1), the table is filled and the VIP held."""
    eventually(lambda: active(machine), WITHIN, "every service")
    eventually(lambda: holds(machine), WITHIN, "the VIP")

    assert "C000020A:0050" in machine.read("/proc/net/ip_vs")


@pytest.mark.parametrize("service", SERVICES)
def test_a_killed_service_is_started_again(machine: Machine, service: str) -> None:
    """SIGKILL: another process, and the others are left alone."""
    eventually(lambda: active(machine), WITHIN, "every service")
    before = {one: shown(machine, one, "MainPID") for one in SERVICES}

    machine.run(["systemctl", "kill", "--signal=KILL", service])
    eventually(
        lambda: active(machine) and shown(machine, service, "MainPID") != before[service],
        WITHIN,
        "another process",
    )

    after = {one: shown(machine, one, "MainPID") for one in SERVICES}
    assert {one for one in SERVICES if after[one] != before[one]} == {service}


def test_a_reload_takes_a_right_file_and_refuses_a_wrong_one(machine: Machine) -> None:
    """`systemctl reload` fails with the mend in what systemctl status shows; the engine goes on."""
    eventually(lambda: active(machine), WITHIN, "every service")
    pid = shown(machine, "director-engine", "MainPID")
    text = CONFIG.read_text()
    reload = ["systemctl", "reload", "director-engine"]

    machine.write(CONFIG_PATH, text.replace("vrid = 51", "vrid = 0"))
    refused = machine.run(reload, check=False, timeout=WITHIN)
    status = machine.run(["systemctl", "status", "--lines=20", "director-engine"]).stdout
    machine.write(CONFIG_PATH, text.replace('"192.0.2.10:8080"', '"192.0.2.10:8081"'))
    machine.run(reload, timeout=WITHIN)

    assert refused.status != 0
    assert "vrrp.web.vrid" in status
    assert shown(machine, "director-engine", "MainPID") == pid
    assert shown(machine, "director-engine", "ActiveState") == "active"
    assert "C000020A:1F91" in machine.read("/proc/net/ip_vs")


def test_a_stopped_target_releases_the_vip(machine: Machine) -> None:
    """`systemctl stop director.target` ends all of it; the table stays for whoever comes next."""
    eventually(lambda: active(machine), WITHIN, "every service")
    eventually(lambda: holds(machine), WITHIN, "the VIP")

    machine.run(["systemctl", "stop", "director.target"], timeout=WITHIN)

    # systemctl waits for the target alone.
    eventually(
        lambda: {shown(machine, one, "ActiveState") for one in SERVICES} == {"inactive"},
        WITHIN,
        "the end of every service",
    )
    eventually(lambda: not holds(machine), WITHIN, "the end of the VIP")
    assert "C000020A:0050" in machine.read("/proc/net/ip_vs")
