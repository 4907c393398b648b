"""What must hold in the kernel beside the table: sync daemons, sysctls, timeouts."""

from director.model.config import Config
from director.model.ops import Observed, Op, SetSysctl, SetTimeouts, StartSync, StopSync
from director.model.profile import profile

ROLES = ("master", "backup")


def sysctls_wanted(config: Config) -> dict[str, str]:
    """The built-in profile with the file's single values over it, spaced as they are read back."""
    single = {name: " ".join(value.split()) for name, value in config.kernel.sysctl.items()}
    return profile(config) | single


def upkeep(config: Config, observed: Observed, *, first: bool) -> tuple[Op, ...]:
    """Operations that mend what differs. `first`: nothing was applied yet since the start.

    The sync daemons come last: an entry that arrives before its destination stands stays unbound
    (ip_vs_sync.c, ip_vs_proc_conn).
    """
    return (
        *_sysctls(config, observed, first=first),
        *_timeouts(config, observed),
        *_daemons(config, observed),
    )


def _sysctls(config: Config, observed: Observed, *, first: bool) -> list[Op]:
    if config.kernel.sysctls == "report" or (config.kernel.sysctls == "set-once" and not first):
        return []
    return [
        SetSysctl(name, value)
        for name, value in sysctls_wanted(config).items()
        if observed.sysctls.get(name) not in (None, value)
    ]


def _timeouts(config: Config, observed: Observed) -> list[Op]:
    wanted = config.kernel.timeouts
    differs = any(
        want and want != there for want, there in zip(wanted, observed.timeouts, strict=True)
    )
    return [SetTimeouts(*wanted)] if differs else []


def _daemons(config: Config, observed: Observed) -> list[Op]:
    """Both run on the file's interface and id; what the kernel chose for the rest is its own."""
    wanted = config.sync
    if wanted is None:
        return []
    ops: list[Op] = []
    for role in ROLES:
        there = observed.sync.get(role)
        if there is None:
            ops.append(StartSync(role, wanted))
        elif (there.interface, there.id) != (wanted.interface, wanted.id):
            ops += [StopSync(role), StartSync(role, wanted)]
    return ops
