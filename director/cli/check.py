"""`director check`: is the file good?"""

import argparse
import gc
import json
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from director.config.load import Loaded, read
from director.errors import ConfigError, DirectorError, Exit, Fault
from director.kernel.addresses import Addresses, networks
from director.model.config import Config


def check(args: argparse.Namespace) -> int:
    """0: it is. 78: it is not, and every fault is named."""
    with undisturbed():
        if args.parsed:
            return _tell(args)
        loaded = read_config(args.file or args.config, args.node)
    config = loaded.config
    if args.json:
        known = {"node": config.node, "digest": config.digest, "keepalived": loaded.keepalived}
        warnings = [str(one) for one in loaded.warnings]
        print(json.dumps({"faults": [], "warnings": warnings, **known}))
        return Exit.DONE
    services, routers = len(config.services), len(config.routers)
    print(f"good: node {config.node}, {services} services, {routers} virtual routers")
    for node, text in loaded.keepalived.items():
        print(
            f"\n# keepalived.conf of {node} must say, beside its virtual servers:\n{text}", end=""
        )
    return Exit.DONE


@contextmanager
def undisturbed() -> Iterator[None]:
    """Without garbage collection: a big file makes a million objects and hardly any garbage."""
    before = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if before:
            gc.enable()


def _tell(args: argparse.Namespace) -> int:
    """To the engine that started us, what the file holds: frames on stdout (wire/parsed)."""
    from director.wire.parsed import encode_parsed, encode_refused

    out = sys.stdout.buffer
    try:
        config = load_config(args.config, args.node)
        need_director(config)
    except DirectorError as error:
        out.write(encode_refused(error))
        return error.status
    out.writelines(encode_parsed(config))
    return Exit.DONE


def load_config(path: Path, node: str | None) -> Config:
    """The file as this node sees it. Raises ConfigError with all faults.

    What networks an interface has may change while a machine boots, so a VIP that fits none is here
    a lack of the system (71: try again), and not a fault of the file (78: never try again).
    """
    try:
        return read_config(path, node).config
    except OutsideNetworks as error:
        raise DirectorError(Exit.SYSTEM, *error.faults) from error


def need_director(config: Config) -> None:
    """Raises ConfigError when the file gives this node to somebody else."""
    if config.runs != "director":
        raise ConfigError(
            Fault(
                fault=f"the file says that {config.node} runs {config.runs}",
                mend=f"stop {config.runs} here and take the key out of the file on both nodes",
                key=f"nodes.{config.node}.runs",
                file=config.file,
            )
        )


class OutsideNetworks(ConfigError):
    """A VIP without a length is in no network that its interface has now."""


def read_config(path: Path, node: str | None) -> Loaded:
    """The file and what is suspicious in it, which is also said on stderr.

    Which networks an interface has is asked of this machine, so only where it is the node itself,
    and not where --node says that it plays another.
    """
    loaded = read(path, node=node, host=socket.gethostname())
    if node is None:
        addresses = Addresses()
        there = networks(addresses.all(), addresses.links())
        addresses.close()
        # A device without any address yet says nothing about the file.
        if faults := loaded.check_networks({name: has for name, has in there.items() if has}):
            raise OutsideNetworks(*faults)
    for warning in loaded.warnings:
        print(f"warning: {warning}\n  mend: {warning.mend}", file=sys.stderr)
    return loaded
