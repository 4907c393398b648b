# Sysctls by name, through /proc/sys.
#
# Rules of this room:
# 1. What is missing or closed is a value, not an exception: it is not among what was read, or it
#    is a Refused.
# 2. Names are sysctl(8)'s: the separator that comes first separates, and the other one stands for
#    itself. So an interface `eth0.5` is `net.ipv4.conf.eth0/5.rp_filter` (or
#    `net/ipv4/conf/eth0.5/rp_filter`).
# 3. A name never leaves the root: no empty part and no `..`.
#
# What one does not expect: the kernel answers with tabs between numbers (`sync_threshold`), so
# values are compared with single spaces. Under ProtectKernelTunables= all of it is read-only
# (EROFS).
"""Read and write sysctls."""

import errno
import os
from collections.abc import Iterable
from pathlib import Path

from director.model.ops import Refused, SetSysctl

ROOT = Path("/proc/sys")
SWAP = str.maketrans("./", "/.")


def path_of(name: str, root: Path = ROOT) -> Path:
    """Where it lies. Raises ValueError for what can be no name."""
    slash, dot = name.find("/"), name.find(".")
    if slash == -1 or -1 < dot < slash:
        name = name.translate(SWAP)
    parts = name.split("/")
    if not {"", ".", ".."}.isdisjoint(parts) or "\0" in name:
        raise ValueError(f"{name!r} is no sysctl")
    return root.joinpath(*parts)


def read(names: Iterable[str], root: Path = ROOT) -> dict[str, str]:
    """Those that can be read, with single spaces between values."""
    found = {}
    for name in names:
        try:
            found[name] = " ".join(path_of(name, root).read_text().split())
        except (OSError, ValueError):
            continue
    return found


def closed(names: Iterable[str], root: Path = ROOT) -> frozenset[str]:
    """Those that are there and that we may not write.

    Found by opening: access(2) asks for the real user, and forgets capabilities that a user has.
    """
    found = set()
    for name in names:
        try:
            os.close(os.open(path_of(name, root), os.O_WRONLY | os.O_CLOEXEC))
        except PermissionError:
            found.add(name)
        except OSError as error:
            if error.errno == errno.EROFS:
                found.add(name)
        except ValueError:
            continue
    return frozenset(found)


def write(op: SetSysctl, root: Path = ROOT) -> list[Refused]:
    """Set one."""
    try:
        # Not Path.write_text: a sysctl is never created or truncated.
        with path_of(op.name, root).open("r+") as file:
            file.write(op.value + "\n")
    except OSError as error:
        return [Refused(op, error.errno or errno.EIO, "")]
    except ValueError as error:
        return [Refused(op, errno.ENOENT, str(error))]
    return []
