"""`director probe`: run a real server's checks now, by hand."""

import argparse
import json
import subprocess
import sys

import msgspec

from director.cli.check import load_config
from director.errors import DirectorError, Exit, Fault
from director.model.check import Target
from director.model.config import Config
from director.model.pool import Place
from director.policy.probing import places_of, target_of
from director.wire.messages import Found

PATIENCE = 30.0  # seconds, beyond what the checks' own timeouts come to

Rows = list[tuple[str, Place, Target]]


def probe(args: argparse.Namespace) -> int:
    """0: all pass. 1: one fails, or there is no such server. No engine is asked, or told."""
    rows = rows_of(load_config(args.config, args.node), args.server)
    found = run({target.key: target for _, _, target in rows})
    told = [_shown(row, found[row[2].key]) for row in rows]
    if args.json:
        print(json.dumps(told))
    else:
        print("\n".join(_line(one) for one in told) or "nothing is checked there")
    return Exit.DONE if all(one["ok"] for one in told) else Exit.NO


def rows_of(config: Config, server: str) -> Rows:
    """Each check of each of its places: `SERVICE/NAME`, or `NAME` in all services."""
    service_name, _, name = server.rpartition("/")
    rows: Rows = []
    places = 0
    for service in config.services:
        for place, member in places_of(service):
            if member.name == name and service_name in ("", service.name):
                places += 1
                label = f"{service.name}/{member.name}"
                targets = (target_of(check, place.endpoint) for check in member.checks)
                rows += [(label, place, target) for target in targets]
    if not places:
        known = sorted({member.name for service in config.services for member in service.pool})
        fault = Fault(fault=f"there is no {server!r}", mend=f"one of: {', '.join(known[:20])}")
        raise DirectorError(Exit.NO, fault)
    return rows


def run(targets: dict[str, Target]) -> dict[str, Found]:
    """An attempt at each, in a process of the checks' own. Raises DirectorError when it fails."""
    longest = max((one.check.pace.timeout for one in targets.values()), default=0.0)
    try:
        done = subprocess.run(
            [sys.executable, "-m", "checks.once"],
            input=msgspec.msgpack.encode(list(targets.values())),
            stdout=subprocess.PIPE,
            check=True,
            timeout=PATIENCE + longest * (1 + len(targets) / 64),
        )
        found = msgspec.msgpack.decode(done.stdout, type=list[Found])
    except (OSError, subprocess.SubprocessError, msgspec.MsgspecError) as error:
        fault = Fault(fault=f"the probes failed: {error}", mend="see what it said above")
        raise DirectorError(Exit.BUG, fault) from error
    return {one.key: one for one in found}


def _shown(row: tuple[str, Place, Target], found: Found) -> dict[str, object]:
    label, place, target = row
    return {
        "server": label,
        "virtual": str(place.service),
        "check": target.check.__struct_config__.tag,
        "probed": str(target.endpoint),
        "ok": found.ok,
        "outcome": found.text,
        "seconds": round(found.seconds, 6),
        "share": found.share,
    }


def _line(one: dict[str, object]) -> str:
    word = "ok    " if one["ok"] else "FAILED"
    return (
        f"{word}  {one['server']}  {one['virtual']}  {one['check']} {one['probed']}: "
        f"{one['outcome']}  ({float(str(one['seconds'])) * 1000:.1f} ms)"
    )
