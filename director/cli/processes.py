"""`director engine` and `director vrrp`: one process each."""

import argparse
import os
import socket

from director.errors import Exit, NoRight
from director.log import start_logging


def engine(args: argparse.Namespace) -> int:
    """Own the file and the IPVS table until SIGTERM."""
    from director.cli.check import load_config
    from director.engine.process import run

    start_logging()
    config = load_config(args.config, args.node)
    run(config, args.runtime, args.state)
    return Exit.DONE


def vrrp(args: argparse.Namespace) -> int:
    """Own the VIPs until SIGTERM."""
    from director.vrrp.process import run

    start_logging()
    run(args.runtime)
    return Exit.DONE


def host_name() -> str:
    """What this machine calls itself; the file's nodes are looked up by it."""
    return socket.gethostname()


def need_root(what: str) -> None:
    """Raises NoRight unless we are root."""
    if os.geteuid() != 0:
        raise NoRight(f"{what} needs root", mend="run it with sudo")
