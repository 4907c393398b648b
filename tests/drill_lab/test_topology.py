"""The standard pair's network, with the field in the host's kernel and in a machine of its own."""

import signal
import time
from collections.abc import Iterator

import pytest

from director.drill import faults
from director.drill.clients import HeldConnections, Requests
from director.drill.host import run_folder
from director.drill.places import DrillError, eventually
from director.drill.servers import RealServer, end_tunnel, hold_vip, start_servers
from director.drill.spec import pair_spec
from director.drill.topology import Lab, mac_of
from director.drill.witness import Witness

pytestmark = pytest.mark.drill
CLOCKS = 0.05  # between two kernels
WEBS = ("web1", "web2", "web3")
DR_VIP, NAT_VIP, TUN_VIP = "192.0.2.10", "192.0.2.11", "192.0.2.12"


@pytest.fixture(scope="module", params=["host", "machine"])
def lab(request: pytest.FixtureRequest) -> Iterator[Lab]:
    kind = request.param
    spec = pair_spec(needs_tunnel=kind == "machine")
    with run_folder() as folder, Lab(spec, folder) as lab:
        assert lab.field == kind  # `auto` takes the host only where that is enough
        yield lab


@pytest.fixture(scope="module")
def servers(lab: Lab) -> dict[str, RealServer]:
    return start_servers([lab[member.name] for member in lab.spec.field[1:]])


def pings(lab: Lab, place: str, address: str) -> bool:
    argv = ["ping", "-c", "1", "-W", "0.3", address]
    return lab[place].run(argv, check=False).status == 0


def test_places_reach_each_other_over_their_wires(lab: Lab) -> None:
    """Each network connects what is on it, and its devices go by the order of networks."""
    assert pings(lab, "client", "192.0.2.2")
    assert pings(lab, "lb1", "10.0.9.3")
    assert pings(lab, "lb2", "10.0.8.11")
    assert pings(lab, "web1", "192.0.2.100")
    shown = lab["lb1"].run(["ip", "-br", "-4", "addr", "show", "dev", "eth2"]).stdout
    assert "10.0.9.2/24" in shown


def test_a_silent_cut_stops_both_ways_without_loss_of_carrier(lab: Lab) -> None:
    """A machine that was cut off sees its device up and hears nothing; the other wires go on."""
    with faults.silenced(lab, "lb1", "ha"):
        assert not pings(lab, "lb1", "10.0.9.3")
        assert not pings(lab, "lb2", "10.0.9.2")
        assert pings(lab, "lb1", "10.0.8.3")
        flags = lab["lb1"].run(["ip", "link", "show", "dev", "eth2"]).stdout
        assert "LOWER_UP" in flags

    eventually(lambda: pings(lab, "lb1", "10.0.9.3"), 5.0, "the cable's return")


def test_a_one_way_cut_stops_one_way_between_two(lab: Lab) -> None:
    """The deaf one hears all others, and is heard by all."""
    faults.deafen(lab, "lb2", "lb1", "front")
    lab["lb1"].ip(["neigh flush dev eth0"])
    lab["lb2"].ip(["neigh flush dev eth0"])
    assert not pings(lab, "lb1", "192.0.2.3")
    assert pings(lab, "client", "192.0.2.2")
    assert pings(lab, "client", "192.0.2.3")
    sent = received(lab, "lb1")
    assert not pings(lab, "lb2", "192.0.2.2")
    assert received(lab, "lb1") > sent
    faults.undeafen(lab, "lb2", "lb1", "front")

    eventually(lambda: pings(lab, "lb1", "192.0.2.3"), 5.0, "the cable's return")


def received(lab: Lab, name: str) -> int:
    """Frames that came in."""
    return int(lab[name].read("/sys/class/net/eth0/statistics/rx_packets"))


def test_a_degraded_line_delays(lab: Lab) -> None:
    """What leaves the device comes late, until it is over."""
    fine = round_trip(lab)

    with faults.degraded(lab["lb1"], "eth2", "delay", "50ms"):
        assert round_trip(lab) >= 50.0

    assert fine < 50.0
    assert round_trip(lab) < 50.0


def round_trip(lab: Lab) -> float:
    """Milliseconds of the best of three."""
    said = lab["lb1"].run(["ping", "-c", "3", "-i", "0.2", "10.0.9.3"]).stdout
    return float(said.rpartition("= ")[2].split("/")[0])


def test_an_unplugged_member_loses_its_carrier(lab: Lab) -> None:
    """A member of the field sees that its cable is out; a UML machine cannot, and that is said."""

    def link() -> str:
        return lab["web1"].run(["ip", "link", "show", "dev", "eth0"]).stdout

    faults.unplug(lab, "web1", "servers")
    eventually(lambda: "NO-CARRIER" in link(), 5.0, "loss of carrier")
    faults.plug_in(lab, "web1", "servers")
    eventually(lambda: "NO-CARRIER" not in link(), 5.0, "carrier")

    with pytest.raises(DrillError, match="lb1: uml cannot take a card's carrier away"):
        faults.unplug(lab, "lb1", "front")


def test_a_witness_tells_who_answers_and_when(lab: Lab) -> None:
    """Answers come from the holder of an address alone, and end when it is no more."""
    lab["lb1"].ip(["addr add 192.0.2.77/32 dev eth0"])
    witness = Witness(lab["client"], "192.0.2.77")
    ours, theirs = (mac_of(name, lab.spec, 0) for name in ("lb1", "lb2"))

    moved_at = time.monotonic()
    lab["lb1"].ip(["addr del 192.0.2.77/32 dev eth0"])
    gone_at = time.monotonic()
    lab["lb2"].ip(["addr add 192.0.2.77/32 dev eth0"])
    eventually(lambda: bool(witness.heard(theirs, "answer")), 5.0, "an answer of the other")

    assert witness.heard(ours, "answer")
    assert witness.heard(ours, "answer", since=gone_at + CLOCKS) == []
    assert witness.heard(theirs, "answer")[0] >= moved_at
    lab["lb2"].ip(["addr del 192.0.2.77/32 dev eth0"])
    witness.stop()


def test_a_cut_stays_cut_over_a_power_cut(lab: Lab) -> None:
    """A machine that returns is as cut off as before, and else reachable at the same addresses."""
    machine = lab.machines["lb2"]
    faults.silence(lab, "lb2", "ha")

    faults.cut_power(machine)
    assert not pings(lab, "client", "192.0.2.3")
    faults.boot_again(machine)

    # Not at once: the client's ARP asks once a second while it has no answer.
    eventually(lambda: pings(lab, "client", "192.0.2.3"), 5.0, "the machine's return")
    assert not pings(lab, "lb1", "10.0.9.3")
    faults.reconnect(lab, "lb2", "ha")
    eventually(lambda: pings(lab, "lb1", "10.0.9.3"), 5.0, "the cable's return")


def test_a_paused_director_does_not_answer_until_it_goes_on(lab: Lab) -> None:
    """Stopped time shows on the wire."""
    faults.pause(lab.machines["lb1"])
    assert not pings(lab, "client", "192.0.2.2")
    faults.resume(lab.machines["lb1"])

    eventually(lambda: pings(lab, "client", "192.0.2.2"), 5.0, "an answer")


def test_requests_tell_which_server_answers_and_for_how_long_none_did(
    lab: Lab, servers: dict[str, RealServer]
) -> None:
    """A dead listener shows as refused requests and as a gap that ends with its return."""
    load = Requests(lab["client"], "10.0.8.11")
    load.wait_for(30)
    steady = load.snapshot()
    load.wait_for(30)

    dead = servers["web1"].stop_listener()
    eventually(lambda: load.snapshot().waiting > 0.4, 10.0, "a gap")
    servers["web1"].start_web()
    load.wait_for(10)

    calm = load.between(steady, dead - 0.2)
    assert (calm.failed, set(calm.servers)) == (0, {"web1"})
    storm = load.between(dead, load.snapshot())
    assert storm.failures.keys() == {"ECONNREFUSED"}
    assert storm.gap_ms > 300
    assert storm.sent == storm.ok + storm.failed
    load.stop()


def test_held_connections_outlive_a_short_cut_and_not_their_server(
    lab: Lab, servers: dict[str, RealServer]
) -> None:
    """Kept is what echoes after the fault; what is lost has an age, a server and a reason."""
    held = HeldConnections(lab["client"], "10.0.8.12", count=5, every=0.05)
    assert held.wait_until_open() == {"web2": 5}

    with faults.silenced(lab, "web2", "servers") as cut_at:
        assert held.kept(cut_at, timeout=0.5).alive == 0
    assert held.kept(cut_at).alive == 5

    killed_at = faults.kill(servers["web2"].echo)
    kept = held.kept(killed_at)
    assert kept.alive == 0
    assert {(one.server, one.why in {"closed", "ECONNRESET"}) for one in kept.lost} == {
        ("web2", True)
    }
    assert min(one.age for one in kept.lost) > 0.5
    servers["web2"].start_echo()
    servers["web2"].wait()
    held.stop()


def test_a_sick_server_says_so_and_a_hung_one_says_nothing(
    lab: Lab, servers: dict[str, RealServer]
) -> None:
    """Checks can be failed without a loss of service, and by a server that only accepts."""
    servers["web3"].set_sick()
    health = Requests(lab["client"], "10.0.8.13", path="/healthz", timeout=0.3)
    since = health.snapshot()
    eventually(lambda: health.snapshot().failed > 5, 10.0, "failures")
    assert health.between(since, health.snapshot()).failures.keys() == {"HTTP 503"}

    servers["web3"].set_well()
    health.wait_for(5)
    hung_at = faults.hang(servers["web3"].web)
    eventually(lambda: health.snapshot().waiting > 0.6, 10.0, "silence")
    assert "timeout, connected" in health.between(hung_at, health.snapshot()).failures
    faults.unhang(servers["web3"].web)
    health.wait_for(5)
    health.stop()


def test_every_forwarding_method_gets_through(lab: Lab, servers: dict[str, RealServer]) -> None:
    """A director's kernel serves by DR and NAT, and by TUN where the field has a kernel for it."""
    director = lab["lb1"]
    director.set_sysctls({"net.ipv4.ip_forward": "1"})
    rules = [f"-A -t {DR_VIP}:80 -s rr", f"-A -t {NAT_VIP}:80 -s rr"]
    rules += [f"-a -t {DR_VIP}:80 -r 10.0.8.{number} -g" for number in (11, 12, 13)]
    rules += [f"-a -t {NAT_VIP}:80 -r 10.0.8.21 -m"]
    wanted = {DR_VIP: set(WEBS), NAT_VIP: {"app1"}}
    for name in WEBS:
        hold_vip(lab[name], DR_VIP)
    if lab.spec.needs_tunnel:
        end_tunnel(lab["far1"], TUN_VIP)
        rules += [f"-A -t {TUN_VIP}:80 -s rr", f"-a -t {TUN_VIP}:80 -r 10.0.8.41 -i"]
        wanted[TUN_VIP] = {"far1"}
    director.ip([f"addr add {vip}/32 dev eth0" for vip in wanted])
    director.ip(["addr add 10.0.8.1/24 dev eth1"])
    for rule in rules:
        director.run(["ipvsadm", *rule.split()])

    loads = {vip: Requests(lab["client"], vip) for vip in wanted}
    for load in loads.values():
        load.wait_for(20)

    for vip, load in loads.items():
        now = load.snapshot()
        assert set(load.between(now.at - 0.1, now).servers) == wanted[vip]
        load.stop()


def test_a_job_of_a_place_ends_by_signal(lab: Lab) -> None:
    """Jobs of the field are like those of a machine, whatever kernel they run in."""
    job = lab["client"].start(["sleep", "60"])

    assert job.poll() is None
    job.signal(signal.SIGKILL)
    assert job.wait() == -signal.SIGKILL
    with pytest.raises(DrillError, match="client: false ended with 1"):
        lab["client"].run(["false"])
