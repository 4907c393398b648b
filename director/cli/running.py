"""Which of a director's processes run in this network namespace."""

import os
from itertools import pairwise
from pathlib import Path

PROC = Path("/proc")
PROCESSES = ("up", "engine", "vrrp")


def running(proc: Path = PROC) -> list[str]:
    """As `vrrp (pid 812)`. Found by their command lines: vrrp listens at no socket.

    Of processes whose namespace may not be looked at it is assumed that they are here.
    """
    here = _namespace(proc / "self")
    found = []
    for folder in sorted(proc.glob("[0-9]*"), key=lambda path: int(path.name)):
        try:
            words = (folder / "cmdline").read_bytes().decode(errors="replace").split("\0")
        except OSError:
            continue  # it has ended
        if int(folder.name) == os.getpid() or _namespace(folder) not in ("", here):
            continue
        verbs = [
            verb
            for before, verb in pairwise(words)
            if before.rpartition("/")[2] == "director" and verb in PROCESSES
        ]
        found += [f"{verb} (pid {folder.name})" for verb in verbs[:1]]
    return found


def _namespace(folder: Path) -> str:
    try:
        return str((folder / "ns" / "net").readlink())
    except OSError:
        return ""
