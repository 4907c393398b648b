# One table of verbs. A verb's module is imported when the verb runs, so that `status` does not pay
# for the drills: start-up is what an operator feels.
"""Parse the command line, run one verb, map what went wrong to an exit status."""

import argparse
import json
import os
import sys
import traceback
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import NoReturn

from director import paths
from director.errors import DirectorError, Exit
from director.units import parse_duration

Run = Callable[[argparse.Namespace], int]


class Parser(argparse.ArgumentParser):
    """argparse with the contract's status for wrong usage."""

    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        print(f"{self.prog}: {message}", file=sys.stderr)
        sys.exit(Exit.USAGE)


def main(argv: Sequence[str] | None = None) -> int:
    """The exit status (docs/contract.md, section 3)."""
    args = build_parser().parse_args(argv)
    module, function = args.run.split(":")
    run: Run = getattr(import_module(f"director.{module}"), function)
    try:
        status = int(run(args))
        sys.stdout.flush()  # a reader that is gone shows here, and not when Python exits
    except DirectorError as error:
        show_faults(error, as_json=args.json)
        return int(error.status)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return int(Exit.DONE)
    except KeyboardInterrupt:
        return 130
    except Exception:  # noqa: BLE001  (a bug of ours has a status of its own)
        traceback.print_exc()
        return int(Exit.BUG)
    return status


def show_faults(error: DirectorError, *, as_json: bool) -> None:
    """Faults on stderr: one line each and its mend, or one JSON object."""
    if as_json:
        keys = ("file", "line", "key", "fault", "mend")
        faults = [{key: getattr(fault, key) for key in keys} for fault in error.faults]
        print(json.dumps({"faults": faults}), file=sys.stderr)
        return
    for fault in error.faults:
        print(f"{'' if fault.file else 'director: '}{fault}", file=sys.stderr)
        print(f"  mend: {fault.mend}", file=sys.stderr)


def build_parser() -> Parser:
    """All verbs. Each sets `run` to `module:function` below the package director."""
    parser = Parser(prog="director", description="A high-availability director for Linux IPVS.")
    common = Parser(add_help=False)
    _add_common(common)
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)

    def verb(name: str, run: str, text: str) -> argparse.ArgumentParser:
        command = verbs.add_parser(name, help=text, description=text, parents=[common])
        command.set_defaults(run=run)
        return command

    _add_processes(verb)
    _add_operating(verb)
    _add_drills(verb)
    verb("version", "cli.version:version", "print the version")
    return parser


Verb = Callable[[str, str, str], argparse.ArgumentParser]


def _add_common(parser: argparse.ArgumentParser) -> None:
    config = os.environ.get("DIRECTOR_CONFIG") or str(paths.CONFIG)
    parser.add_argument("--config", type=Path, default=Path(config), metavar="FILE")
    parser.add_argument("--node", metavar="NAME", help="which node of the file this machine is")
    parser.add_argument("--runtime", type=Path, default=paths.RUNTIME, metavar="DIR")
    parser.add_argument("--state", type=Path, default=paths.STATE, metavar="DIR")
    parser.add_argument("--json", action="store_true", help="answers and faults as JSON")
    parser.add_argument("--timeout", type=duration, default=5.0, metavar="5s")


def duration(text: str) -> float:
    """An argparse type."""
    try:
        return parse_duration(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f'{error}; write "5s"') from error


def _add_processes(verb: Verb) -> None:
    up = verb("up", "cli.up:up", "start and restart all processes in the foreground")
    up.add_argument("--workers", type=int, default=1, metavar="N", help="check workers (1)")
    verb("engine", "cli.processes:engine", "the process that owns the IPVS table")
    verb("vrrp", "cli.processes:vrrp", "the process that owns the VIPs")
    verb("exec", "cli.processes:programs", "the process that runs hooks")


def _add_operating(verb: Verb) -> None:
    check = verb("check", "cli.check:check", "is the file good; all faults, not the first")
    check.add_argument("file", type=Path, nargs="?", metavar="FILE")
    check.add_argument("--parsed", action="store_true", help=argparse.SUPPRESS)
    verb("status", "cli.status:status", "is it well, and if not what to do")
    events = verb("events", "cli.events:events", "what happened, and why")
    events.add_argument("--follow", action="store_true", help="and go on telling")
    _add_table(verb)
    maintenance = verb(
        "maintenance", "cli.operate:maintenance", "stop new connections to a real server, or undo"
    )
    maintenance.add_argument("switch", choices=("on", "off"))
    maintenance.add_argument("server", metavar="SERVER", help="SERVICE/NAME, or NAME everywhere")
    probe = verb("probe", "cli.probe:probe", "run a real server's checks now, by hand")
    probe.add_argument("server", metavar="SERVER", help="SERVICE/NAME, or NAME everywhere")
    drain = verb(
        "drain", "cli.operate:drain", "no new connections, and out of the table once it is empty"
    )
    drain.add_argument("server", metavar="SERVER", help="SERVICE/NAME, or NAME everywhere")
    drain.add_argument("--deadline", metavar="5m", help="when what is left is cut (the file's)")
    drain.add_argument("--wait", action="store_true", help="until it is empty")
    undrain = verb("undrain", "cli.operate:undrain", "back into traffic after a drain")
    undrain.add_argument("server", metavar="SERVER", help="SERVICE/NAME, or NAME everywhere")
    weight = verb("weight", "cli.operate:weight", "set a real server's weight by hand")
    weight.add_argument("server", metavar="SERVER", help="SERVICE/NAME, or NAME everywhere")
    weight.add_argument("weight", metavar="N|N%|auto")
    weight.add_argument("--for", dest="for_", metavar="1h", help="back to auto after this long")
    verb("reload", "cli.operate:reload", "check the file and take it; on a fault the old one stays")
    failover = verb("failover", "cli.operate:failover", "hand over to the peer, make before break")
    failover.add_argument("router", nargs="?", default="", metavar="ROUTER")
    failover.add_argument("--wait", action="store_true", help="until the peer has taken it")
    clear = verb("clear", "cli.clear:clear", "remove all that the director made; stop it first")
    clear.add_argument("--yes", action="store_true", help="yes, all of it")
    real = verb(
        "real-server", "cli.real_server:real_server", "the real server's side of DR and TUN"
    )
    real.add_argument("action", choices=("install", "remove", "verify"))
    real.add_argument("--name", metavar="NAME", help="which real server of the file this is")
    real.add_argument("--kept", action="store_true", help="take the input kept under /etc")
    real.add_argument("--root", type=Path, default=Path("/"), metavar="DIR", help="whose etc (/)")


def _add_table(verb: Verb) -> None:
    for name, text in (
        ("plan", "what the file would change in the kernel"),
        ("apply", "program what the file says once and leave; no engine may run"),
    ):
        command = verb(name, f"cli.table:{name}", text)
        command.add_argument("file", type=Path, nargs="?", metavar="FILE")
    show = verb("show", "cli.show:show", "the table in the kernel, with names and health")
    show.add_argument("service", nargs="?", metavar="SERVICE", help="by name, or IP:PORT")
    views = show.add_mutually_exclusive_group()
    for view, text in (
        ("stats", "totals"),
        ("rate", "per second"),
        ("connections", "each connection"),
        ("persistent", "how many clients are bound to each real server"),
    ):
        views.add_argument(f"--{view}", dest="view", action="store_const", const=view, help=text)
    verb("export", "cli.table:export", "the table as `ipvsadm --restore` reads it")
    zero = verb("zero", "cli.show:zero", "counters to 0")
    zero.add_argument("service", nargs="?", metavar="SERVICE", help="without one: all of the file")
    verb("schema", "cli.schema:print_schema", "JSON Schema of the file, for editors")


def _add_drills(verb: Verb) -> None:
    drill = verb("drill", "cli.drill:drill", "failover drills in test machines")
    drill.add_argument("action", choices=("list", "run"))
    drill.add_argument("names", nargs="*", metavar="NAME", help="without one: the demo")
