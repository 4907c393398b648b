"""What must hold in the kernel beside the table: sync daemons, sysctls, timeouts."""

from director.model.config import Config
from director.model.ops import Observed, Op, SetSysctl, SetTimeouts, StartSync
from director.model.profile import profile

ROLES = ("master", "backup")


def sysctls_wanted(config: Config) -> dict[str, str]:
    """The built-in profile with the file's single values over it."""
    return profile(config) | config.kernel.sysctl


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
    if config.sync is None:
        return []
    return [StartSync(role, config.sync) for role in ROLES if role not in observed.sync]
