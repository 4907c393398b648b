# How this project says that something is wrong.
#
# Rules of this room:
# 1. Every error of the operator's names the fault, the place and the mend. The constructor asks for
#    all three, so that whoever raises one has to know them.
# 2. The world's faults (a refused connection, ESRCH from netlink) are values, not exceptions.
# 3. Exit statuses are the one table of docs/contract.md section 3; nobody invents another.
"""Errors with a mend, and the exit statuses."""

from enum import IntEnum

import msgspec


class Exit(IntEnum):
    """What the process tells its caller (docs/contract.md, section 3)."""

    DONE = 0
    NO = 1
    DIFFERS = 2
    PARTLY = 3
    USAGE = 64
    FORMAT = 65
    UNREACHABLE = 69
    BUG = 70
    SYSTEM = 71
    LATER = 75
    RIGHTS = 77
    CONFIG = 78


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that is wrong: where, what, and how to mend it.

    `line` counts from 1; 0 means that no line is known. `key` is the path in the file
    (`services.web.real_servers[1].weight`) or the object that the fault is about.
    """

    fault: str
    mend: str
    key: str = ""
    file: str = ""
    line: int = 0

    def __str__(self) -> str:
        place = self.file + (f":{self.line}" if self.line else "")
        where = ": ".join(part for part in (place, self.key) if part)
        return f"{where}: {self.fault}" if where else self.fault


class DirectorError(Exception):
    """Ends what was asked, with a status for the caller and at least one fault."""

    def __init__(self, status: Exit, *faults: Fault) -> None:
        assert faults
        super().__init__("; ".join(str(fault) for fault in faults))
        self.status = status
        self.faults = faults


class ConfigError(DirectorError):
    """The file is wrong. Holds every fault that was found, not the first alone."""

    def __init__(self, *faults: Fault) -> None:
        super().__init__(Exit.CONFIG, *faults)


class SystemLacks(DirectorError):
    """The machine lacks something (ip_vs, an interface, a test kernel)."""

    def __init__(self, fault: str, *, mend: str, key: str = "") -> None:
        super().__init__(Exit.SYSTEM, Fault(fault=fault, mend=mend, key=key))


class NoRight(DirectorError):
    """The process may not do what it was asked to."""

    def __init__(self, fault: str, *, mend: str) -> None:
        super().__init__(Exit.RIGHTS, Fault(fault=fault, mend=mend))


class Unreachable(DirectorError):
    """The engine, or the peer, does not answer."""

    def __init__(self, fault: str, *, mend: str) -> None:
        super().__init__(Exit.UNREACHABLE, Fault(fault=fault, mend=mend))
