# Debian's keepalived as a node of a drill's pair. What was chosen to give it its best:
# - `lvs_sync_daemon` without an instance, so that both sync daemons always run. With one they are
#   stopped and started as the VIP moves, under rtnl: that can block its VRRP process (12 of 100
#   runs, UML), and what was established in between is not told.
# - real-time scheduling and locked memory, as this project's own process has them; and more real
#   time at a stretch than its 10 ms: its second burst of announcements takes longer in a test
#   machine, and the kernel then kills its VRRP process.
# - our sysctls, which it leaves alone and without which its connections do not survive.
# - `preempt`, its default: with `nopreempt` a lowered priority moves nothing.
"""keepalived in a test machine."""

import signal
from collections.abc import Sequence

from bench.sides import Node, find_child
from director.config.load import check_text
from director.drill.machines import Machine
from director.drill.places import Job
from director.drill.stage import ECHO_PORT, VIP
from director.model.profile import profile

CONFIG_PATH = "/etc/keepalived/keepalived.conf"
KEEPALIVED = ("keepalived", "-n", "-l", "-f", CONFIG_PATH, "--log-console")
NAMES = {"vrrp": "ka-vrrp", "checks": "ka-checks"}  # as /proc/PID/comm shows them
PRIORITY_BEHIND = 50
GLOBAL = """\
global_defs {{
  router_id {name}
  vrrp_version {version}
  vrrp_rt_priority 20
  vrrp_rlimit_rttime 1000000
  vrrp_no_swap
  vrrp_process_name {vrrp}
  checker_process_name {checks}
  checker_no_swap
  lvs_sync_daemon eth2 id 51
}}
vrrp_instance web {{
  state BACKUP
  interface eth0
  virtual_router_id 51
  priority {priority}
  advert_int {interval:g}
  virtual_ipaddress {{
    {vip}/32 dev eth0
  }}
  virtual_ipaddress_excluded {{
    10.0.8.1/24 dev eth1
  }}
}}
"""
SERVICE = """\
virtual_server {vip} {port} {{
  delay_loop 1
  lb_algo rr
  lb_kind DR
  protocol TCP
{servers}}}
"""
REAL_SERVER = """\
  real_server 10.0.8.{host} {port} {{
    weight 100
    TCP_CHECK {{
      connect_timeout 1
      retry 1
      delay_before_retry 1
    }}
  }}
"""


def config_text(name: str, priority: int, interval: float) -> str:
    """Its file: the VIP and services of pair.toml. v3 below one second, v2 from there up."""
    return services_after(
        GLOBAL.format(
            name=name,
            version=2 if interval >= 1 else 3,
            priority=priority,
            interval=interval,
            vip=VIP,
            **NAMES,
        )
    )


def services_after(text: str) -> str:
    """The services of pair.toml, for a file that has its VRRP already."""
    for port in (80, ECHO_PORT):
        servers = "".join(REAL_SERVER.format(host=host, port=port) for host in (11, 12, 13))
        text += SERVICE.format(vip=VIP, port=port, servers=servers)
    return text


class Keepalived:
    """keepalived in one machine. `director_text` is the director's file: sysctls come from it.

    `text` is its own file, where it is not to be written for `priority` and `interval`.
    """

    roles: tuple[str, ...] = tuple(NAMES)

    def __init__(
        self,
        place: Machine,
        director_text: str,
        priority: int,
        interval: float,
        *,
        text: str = "",
    ) -> None:
        self.place = place
        self._sysctls = profile(check_text(director_text, node=place.name).config)
        self._priority = priority
        self._interval = interval
        self._text = text
        self._job: Job | None = None

    @property
    def job(self) -> Job:
        """Its parent process."""
        assert self._job is not None
        return self._job

    def start(self) -> None:
        """Start it; returns at once."""
        self._start(self._priority)

    def start_behind(self) -> None:
        """With a lower priority: with its own one it takes over before it knows a connection."""
        self._start(PRIORITY_BEHIND)

    def terminate(self) -> None:
        """SIGTERM, as systemd stops it."""
        self.job.signal(signal.SIGTERM)

    def give_away(self) -> None:
        """The documented switch by command: a lower priority, and a reload."""
        self._write(PRIORITY_BEHIND)
        self.job.signal(signal.SIGHUP)

    def win_back(self, peer: Node) -> None:  # noqa: ARG002
        """Its own priority again, and a reload: `preempt` does the rest."""
        self._write(self._priority)
        self.job.signal(signal.SIGHUP)

    def owns(self, words: Sequence[str]) -> bool:
        """Is this the argument vector of a process of ours?"""
        return bool(words) and words[0].rpartition("/")[2] == "keepalived"

    def child(self, role: str) -> int | None:
        """By the name that its file gives it."""
        return find_child(self, "comm", lambda said: said.strip() == NAMES[role])

    def _start(self, priority: int) -> None:
        self.place.set_sysctls(self._sysctls)
        self._write(priority)
        self._job = self.place.start(KEEPALIVED, name="keepalived")

    def _write(self, priority: int) -> None:
        text = self._text or config_text(self.place.name, priority, self._interval)
        self.place.write(CONFIG_PATH, text)
