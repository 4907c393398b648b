# User-Mode Linux has neither ip nor inet in its nftables: this is a distribution's kernel. One
# director without VRRP: its addresses are put there by hand.
"""What the director's nftables do to a service's packets."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from director.drill.host import run_folder
from director.drill.pair import Node
from director.drill.places import Place, eventually
from director.drill.servers import start_servers
from director.drill.spec import LabSpec, Member
from director.drill.topology import Lab

pytestmark = [pytest.mark.drill, pytest.mark.full]

VIP, GATEWAY = "192.0.2.10", "10.0.8.1"
SETTLED_WITHIN = 60.0


def member(name: str, *addresses: str, network: str = "servers") -> Member:
    via = GATEWAY if network == "servers" else "192.0.2.2"
    return Member(name=name, addresses={network: addresses}, routes=(f"default via {via}",))


SPEC = LabSpec(
    networks=("front", "servers"),
    directors=(
        Member(name="lb1", addresses={"front": ("192.0.2.2/24",), "servers": ("10.0.8.2/24",)}),
    ),
    field=(
        member("client", "192.0.2.100/24", network="front"),
        member("other", "192.0.2.101/24", network="front"),
        member("app1", "10.0.8.21/24"),
        member("app2", "10.0.8.22/24"),
    ),
)
CONFIG = """\
format = 1

[interfaces]
front = "eth0"
servers = "eth1"

[nodes.lb1]
addresses = { front = "192.0.2.2", servers = "10.0.8.2" }

[kernel]
resync = "500ms"

[real_servers]
app1 = "10.0.8.21"
app2 = "10.0.8.22"

[defaults]
forwarding = "nat"
scheduler = "rr"

[services.open]
held = "elsewhere"
virtual = "192.0.2.10:80"
real_servers = ["app1:80", "app2:80"]

[services.closed]
held = "elsewhere"
virtual = "192.0.2.10:81"
real_servers = ["app1:80", "app2:80"]
allow = ["192.0.2.100", "10.0.8.0/24"]

[services.marked]
fwmark = 20
family = "ipv4"
real_servers = ["app1:80", "app2:80"]
check = { kind = "tcp", port = 80 }
allow = "192.0.2.101"
"""
# Marked by the machine's own firewall, as an administrator would.
MARKING = """
table ip marking {
  chain marking {
    type filter hook prerouting priority -150;
    ip daddr 192.0.2.10 tcp dport 82 meta mark set 20
  }
}
"""
# Says what became of a request: the answer's body, "timed out", "reset" or "refused".
ASK = """
import socket, sys
host, port, within = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
try:
    with socket.create_connection((host, port), within) as line:
        line.sendall(b"GET / HTTP/1.0\\r\\n\\r\\n")
        print(b"".join(iter(lambda: line.recv(4096), b"")).split()[-1].decode())
except TimeoutError:
    print("timed out")
except ConnectionResetError:
    print("reset")
except ConnectionRefusedError:
    print("refused")
"""


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with run_folder(Path(".build", "drill")) as folder, Lab(SPEC, folder, engine="qemu") as lab:
        place = lab["lb1"]
        place.ip([f"addr add {VIP}/32 dev eth0", f"addr add {GATEWAY}/24 dev eth1"])
        load(place, MARKING)
        start_servers([lab["app1"], lab["app2"]])
        yield lab


@pytest.fixture(scope="module")
def node(lab: Lab) -> Iterator[Node]:
    """The director at work, with every real server in its table."""
    node = Node(lab.machines["lb1"], CONFIG)
    node.start()
    eventually(lambda: serves(node), SETTLED_WITHIN, "a table with all real servers")
    yield node
    print(node.up.text[-3000:])


def serves(node: Node) -> bool:
    state = node.state()
    return state is not None and all(
        one.weight.kernel for service in state.services for one in service.destinations
    )


def load(place: Place, rules: str) -> None:
    """Have nft do this in a place."""
    path = place.folder / f"{place.name}.nft"
    path.write_text(rules)
    place.run(["nft", "-f", str(path)], timeout=60)


def ask(place: Place, port: int, within: float = 1.5) -> str:
    """What a client there hears from the VIP."""
    words = [sys.executable, "-I", "-S", "-c", ASK, VIP, str(port), str(within)]
    return place.run(words).stdout.strip()


def test_who_is_allowed_is_served_and_nobody_else(lab: Lab, node: Node) -> None:
    """By address and port, and by mark; who is not hears nothing, and no other service minds."""
    served = {"app1", "app2"}
    for port, client, other in ((80, True, True), (81, True, False), (82, False, True)):
        assert (ask(lab["client"], port) in served) == client, port
        assert (ask(lab["other"], port) in served) == other, port

    assert ask(lab["other"], 81) == "timed out"
    table = lab["lb1"].run(["nft", "list", "table", "ip", "director"]).stdout
    assert table.count("counter packets") == 2
    assert "counter packets 0" not in table
    state = node.state()
    assert state is not None
    assert {one.health for row in state.services for one in row.destinations} == {"up"}
