"""Marks that the director sets, as a real nft and a distribution's IPVS take them."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from director.config.load import check_text
from director.drill.host import HostNamespace, run_folder
from director.drill.machines import Machine
from director.drill.pair import CONFIG_PATH, DIRECTOR
from director.drill.places import Place, eventually
from director.drill.spec import LabSpec, Member
from director.drill.topology import Lab
from director.policy.firewall import ruleset
from director.policy.nftset import FAMILIES

CONFIG = """
format = 1
[interfaces]
front = "eth0"
[nodes.lb1]
addresses = { front = "192.0.2.2" }
[nodes.lb2]
addresses = { front = "192.0.2.3" }
[kernel]
sysctls = "report"
[defaults]
forwarding = "nat"
[services.ftp]
fwmark = 20
family = "ipv4"
held = "elsewhere"
checks = "none"
match = [
  { address = "192.0.2.12", ports = ["21", "30000-31000"] },
  { address = "192.0.2.12-192.0.2.13", protocol = "udp", ports = ["53"] },
]
real_servers = ["198.51.100.21"]
[services.far]
fwmark = 21
family = "ipv4"
held = "elsewhere"
checks = "none"
match = { address = "192.0.2.14", protocol = "udp", ports = [53] }
real_servers = ["192.0.2.21"]
[services.wide]
virtual = "192.0.2.12:40000-40100"
held = "elsewhere"
checks = "none"
real_servers = ["198.51.100.21"]
[services.six]
fwmark = 20
family = "ipv6"
held = "elsewhere"
checks = "none"
match = { address = "2001:db8:9::/64", ports = "80-90" }
real_servers = ["2001:db8:8::21"]
"""
SPEC = LabSpec(
    networks=("front",),
    directors=(
        Member(name="lb1", addresses={"front": ("192.0.2.2/24", "192.0.2.12/24", "192.0.2.13/24")}),
    ),
    field=(
        Member(name="client", addresses={"front": ("192.0.2.100/24",)}),
        Member(name="web1", addresses={"front": ("192.0.2.21/24",)}),
    ),
)
# A real server says where it was asked. One is at a loopback address of the director itself.
SERVER = """
import select, socket, sys
address, socks = sys.argv[1], []
for port in (21, 30500, 31001, 40050):
    one = socket.create_server((address, port))
    socks.append(one)
udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
udp.bind((address, 53))
print("ready", flush=True)
while True:
    for one in select.select([*socks, udp], [], [])[0]:
        if one is udp:
            data, who = udp.recvfrom(100)
            udp.sendto(b"udp 53", who)
        else:
            conn, _ = one.accept()
            conn.sendall(b"tcp %d" % conn.getsockname()[1])
            conn.close()
"""
ASK = """
import socket, sys
kind, host, port = sys.argv[1], sys.argv[2], int(sys.argv[3])
how = socket.SOCK_STREAM if kind == "tcp" else socket.SOCK_DGRAM
with socket.socket(socket.AF_INET, how) as one:
    one.settimeout(8)
    try:
        one.connect((host, port))
        one.send(b"?")
        print(one.recv(100).decode())
    except OSError as error:
        print(type(error).__name__)
"""
ASKED = {
    "a port": (("tcp", "192.0.2.12", 21), "tcp 21"),
    "one of a range": (("tcp", "192.0.2.12", 30500), "tcp 30500"),
    "beyond the range": (("tcp", "192.0.2.12", 31001), "ConnectionRefusedError"),
    "one of a wide range": (("tcp", "192.0.2.12", 40050), "tcp 40050"),
    "another protocol": (("udp", "192.0.2.13", 53), "udp 53"),
    "that protocol alone": (("tcp", "192.0.2.13", 21), "ConnectionRefusedError"),
}


@pytest.mark.drill
def test_nft_takes_the_ruleset_and_shows_each_element() -> None:
    """Of both families, loaded twice: the second replaces the first."""
    config = check_text(CONFIG, node="lb1").config
    with run_folder() as folder, HostNamespace("nft", folder) as place:
        for _ in range(2):
            for number, family in enumerate(FAMILIES):
                rules = folder / f"{number}.nft"
                rules.write_text(ruleset(config, family))
                place.run(["nft", "-f", str(rules)])
        shown = place.run(["nft", "list", "ruleset"]).stdout

    assert shown.count("type filter hook prerouting priority mangle; policy accept;") == 2
    assert shown.count("type filter hook output priority mangle; policy accept;") == 2
    for element in (
        "192.0.2.12 . tcp . 21 : 0x00000014",
        "192.0.2.12 . tcp . 30000-31000 : 0x00000014",
        "192.0.2.12/31 . udp . 53 : 0x00000014",
        "192.0.2.14 . udp . 53 : 0x00000015",
        "2001:db8:9::/64 . tcp . 80-90 : 0x00000014",
    ):
        assert shown.count(element) == 1


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with run_folder(Path(".build", "drill")) as folder, Lab(SPEC, folder, engine="qemu") as lab:
        machine = lab.machines["lb1"]
        machine.run(["ip", "address", "add", "198.51.100.21/32", "dev", "lo"])
        serve(machine, "198.51.100.21")
        serve(lab["web1"], "192.0.2.21")
        machine.write(CONFIG_PATH, CONFIG)
        machine.start([*DIRECTOR, "engine", "--node", "lb1"], name="engine")
        eventually(lambda: stands(machine), 60.0, "table and marks")
        yield lab


def serve(place: Place, address: str) -> None:
    server = place.start([sys.executable, "-c", SERVER, address], name="server")
    eventually(lambda: "ready" in server.text, 30.0, "the real server")


def stands(machine: Machine) -> bool:
    shown = machine.run(["nft", "list", "table", "ip", "director"], check=False, timeout=60)
    return "mark_output" in shown.stdout and "FWM  00000014" in machine.read("/proc/net/ip_vs")


def ask(place: Place, kind: str, host: str, port: int) -> str:
    return place.run([sys.executable, "-c", ASK, kind, host, str(port)], timeout=60).stdout.strip()


@pytest.mark.drill
@pytest.mark.full
@pytest.mark.parametrize("who", ["client", "lb1"])
@pytest.mark.parametrize(("asked", "want"), ASKED.values(), ids=ASKED)
def test_what_matches_is_balanced(
    lab: Lab, who: str, asked: tuple[str, str, int], want: str
) -> None:
    """Of a client on the wire, and of one on the director itself; the rest is not."""
    assert ask(lab[who], *asked) == want


@pytest.mark.drill
@pytest.mark.full
def test_a_client_on_a_director_that_does_not_hold_the_address_is_balanced(lab: Lab) -> None:
    """As with a service of an address: what leaves is balanced before it does."""
    assert ask(lab["lb1"], "udp", "192.0.2.14", 53) == "udp 53"
