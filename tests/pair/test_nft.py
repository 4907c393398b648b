# User-Mode Linux has neither ip nor inet in its nftables: this is a distribution's kernel. One
# director without VRRP: its addresses are put there by hand.
"""What the director's nftables do to a service's packets."""

import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from director.drill.host import run_folder
from director.drill.pair import Node
from director.drill.places import Place, eventually
from director.drill.servers import wait_for_listeners
from director.drill.spec import LabSpec, Member
from director.drill.topology import Lab

pytestmark = [pytest.mark.drill, pytest.mark.full]

VIP, NAMED, GATEWAY = "192.0.2.10", "192.0.2.11", "10.0.8.1"
SETTLED_WITHIN = 240.0  # an emulated machine on a busy host starts a Python in a minute


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
real_servers = ["app1:8000", "app2:8000"]

[services.closed]
held = "elsewhere"
virtual = "192.0.2.10:81"
real_servers = ["app1:8000", "app2:8000"]
allow = ["192.0.2.100", "10.0.8.0/24"]

[services.hairpin]
held = "elsewhere"
virtual = "192.0.2.10:83"
real_servers = ["app1:8000", "app2:8000"]
masquerade = "hairpin"

[services.always]
held = "elsewhere"
virtual = "192.0.2.10:84"
real_servers = ["app1:8000", "app2:8000"]
masquerade = "always"

[services.named]
held = "elsewhere"
virtual = "192.0.2.10:85"
real_servers = ["app1:8000", "app2:8000"]
masquerade = ["192.0.2.101"]
masquerade_as = "192.0.2.11"

[services.marked]
fwmark = 20
family = "ipv4"
real_servers = ["app1:8000", "app2:8000"]
check = { kind = "tcp", port = 8000 }
allow = "192.0.2.101"
"""
QUIET = f"""\
{CONFIG[: CONFIG.index("[services")]}
[services.dns]
held = "elsewhere"
virtual = "192.0.2.10:53"
protocol = "udp"
real_servers = ["app1"]
check = {{ kind = "tcp", port = 8000 }}
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
# A server that says who it is, and whom it sees.
WHO = """
import socket, sys
server = socket.create_server(("", int(sys.argv[2])), backlog=64)
while True:
    line, peer = server.accept()
    line.sendall(f"{sys.argv[1]} {peer[0]} {peer[1]}".encode())
    line.close()
"""
# Says what it heard, and from which port it asked; or "timed out", "reset" or "refused".
ASK = """
import socket, sys
host, port, within = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
try:
    with socket.create_connection((host, port), within) as line:
        print(b"".join(iter(lambda: line.recv(4096), b"")).decode(), line.getsockname()[1])
except TimeoutError:
    print("timed out")
except ConnectionResetError:
    print("reset")
except ConnectionRefusedError:
    print("refused")
"""
# As the engine does it for whoever finds the table lost.
SHIELD = """
from director.kernel.nftables import NfTables
from director.model.address import Family
assert NfTables().open("director", "lost", 60.0, Family.IPV4) == 0
"""
PORT = 8000
CLIENT, OTHER = "192.0.2.100", "192.0.2.101"


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with run_folder(Path(".build", "drill")) as folder, Lab(SPEC, folder, engine="qemu") as lab:
        place = lab["lb1"]
        place.ip(
            [
                f"addr add {VIP}/32 dev eth0",
                f"addr add {NAMED}/32 dev eth0",
                f"addr add {GATEWAY}/24 dev eth1",
            ]
        )
        load(place, MARKING)
        for name in ("app1", "app2"):
            lab[name].start([sys.executable, "-I", "-S", "-c", WHO, name, str(PORT)], name="who")
        for name in ("app1", "app2"):
            wait_for_listeners(lab[name], PORT)
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
    """What a client there hears from the VIP: who answers, whom that saw, and the port it used."""
    words = [sys.executable, "-I", "-S", "-c", ASK, VIP, str(port), str(within)]
    return place.run(words).stdout.strip()


def sees(place: Place, port: int) -> str:
    """Whom a real server sees when somebody there asks; with the port kept, or a fault."""
    _, seen, theirs, ours = ask(place, port).split()
    assert theirs == ours
    return seen


def test_who_is_allowed_is_served_and_nobody_else(lab: Lab, node: Node) -> None:
    """By address and port, and by mark; who is not hears nothing, and no other service minds."""
    for port, client, other in ((80, True, True), (81, True, False), (82, False, True)):
        assert ask(lab["client"], port).startswith("app") == client, port
        assert ask(lab["other"], port).startswith("app") == other, port

    assert ask(lab["other"], 81) == "timed out"
    table = lab["lb1"].run(["nft", "list", "table", "ip", "director"]).stdout
    chain = table[table.index("chain allow") :].partition("}")[0]
    assert chain.count("counter packets") == 2
    assert "counter packets 0" not in chain
    state = node.state()
    assert state is not None
    assert {one.health for row in state.services for one in row.destinations} == {"up"}


def test_a_real_server_may_be_a_client_of_its_own_service(lab: Lab, node: Node) -> None:
    """Hairpin: whoever of the two is asked answers the director. Without, nobody is understood."""
    heard = [ask(lab["app1"], 83).split() for _ in range(4)]

    assert {(who, seen) for who, seen, *_ in heard} == {("app1", VIP), ("app2", VIP)}
    assert sees(lab["client"], 83) == CLIENT
    assert {ask(lab["app1"], 80) for _ in range(2)} == {"timed out"}
    assert node.state() is not None


@pytest.mark.usefixtures("node")
def test_clients_are_seen_as_an_address_that_moves(lab: Lab) -> None:
    """All of them as the VIP; those of one network as a named address; with their own ports."""
    seen = {port: [sees(lab[who], port) for who in ("client", "other")] for port in (80, 84, 85)}

    assert seen == {80: [CLIENT, OTHER], 84: [VIP, VIP], 85: [CLIENT, NAMED]}
    assert lab["lb1"].read("/proc/sys/net/ipv4/vs/conntrack").strip() == "1"


def test_a_lost_table_resets_nobody_while_the_shield_is_up(lab: Lab, node: Node) -> None:
    """
    Nobody repairs the table here, so each step takes its time: without the shield a client is
    refused; with it what it sends is dropped, and sent again until the table stands.
    """
    place, saved = lab["lb1"], lab["lb1"].folder / "saved"
    node.stop(signal.SIGTERM)
    node.up.wait()
    saved.write_text(place.run(["ipvsadm", "-Sn"]).stdout)
    place.run(["ipvsadm", "-C"])
    refused = lambda: ask(lab["client"], 80) == "refused"  # noqa: E731
    eventually(refused, 10.0, "the end of the shield of the engine's start")

    place.run([sys.executable, "-c", SHIELD])
    words = [sys.executable, "-I", "-S", "-c", ASK, VIP, "80", "60"]
    client = lab["client"].start(words, name="patient")
    eventually(lambda: dropped(place) > 0, 10.0, "a packet that fell through")
    place.run(["sh", "-c", f"ipvsadm -R < {saved}"])
    client.wait(60.0)

    assert client.text.startswith("app")
    node.start()
    eventually(lambda: serves(node), SETTLED_WITHIN, "a table with all real servers")


def dropped(place: Place) -> int:
    """Packets that the engine's shield has dropped."""
    shown = place.run(["nft", "list", "chain", "ip", "director", "unknown"]).stdout.split()
    rule = shown[shown.index("@lost") :]
    return int(rule[rule.index("packets") + 1])


def test_the_table_is_left_alone_and_goes_when_nobody_wants_it(lab: Lab, node: Node) -> None:
    """A restart with the same file changes no handle; a file without TCP has no table."""
    place = lab["lb1"]
    before = place.run(["nft", "-a", "list", "tables"]).stdout

    again = restarted(node, CONFIG)
    same = place.run(["nft", "-a", "list", "tables"]).stdout
    eventually(lambda: serves(again), SETTLED_WITHIN, "a table with all real servers")
    last = restarted(again, QUIET)
    gone = lambda: "director" not in place.run(["nft", "list", "tables"]).stdout  # noqa: E731
    eventually(gone, SETTLED_WITHIN, "the end of our table")
    last.stop(signal.SIGTERM)

    assert "table ip director" in before
    assert same == before


def restarted(node: Node, config: str) -> Node:
    """Another director in its place, that has been heard of."""
    node.stop(signal.SIGTERM)
    node.up.wait()
    new = Node(node.place, config)
    new.start()
    eventually(lambda: new.state() is not None, SETTLED_WITHIN, "its state")
    return new
