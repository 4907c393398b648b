# What of the profile differs from the kernel: what is written, and what is only said.
#
# A sysctl that is read-only here (a network namespace has some, a container all) is not written
# each second to be refused each second: it is a finding. One that the kernel has not is a notice,
# for it may be another kernel, a module that is not loaded yet, or an interface to come.
"""Sysctls: what is wanted, what is to be written, what is to be said."""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from director.model.config import Config
from director.model.ops import Observed, SetSysctl
from director.model.profile import VS, Setting, settings
from director.model.state import Finding

SWAP = str.maketrans("./", "/.")
# A kernel that has it makes its connection table larger by itself.
GROWS = VS + "conn_lfactor"
BITS_LEAST, BITS_MOST = 16, 20  # 512 KiB; the largest that Linux 6.1 takes (ip_vs_conn.c)


class _Worked(NamedTuple):
    """What a file comes to. To work it out looks at each service, and every reading asks thrice."""

    config: Config
    rows: tuple[Setting, ...]


_last: list[_Worked] = []  # of one file: the one that is in force


def rows_wanted(config: Config) -> tuple[Setting, ...]:
    """The built-in profile with the file's single values over it, in the order of writing."""
    if not (_last and _last[0].config is config):
        _last[:] = [_Worked(config, _work_out(config))]
    return _last[0].rows


def _work_out(config: Config) -> tuple[Setting, ...]:
    single = {
        canonical(name): " ".join(value.split()) for name, value in config.kernel.sysctl.items()
    }
    rows = {row.name: row for row in settings(config)}
    said = {name: Setting(name, value, "the file says so") for name, value in single.items()}
    return tuple((rows | said).values())


def sysctls_wanted(config: Config) -> dict[str, str]:
    """Names and values alone, spaced as they are read back."""
    return {row.name: row.value for row in rows_wanted(config)}


def sysctls_read(config: Config) -> tuple[str, ...]:
    """The names of all that has to be known of a kernel."""
    return (*sysctls_wanted(config), GROWS)


def canonical(name: str) -> str:
    """sysctl(8) takes a path, too: one spelling for each."""
    slash, dot = name.find("/"), name.find(".")
    return name.translate(SWAP) if slash > -1 and (dot == -1 or slash < dot) else name


def sysctls_to_set(config: Config, observed: Observed, *, first: bool) -> list[SetSysctl]:
    """What is written. `first`: nothing was applied yet since the start."""
    if config.kernel.sysctls == "report" or (config.kernel.sysctls == "set-once" and not first):
        return []
    return [SetSysctl(row.name, row.value) for row in _differing(config, observed, closed=False)]


def sysctl_findings(config: Config, observed: Observed) -> list[Finding]:
    """What differs and is not written, what is not there, and a connection table that is small."""
    return [*_said(config, observed), *_lacking(config, observed), *_small_table(observed)]


def holds(row: Setting, there: str) -> bool:
    """Is that value as good as the wanted one?"""
    if row.least and there.isdigit():
        return int(there) >= int(row.value)
    return there == row.value


def _differing(config: Config, observed: Observed, *, closed: bool | None) -> Iterator[Setting]:
    for row in rows_wanted(config):
        there = observed.sysctls.get(row.name)
        if there is None or holds(row, there):
            continue
        if closed is None or closed is (row.name in observed.closed):
            yield row


def _said(config: Config, observed: Observed) -> Iterator[Finding]:
    leave = config.kernel.sysctls != "enforce"
    for row in _differing(config, observed, closed=None if leave else True):
        fault = f"is {observed.sysctls[row.name]}, and should be {row.value}: {row.reason}"
        if row.name in observed.closed:
            fault += "; it is read-only here"
            mend = f"where it is not (on the host): sysctl -w '{row.name}={row.value}'"
        elif config.kernel.sysctls == "report":
            mend = f"sysctl -w '{row.name}={row.value}', or sysctls = \"enforce\" in [kernel]"
        else:
            mend = "nothing if it was meant; a restart of the engine sets it"
        once = config.kernel.sysctls == "set-once" and row.name not in observed.closed
        yield Finding("notice" if once else "warning", row.name, fault, mend)


def _lacking(config: Config, observed: Observed) -> Iterator[Finding]:
    for row in rows_wanted(config):
        if row.name not in observed.sysctls:
            since = f" (it is there since Linux {row.since})" if row.since else ""
            fault = f"this kernel has no such sysctl{since}: {row.reason}"
            mend = "is its module loaded, is its interface there? Else nothing: we do without it"
            yield Finding("notice", row.name, fault, mend)


def _small_table(observed: Observed) -> Iterator[Finding]:
    if not observed.table_size or GROWS in observed.sysctls:
        return
    connections = sum(one.active + one.inactive for one in observed.counters.values())
    bits = min(BITS_MOST, max(BITS_LEAST, (connections - 1).bit_length()))
    if observed.table_size < 1 << bits:
        fault = f"the connection table has {observed.table_size} rows for {connections} connections"
        fault += ", and with more of them than rows each packet has to look through some"
        mend = f'write "options ip_vs conn_tab_bits={bits}" to /etc/modprobe.d/director.conf; it '
        mend += "counts from the next boot on"
        yield Finding("notice", "ip_vs.conn_tab_bits", fault, mend)


def as_they_stood(
    before: Mapping[str, str], config: Config, now: Mapping[str, str]
) -> list[SetSysctl]:
    """How to put back what stood before us, of what is still as the file wants it.

    What somebody else has changed since is his. Of a name that the file no longer wants nobody
    knows what we had set: it goes back.
    """
    wanted = sysctls_wanted(config)
    return [
        SetSysctl(name, value)
        for name, value in before.items()
        if (there := now.get(name)) not in (None, value) and there == wanted.get(name, there)
    ]
