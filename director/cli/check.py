"""`director check`: is the file good?"""

import argparse
import json
import socket
import sys
from pathlib import Path

from director.config.load import read
from director.errors import ConfigError, Exit, Fault
from director.kernel.addresses import Addresses, networks
from director.model.config import Config


def check(args: argparse.Namespace) -> int:
    """0: it is. 78: it is not, and every fault is named."""
    config, warnings = read_config(args.file or args.config, args.node)
    if args.json:
        known = {"node": config.node, "digest": config.digest}
        print(json.dumps({"faults": [], "warnings": [str(one) for one in warnings], **known}))
    else:
        services, routers = len(config.services), len(config.routers)
        print(f"good: node {config.node}, {services} services, {routers} virtual routers")
    return Exit.DONE


def load_config(path: Path, node: str | None) -> Config:
    """The file as this node sees it. Raises ConfigError with all faults."""
    config, _ = read_config(path, node)
    return config


def read_config(path: Path, node: str | None) -> tuple[Config, tuple[Fault, ...]]:
    """The file and what is suspicious in it, which is also said on stderr.

    Which networks an interface has is asked of this machine, so only where it is the node itself,
    and not where --node says that it plays another.
    """
    loaded = read(path, node=node, host=socket.gethostname())
    if node is None:
        addresses = Addresses()
        faults = loaded.check_networks(networks(addresses.all(), addresses.links()))
        addresses.close()
        if faults:
            raise ConfigError(*faults)
    for warning in loaded.warnings:
        print(f"warning: {warning}\n  mend: {warning.mend}", file=sys.stderr)
    return loaded.config, tuple(loaded.warnings)
