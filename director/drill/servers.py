# What runs in the real servers: a real nginx, and an echo server for connections that last.
"""Real servers: nginx, echo, and how they hold a VIP."""

import sys
from collections.abc import Sequence
from pathlib import Path

from director.drill.faults import kill
from director.drill.host import need_tools
from director.drill.places import Job, Place, eventually

WEB_PORT = 80
ECHO_PORT = 7000
ECHO = Path(__file__).with_name("echo.py")
LISTEN_WITHIN = 10.0

# One process, so that SIGKILL of it leaves no worker that goes on listening. `sick` is a file:
# while it is there /healthz says 503.
NGINX = """\
daemon off;
master_process off;
user root;
pid {files}/pid;
error_log stderr;
events {{ worker_connections 4096; }}
http {{
    access_log off;
    keepalive_timeout 0;
    client_body_temp_path {files}/body;
    proxy_temp_path {files}/proxy;
    fastcgi_temp_path {files}/fastcgi;
    uwsgi_temp_path {files}/uwsgi;
    scgi_temp_path {files}/scgi;
    default_type text/plain;
    server {{
        listen {port} backlog=1024;
        listen [::]:{port} backlog=1024;
        location = /healthz {{
            if (-f {files}/sick) {{ return 503 "sick\\n"; }}
            return 200 "ok\\n";
        }}
        location / {{ return 200 "{name}\\n"; }}
    }}
}}
"""


class RealServer:
    """nginx on WEB_PORT and the echo server on ECHO_PORT of one place."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.name = place.name
        self._files = place.folder / f"{place.name}-nginx"
        self._files.mkdir(exist_ok=True)
        config = NGINX.format(files=self._files, port=WEB_PORT, name=self.name)
        (self._files / "conf").write_text(config)
        self.web: Job
        self.echo: Job
        self.start()

    def start(self) -> None:
        """Start both; `wait` returns once they listen. Start several, then wait for each."""
        self.start_web()
        self.start_echo()

    def start_web(self) -> None:
        """Start nginx."""
        argv = ["nginx", "-e", "stderr", "-c", str(self._files / "conf")]
        self.web = self.place.start(argv, name="nginx")

    def start_echo(self) -> None:
        """Start the echo server."""
        argv = [sys.executable, "-I", "-S", str(ECHO), str(ECHO_PORT), self.name]
        self.echo = self.place.start(argv, name="echo")

    def wait(self) -> None:
        """Until both listen. Raises DrillError."""
        wait_for_listeners(self.place, WEB_PORT, ECHO_PORT)

    def stop_listener(self) -> float:
        """Kill nginx: the port refuses from now on. `start_web` puts it right."""
        return kill(self.web)

    def set_sick(self) -> None:
        """/healthz says 503; everything else goes on."""
        self.place.write(self._files / "sick", "")

    def set_well(self) -> None:
        """Undo `set_sick`."""
        self.place.run(["rm", str(self._files / "sick")])


def start_servers(places: Sequence[Place]) -> dict[str, RealServer]:
    """A real server in each place, all of them listening."""
    need_tools({"nginx": "nginx-light"})
    servers = {place.name: RealServer(place) for place in places}
    for server in servers.values():
        server.wait()
    return servers


def hold_vip(place: Place, *vips: str) -> None:
    """Make a DR real server accept what comes for the VIPs, without answering ARP for them."""
    place.set_sysctls({"net.ipv4.conf.all.arp_ignore": "1", "net.ipv4.conf.all.arp_announce": "2"})
    place.ip([f"addr add {vip}{_host_bits(vip)} dev lo" for vip in vips])


def end_tunnel(place: Place, *vips: str) -> None:
    """Make a TUN real server unpack ipip and accept what comes for the VIPs.

    Needs a field of its own kernel (`LabSpec.needs_tunnel`).
    """
    place.ip(["link set tunl0 up", *(f"addr add {vip}{_host_bits(vip)} dev tunl0" for vip in vips)])
    place.set_sysctls({"net.ipv4.conf.tunl0.rp_filter": "0", "net.ipv4.conf.all.arp_ignore": "1"})


def wait_for_listeners(place: Place, *ports: int, timeout: float = LISTEN_WITHIN) -> None:
    """Until somebody listens on these TCP ports there. Raises DrillError."""

    def listening() -> bool:
        text = place.run(["cat", "/proc/net/tcp", "/proc/net/tcp6"], check=False).stdout
        # Of proc(5) net/tcp: number, local address, remote address, state; 0A is TCP_LISTEN.
        rows = [line.split()[:4] for line in text.splitlines()]
        found = {row[1].rpartition(":")[2] for row in rows if row[3:] == ["0A"]}
        return all(f"{port:04X}" in found for port in ports)

    eventually(listening, timeout, f"{place.name} listens on {ports}")


def _host_bits(address: str) -> str:
    return "/128" if ":" in address else "/32"
