# The real server's side of DR and TUN: `director real-server install|remove|verify`.
#
# No daemon: `install` sets the kernel, and leaves its input and a oneshot unit under /etc, which
# says `install` again at every boot (with the kept input, so that the file need not be there).
# `remove` takes every bit away and puts back the sysctls that it found.
"""Set up, take down and verify a real server."""

import argparse
import json
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec

from director.cli.check import load_config
from director.cli.processes import need_root
from director.errors import DirectorError, Exit, Fault
from director.kernel import links, sysctl
from director.kernel.addresses import Addresses, Held
from director.model.address import Prefix, family_of
from director.model.ops import SetSysctl
from director.policy.real_server import TUNNEL, Setup, setup_of

UNIT = "director-real-server.service"
UNIT_TEXT = """\
# Written by `director real-server install`; `director real-server remove` takes it away.
[Unit]
Description=Director: VIPs, ARP and tunnel of this real server
Wants=network-pre.target
Before=network-online.target

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart={python} -m director real-server install --kept

[Install]
WantedBy=multi-user.target
"""


class Kept(msgspec.Struct, frozen=True):
    """What lies under /etc: the setup, and the sysctls as they were before us."""

    setup: Setup
    before: dict[str, str]


def real_server(args: argparse.Namespace) -> int:
    """0: done, or as it should be. 1: `verify` found something. 77: not root."""
    if args.action == "verify":
        return _verify(args)
    need_root(f"real-server {args.action}")
    if args.action == "install":
        _install(_kept(args.root).setup if args.kept else _wanted(args), args.root)
    else:
        _remove(args.root)
    return Exit.DONE


def _wanted(args: argparse.Namespace) -> Setup:
    config = load_config(args.config, args.node or _any_node(args.config))
    return setup_of(config, args.name or socket.gethostname())


def _any_node(path: Path) -> str | None:
    """A real server is none of the file's nodes; what it needs is the same seen from each."""
    import tomli

    try:
        nodes = tomli.loads(path.read_text()).get("nodes", {})
    except (OSError, ValueError):
        return None  # `load` says what is wrong, with the line
    return next(iter(nodes), None) if isinstance(nodes, dict) else None


def _input(root: Path) -> Path:
    return root / "etc/director/real-server.json"


def _units(root: Path) -> tuple[Path, Path]:
    folder = root / "etc/systemd/system"
    return folder / UNIT, folder / "multi-user.target.wants" / UNIT


def _kept(root: Path) -> Kept:
    try:
        return msgspec.json.decode(_input(root).read_bytes(), type=Kept)
    except (OSError, msgspec.MsgspecError) as error:
        raise DirectorError(
            Exit.NO,
            Fault(
                fault=f"nothing is installed here: {error}",
                mend="director real-server install --config FILE --name NAME",
                file=str(_input(root)),
            ),
        ) from error


def _install(setup: Setup, root: Path) -> None:
    before = sysctl.read(tuple(setup.sysctls))
    if _input(root).exists():
        before |= _kept(root).before
    # Quiet first: the VIP must never be answered for by ARP, not for a moment.
    if setup.tunnel:
        links.tunnel_up(TUNNEL)
    _set(setup.sysctls)
    links.ensure_dummy(setup.device)
    links.ensure_up(setup.device)
    addresses = Addresses()
    index = addresses.links()[setup.device].index
    addresses.hold([Held(index, prefix) for prefix in _prefixes(setup)], 0)
    kept, (unit, wanted) = _input(root), _units(root)
    for folder in (kept.parent, wanted.parent):
        folder.mkdir(parents=True, exist_ok=True)
    kept.write_bytes(msgspec.json.format(msgspec.json.encode(Kept(setup, before)), indent=1))
    unit.write_text(UNIT_TEXT.format(python=sys.executable))
    wanted.unlink(missing_ok=True)
    wanted.symlink_to(Path("..") / UNIT)
    _tell_systemd()
    print(f"installed: {' '.join(setup.vips)} on {setup.device}")


def _remove(root: Path) -> None:
    kept = _kept(root)
    links.remove_link(kept.setup.device)
    if kept.setup.tunnel:
        links.ensure_down(TUNNEL)
    _set(kept.before)
    for path in (*_units(root), _input(root)):
        path.unlink(missing_ok=True)
    _tell_systemd()
    print(f"removed: {' '.join(kept.setup.vips)}")


def _verify(args: argparse.Namespace) -> int:
    setup = _kept(args.root).setup
    findings = list(_findings(setup, args.root))
    if args.json:
        print(json.dumps([{"fault": fault, "mend": mend} for fault, mend in findings]))
        return Exit.NO if findings else Exit.DONE
    for fault, mend in findings:
        print(f"{fault}\n  mend: {mend}")
    if not findings:
        print(f"good: {' '.join(setup.vips)} on {setup.device}")
    return Exit.NO if findings else Exit.DONE


def _findings(setup: Setup, root: Path) -> Iterator[tuple[str, str]]:
    again = "director real-server install"
    addresses = Addresses()
    there = addresses.links()
    device = there.get(setup.device)
    held = addresses.all()
    for prefix in _prefixes(setup):
        if device is None or Held(device.index, prefix) not in held:
            yield f"the VIP {prefix.address} is not on {setup.device}", again
        others = [one for one in held if one.prefix.address == prefix.address]
        for one in others:
            if device is None or one.index != device.index:
                yield f"the VIP {prefix} is on another interface, too", "ip addr del it there"
    if setup.tunnel and (TUNNEL not in there or not there[TUNNEL].up):
        yield f"{TUNNEL} is not up", again
    values = sysctl.read(tuple(setup.sysctls))
    for name, value in setup.sysctls.items():
        if values.get(name) != value:
            yield f"{name} is {values.get(name, 'missing')} and must be {value}", again
    for unit in _units(root):
        if not unit.exists():
            yield f"{unit} is missing: a reboot would lose the VIPs", again


def _prefixes(setup: Setup) -> list[Prefix]:
    return [Prefix(vip, family_of(vip).bits) for vip in setup.vips]


def _set(values: dict[str, str]) -> None:
    faults = [
        Fault(fault=f"cannot set {name}: {refused.name}", mend=refused.mend, key=name)
        for name, value in values.items()
        for refused in sysctl.write(SetSysctl(name, value))
    ]
    if faults:
        raise DirectorError(Exit.SYSTEM, *faults)


def _tell_systemd() -> None:
    systemctl = shutil.which("systemctl")
    if systemctl and Path("/run/systemd/system").is_dir():
        subprocess.run([systemctl, "daemon-reload"], check=False)
