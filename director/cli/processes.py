"""`director engine` and `director vrrp`: one process each."""

import argparse
import os
from pathlib import Path

from director.errors import Exit, NoRight
from director.log import start_logging

CAP_NET_ADMIN = 12  # include/uapi/linux/capability.h


def engine(args: argparse.Namespace) -> int:
    """Own the file and the IPVS table until SIGTERM."""
    from director.cli.check import load_config, need_director
    from director.engine.process import run

    start_logging()
    need_net_admin("engine")
    config = load_config(args.config, args.node)
    need_director(config)
    run(config, args.runtime, args.state)
    return Exit.DONE


def vrrp(args: argparse.Namespace) -> int:
    """Own the VIPs until SIGTERM."""
    from director.vrrp.process import run

    start_logging()
    need_net_admin("vrrp")
    run(args.runtime)
    return Exit.DONE


def need_net_admin(what: str) -> None:
    """Raises NoRight unless we may change the network: root, or CAP_NET_ADMIN as units give it."""
    status = Path("/proc/self/status").read_text()
    effective = next(line for line in status.splitlines() if line.startswith("CapEff:"))
    if not int(effective.split()[1], 16) >> CAP_NET_ADMIN & 1:
        raise NoRight(f"director {what} needs CAP_NET_ADMIN", mend="run it as root")


def need_root(what: str) -> None:
    """Raises NoRight unless we are root."""
    if os.geteuid() != 0:
        raise NoRight(f"{what} needs root", mend="run it with sudo")
