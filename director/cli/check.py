"""`director check`: is the file good?"""

import argparse
import json
import socket
from pathlib import Path

from director.config.load import load
from director.errors import Exit
from director.model.config import Config


def check(args: argparse.Namespace) -> int:
    """0: it is. 78: it is not, and every fault is named."""
    config = load_config(args.file or args.config, args.node)
    if args.json:
        print(json.dumps({"faults": [], "node": config.node, "digest": config.digest}))
    else:
        services, routers = len(config.services), len(config.routers)
        print(f"good: node {config.node}, {services} services, {routers} virtual routers")
    return Exit.DONE


def load_config(path: Path, node: str | None) -> Config:
    """The file as this node sees it. Raises ConfigError with all faults."""
    return load(path, node=node, host=socket.gethostname())
