"""`director clear`: after it the network namespace is as it was before the director came."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kernel.vrrp_pair import IP, IPVSADM, ip, netns, within

pytestmark = pytest.mark.kernel

VIP = "192.0.2.10"
CONFIG = """
format = 1
[interfaces]
front = "eth0"
servers = "eth1"
[nodes.lb1]
addresses = { front = "192.0.2.2", servers = "10.0.8.2" }
[kernel]
timeouts = { tcp = "10m" }
[sync]
interface = "front"
id = 51
[vrrp.web]
interface = "front"
vrid = 51
interval = "100ms"
addresses = [
  "192.0.2.10/32",
  { address = "10.0.8.1/24", interface = "servers", advertise = false },
]
routes = [{ to = "203.0.113.0/24", via = "192.0.2.1", interface = "front", table = 100 }]
rules = [{ from = "192.0.2.10", table = 100, priority = 1000 }]
[services.web]
virtual = "192.0.2.10:80"
forwarding = "nat"
real_servers = ["10.0.8.77:8080"]
checks = "none"
"""
FOREIGN = "198.51.100.1:25"


class Node:
    """A network namespace, and the director in it."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name = name
        self.folder = folder
        (folder / "director.toml").write_text(CONFIG)
        netns(name)
        for device, address in (("eth0", "192.0.2.2/24"), ("eth1", "10.0.8.2/24")):
            ip("-n", name, "link", "add", device, "type", "dummy")
            ip("-n", name, "link", "set", device, "up")
            ip("-n", name, "addr", "add", address, "dev", device)
        # Nobody's of ours: it has to stay.
        self.inside(IPVSADM, "-A", "-t", FOREIGN)
        self.log = (folder / "log").open("wb")

    def inside(self, *argv: str, check: bool = True) -> str:
        done = subprocess.run(
            [IP, "netns", "exec", self.name, *argv], capture_output=True, text=True, check=check
        )
        return done.stdout

    def director(self, verb: str, *words: str) -> list[str]:
        places = ["--runtime", str(self.folder / "run"), "--state", str(self.folder / "state")]
        file = ["--config", str(self.folder / "director.toml"), "--node", "lb1"]
        argv = [IP, "netns", "exec", self.name, sys.executable, "-m", "director"]
        return [*argv, verb, *file, *places, *words]

    def clear(self, *words: str) -> "subprocess.CompletedProcess[str]":
        argv = self.director("clear", *words)
        return subprocess.run(argv, capture_output=True, text=True, check=False)

    def up(self) -> "subprocess.Popen[bytes]":
        return subprocess.Popen(self.director("up"), stderr=self.log, stdout=self.log)

    def await_active(self) -> None:
        """Its log is read, for a command each millisecond would leave it no time to start."""
        log = self.folder / "log"
        within(90, lambda: "web: backup to active" in log.read_text())

    def stands(self) -> dict[str, str]:
        """All that a director could have changed."""
        looks = {
            "addresses": (IP, "-o", "addr"),
            "links": (IP, "-o", "-br", "link"),
            "rules": (IP, "rule"),
            "routes": (IP, "route", "show", "table", "all", "proto", "112"),
            "table": (IPVSADM, "-S", "-n"),
            "daemons": (IPVSADM, "-L", "--daemon"),
            "timeouts": (IPVSADM, "-L", "--timeout"),
            "ipvs": ("sysctl", "net.ipv4.vs"),
            "eth0": ("sysctl", "net.ipv4.conf.eth0"),
            "all": ("sysctl", "net.ipv4.conf.all"),
            "forward": ("sysctl", "net.ipv4.ip_forward"),
        }
        found = {what: self.inside(*argv) for what, argv in looks.items()}
        # User-Mode Linux has no tables of ip and ip6.
        return found | {"nft": self.inside("nft", "list", "tables", check=False)}


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    made = Node(f"c{time.monotonic_ns() % 100000}", tmp_path)
    yield made
    made.log.close()
    print((tmp_path / "log").read_text())
    ip("netns", "del", made.name)


@pytest.mark.full
def test_nothing_is_left(node: Node) -> None:
    """
    Refused while the director runs and without `--yes`; then VIPs, services, sync daemons, devices,
    routes, rules, time-outs and sysctls are as they were. Said again it finds nothing to do.
    """
    before = node.stands()
    process = node.up()
    try:
        node.await_active()
        refused = node.clear("--yes")
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(20)
    # What a director leaves that was killed, and whose VIPs have no lease.
    ip("-n", node.name, "addr", "replace", f"{VIP}/32", "dev", "eth0")
    left = node.stands()
    asked = node.clear()

    cleared = node.clear("--yes", "--json")

    assert (refused.returncode, asked.returncode) == (75, 64)
    assert "vrrp (pid " in refused.stderr
    assert "systemctl stop director.target" in refused.stderr
    changed = {what for what, there in left.items() if there != before[what]}
    assert changed >= {
        "addresses",
        "links",
        "table",
        "daemons",
        "timeouts",
        "ipvs",
        "eth0",
        "forward",
    }
    assert (cleared.returncode, cleared.stderr) == (0, "")
    assert f"VIP {VIP}" in json.loads(cleared.stdout)["removed"]
    assert node.stands() == before
    tables = {name for name in left["nft"].splitlines() if name.endswith(" director")}
    assert {f"nft {name}" for name in tables} <= set(json.loads(cleared.stdout)["removed"])
    print(f"nft: {left['nft']!r}")
    again = node.clear("--yes", "--json")
    assert (again.returncode, json.loads(again.stdout)) == (0, {"removed": []})


@pytest.mark.full
def test_what_somebody_changed_since_stays(node: Node) -> None:
    """
    A sysctl that is no longer as we set it is somebody's; so is a sync daemon of another id.
    """
    process = node.up()
    try:
        node.await_active()
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(20)
    node.inside("sysctl", "-w", "net.ipv4.vs.conn_reuse_mode=3")
    for role in ("master", "backup"):
        node.inside(IPVSADM, "--stop-daemon", role)
    node.inside(IPVSADM, "--start-daemon", "backup", "--mcast-interface", "eth0", "--syncid", "9")

    cleared = node.clear("--yes")

    assert cleared.returncode == 0, cleared.stderr
    assert node.inside("sysctl", "-n", "net.ipv4.vs.conn_reuse_mode").strip() == "3"
    assert node.inside("sysctl", "-n", "net.ipv4.ip_forward").strip() == "0"
    assert "syncid=9" in node.inside(IPVSADM, "-L", "--daemon")
    assert node.inside(IPVSADM, "-S", "-n").split() == ["-A", "-t", FOREIGN, "-s", "wlc"]
