"""`director engine`, `director vrrp` and `director exec`: one process each."""

import argparse
import os

from director.errors import Exit, NoRight
from director.kernel.capabilities import NET_ADMIN, has
from director.log import start_logging


def engine(args: argparse.Namespace) -> int:
    """Own the file and the IPVS table until SIGTERM."""
    from director.engine.process import run

    start_logging()
    need_net_admin("engine")
    run(args.config, args.node, args.runtime, args.state)
    return Exit.DONE


def vrrp(args: argparse.Namespace) -> int:
    """Own the VIPs until SIGTERM."""
    from director.vrrp.process import run

    start_logging()
    need_net_admin("vrrp")
    run(args.runtime)
    return Exit.DONE


def programs(args: argparse.Namespace) -> int:
    """Run the programs that the engine asks for, until SIGTERM."""
    from director.exec.process import run

    start_logging()
    run(args.runtime)
    return Exit.DONE


def need_net_admin(what: str) -> None:
    """Raises NoRight unless we may change the network: root, or CAP_NET_ADMIN as units give it."""
    if not has(NET_ADMIN):
        raise NoRight(f"director {what} needs CAP_NET_ADMIN", mend="run it as root")


def need_root(what: str) -> None:
    """Raises NoRight unless we are root."""
    if os.geteuid() != 0:
        raise NoRight(f"{what} needs root", mend="run it with sudo")
