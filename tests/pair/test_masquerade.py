# netfilter's connections are not synced, IPVS's are. What that costs masqueraded ones is measured
# here, beside the same without, on a distribution's kernel.
"""What outlives a power cut of the active director, with and without masquerading."""

import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from director.drill import faults
from director.drill.clients import HeldConnections
from director.drill.host import run_folder
from director.drill.pair import slow_config
from director.drill.places import Job, Place, eventually
from director.drill.qemu import SLOWER
from director.drill.servers import wait_for_listeners
from director.drill.stage import BUSY_EVERY, VIP, Stage, set_stage

pytestmark = [pytest.mark.drill, pytest.mark.full]

MASKED, PLAIN, PUSHED_MASKED, PUSHED_PLAIN = 7001, 7002, 7003, 7004
PUSHING = 9000
COUNT = 20
MATURE = 5.0
SERVICES = f"""
[services.masked]
virtual = ["{VIP}:{MASKED}"]
forwarding = "nat"
real_servers = ["app1:7000"]
masquerade = "always"
check = {{ kind = "tcp" }}

[services.plain]
virtual = "{VIP}:{PLAIN}"
forwarding = "nat"
real_servers = ["app1:7000"]
check = {{ kind = "tcp" }}

[services.pushed-masked]
virtual = "{VIP}:{PUSHED_MASKED}"
forwarding = "nat"
real_servers = ["app1:{PUSHING}"]
masquerade = "always"
check = {{ kind = "tcp" }}

[services.pushed-plain]
virtual = "{VIP}:{PUSHED_PLAIN}"
forwarding = "nat"
real_servers = ["app1:{PUSHING}"]
check = {{ kind = "tcp" }}
"""
# A server that speaks ten times a second, and a client that only listens and now and then asks
# whether the other is there. The client prints when it heard, and at last why it ended.
PUSH = """
import socket, sys, threading, time
def push(line):
    try:
        while True:
            line.sendall(b".")
            time.sleep(0.1)
    except OSError:
        line.close()
server = socket.create_server(("", int(sys.argv[1])), backlog=64)
while True:
    threading.Thread(target=push, args=server.accept()[:1], daemon=True).start()
"""
LISTEN = """
import socket, sys, time
with socket.create_connection((sys.argv[1], int(sys.argv[2])), 5.0) as line:
    line.settimeout(None)
    line.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    line.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 2)
    line.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 2)
    try:
        while line.recv(4096):
            print(time.monotonic(), flush=True)
        print("closed", flush=True)
    except OSError as error:
        print(error, flush=True)
"""


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    config = slow_config(SLOWER) + SERVICES
    with (
        run_folder(Path(".build", "drill")) as folder,
        set_stage(folder, config, engine="qemu") as stage,
    ):
        app = stage.lab["app1"]
        app.start([sys.executable, "-I", "-S", "-c", PUSH, str(PUSHING)], name="push")
        wait_for_listeners(app, PUSHING)
        serves = lambda: all(  # noqa: E731
            node.weight(f"pushed-{which}", "app1")
            for which in ("masked", "plain")
            for node in stage.pair.nodes.values()
        )
        stage.wait_for("both directors know the server", serves, 60.0)
        yield stage


def listen(place: Place, port: int) -> Job:
    words = [sys.executable, "-I", "-S", "-c", LISTEN, VIP, str(port)]
    return place.start(words, name=f"listen-{port}")


def heard(job: Job) -> list[float]:
    """When it heard something. The field is the host's, and so is its clock."""
    return [float(line) for line in job.text.splitlines() if line.replace(".", "").isdigit()]


def silence(job: Job, since: float) -> float:
    """Seconds from the last word before an instant to the first after it."""
    times = heard(job)
    return min(at for at in times if at > since) - max(at for at in times if at <= since)


def test_a_power_cut_takes_no_connection_masqueraded_or_not(stage: Stage) -> None:
    """
    Those whose client speaks go on with its next packet: netfilter takes up what it has never seen,
    and the port is the same. Those where only the server speaks wait for the client's keepalive.
    """
    groups = {
        port: HeldConnections(stage.client, VIP, port, count=COUNT, every=BUSY_EVERY)
        for port in (MASKED, PLAIN)
    }
    for group in groups.values():
        group.wait_until_open(30.0)
    listeners = {port: listen(stage.client, port) for port in (PUSHED_MASKED, PUSHED_PLAIN)}
    eventually(lambda: all(map(heard, listeners.values())), 30.0, "both servers' first word")
    stage.go_on(MATURE)
    old = stage.active()
    new = stage.other(old)

    began = faults.cut_power(stage.lab.machines[old.name])
    stage.wait_for(f"{new.name} is active", new.is_active, 10.0 * stage.lab.slower)
    kept = {port: group.kept(time.monotonic(), 20.0) for port, group in groups.items()}
    again = lambda: all(heard(one)[-1] > began + 5.0 for one in listeners.values())  # noqa: E731
    stage.wait_for("both servers are heard again", again, 60.0)

    print({port: (one.alive, [lost.why for lost in one.lost]) for port, one in kept.items()})
    print({port: round(silence(one, began + 0.5), 2) for port, one in listeners.items()})
    print(new.place.run(["nft", "list", "table", "ip", "director"]).stdout)
    assert {port: one.alive for port, one in kept.items()} == {MASKED: COUNT, PLAIN: COUNT}
