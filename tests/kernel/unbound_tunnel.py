# ip_vs_tunnel_xmit reads cp->dest->tun_type unasked (ip_vs_xmit.c), and a synced entry may have no
# dest. So this is run in a machine of its own, by tests/drill_lab/test_unbound_tunnel.py.
"""A flow comes to a director that knows it, and has not its destination: what becomes of it."""

import subprocess
import sys
from pathlib import Path

from director.model.address import Family
from director.model.service import Forwarding
from tests.kernel.sync_scene import scene
from tests.kernel.vrrp_pair import Namespace, ip, within

TUNNELS = {Family.IPV4: ("ipip", "tunl0"), Family.IPV6: ("ip6_tunnel", "ip6tnl0")}


def main() -> None:
    """A line for each family and forwarding: `ipv4 tun: lost`."""
    # All of a trace is to be on the console.
    Path("/proc/sys/kernel/printk").write_text("8")
    patience = float(sys.argv[1])
    for family, (module, device) in TUNNELS.items():
        subprocess.run(["modprobe", module], check=True)
        for forwarding in (Forwarding.DR, Forwarding.TUN):
            said = play(family, forwarding, device, patience)
            print(f"{family.name.lower()} {forwarding.value}: {said}", flush=True)


def play(family: Family, forwarding: Forwarding, device: str, patience: float) -> str:
    """`goes on`, `lost` (and still lost once the destination is there), or `lost for a while`."""
    # A namespace that was deleted is not gone at once: no name comes twice.
    with scene(f"{forwarding.value}{family.bits}", family) as wires:
        ip("-n", wires.server, "link", "set", device, "up")
        with Namespace(wires.server):
            for one in ("all", device):
                Path(f"/proc/sys/net/ipv4/conf/{one}/rp_filter").write_text("0")
        active, standby = wires.director("a", "1"), wires.director("b", "2")
        active.serve(forwarding=forwarding)
        standby.serve(forwarding=forwarding, destination=False)
        wires.move(active)
        flow = wires.connect()
        assert flow.say()
        within(patience, lambda: standby.knows(flow.port))
        wires.move(standby, active)
        if flow.arrives():
            return "goes on"
        assert standby.apply(standby.destination(forwarding)) == []
        return "lost for a while" if flow.arrives() else "lost"


if __name__ == "__main__":
    main()
