"""Real servers that `director real-server` set up: DR on a dummy, and TUN through ipip."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from director.drill.clients import Requests
from director.drill.host import run_folder
from director.drill.pair import CONFIG, CONFIG_PATH, Pair
from director.drill.places import Place, eventually
from director.drill.servers import start_servers
from director.drill.spec import pair_spec
from director.drill.topology import Lab

pytestmark = pytest.mark.drill

FAR_VIP = "192.0.2.11"
FAR = """
[services.far]
virtual = "192.0.2.11:80"
forwarding = "tun"
real_servers = ["far1"]
check = { kind = "tcp" }
"""
DIRECTOR = (sys.executable, "-m", "director")
SERVERS = ("web1", "web2", "web3", "far1")


def tunnel_config() -> str:
    """The drills' file with a second VIP whose real server is reached through a tunnel."""
    text = CONFIG.read_text()
    text = text.replace('  "192.0.2.10",', '  "192.0.2.10",\n  "192.0.2.11",')
    return text.replace('app1 = "10.0.8.21"', 'app1 = "10.0.8.21"\nfar1 = "10.0.8.41"') + FAR


def real_server(place: Place, action: str, *words: str, check: bool = True) -> tuple[int, str]:
    """`director real-server` in a place, whose /etc is a folder of its own."""
    name = ["--root", f"/run/{place.name}", *words]
    done = place.run([*DIRECTOR, "real-server", action, *name], check=check)
    return done.status, done.stdout + done.stderr


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    """A field with a kernel of its own, which has dummies and tunnels."""
    with (
        run_folder(Path(".build", "drill")) as folder,
        Lab(pair_spec(needs_tunnel=True), folder) as lab,
    ):
        pair = Pair(lab, tunnel_config())
        pair.start()
        places = [lab[name] for name in (*SERVERS, "app1")]
        start_servers(places)
        for place in places[:-1]:
            place.write(CONFIG_PATH, tunnel_config())
            real_server(place, "install", "--config", CONFIG_PATH, "--name", place.name)
        eventually(pair.settled, 60.0, "both directors settled")
        yield lab


@pytest.mark.parametrize(
    ("vip", "servers"),
    [("192.0.2.10", {"web1", "web2", "web3"}), (FAR_VIP, {"far1"})],
    ids=["dr", "tun"],
)
def test_installed_real_servers_answer(lab: Lab, vip: str, servers: set[str]) -> None:
    """Every one of them serves, and none answers in the directors' place."""
    requests = Requests(lab["client"], vip)
    try:
        requests.wait_for(5)
        since = requests.snapshot()
        requests.wait_for(30, timeout=20.0)
        tally = requests.between(since, requests.snapshot())
    finally:
        requests.stop()

    assert tally.failed == 0
    assert set(tally.servers) == servers


@pytest.mark.parametrize("name", ["web1", "far1"])
def test_verify_names_what_is_missing_and_install_mends_it(lab: Lab, name: str) -> None:
    """A VIP taken away by hand is found, with the command that mends it; exit 1, then 0."""
    place = lab[name]
    assert real_server(place, "verify")[0] == 0

    place.run(["ip", "addr", "flush", "dev", "director0"])
    status, text = real_server(place, "verify", check=False)
    assert status == 1
    assert "192.0.2.1" in text
    assert "mend: director real-server install" in text

    real_server(place, "install", "--kept")
    assert real_server(place, "verify")[0] == 0


def test_remove_takes_every_bit_away(lab: Lab) -> None:
    """After `remove` the VIP, the device, the unit, the input and the sysctls are as before."""
    place = lab["web3"]
    root = f"/run/{place.name}"
    before = place.run(["sysctl", "-n", "net.ipv4.conf.all.arp_ignore"]).stdout

    real_server(place, "remove")
    links = place.run(["ip", "-br", "addr"]).stdout
    files = place.run(["find", root, "-type", "f", "-o", "-type", "l"]).stdout
    after = place.run(["sysctl", "-n", "net.ipv4.conf.all.arp_ignore"]).stdout
    status, text = real_server(place, "verify", check=False)
    real_server(place, "install", "--config", CONFIG_PATH, "--name", place.name)

    assert "director0" not in links
    assert "192.0.2.10" not in links
    assert files == ""
    assert (before.strip(), after.strip()) == ("1", "0")
    assert status == 1
    assert "nothing is installed here" in text
