"""Where things lie: runtime sockets, snapshots, state (docs/contract.md, section 4)."""

from pathlib import Path

CONFIG = Path("/etc/director/director.toml")
RUNTIME = Path("/run/director")
STATE = Path("/var/lib/director")

WORKERS_SOCKET = "workers.sock"
VIEW_SOCKET = "view.sock"
CONTROL_SOCKET = "control.sock"
SNAPSHOT = "vrrp.json"
STATE_FILE = "state.json"
