"""What must hold in the kernel beside the table: sync daemons, sysctls, timeouts."""

from director.model.config import Config, SyncSettings
from director.model.ops import Observed, Op, SetTimeouts, StartSync, StopSync
from director.policy.plan import diff
from director.policy.pulse import pulse_table
from director.policy.sysctls import sysctls_to_set

ROLES = ("master", "backup")


def upkeep(config: Config, observed: Observed, *, first: bool) -> tuple[Op, ...]:
    """Operations that mend what differs. `first`: nothing was applied yet since the start.

    The sync daemons come last: an entry that arrives before its destination stands stays unbound
    (ip_vs_sync.c, ip_vs_proc_conn).
    """
    return (
        *sysctls_to_set(config, observed, first=first),
        *_timeouts(config, observed),
        *diff(pulse_table(config), observed.table),
        *_daemons(config, observed),
    )


def sync_changed(
    before: SyncSettings | None, now: SyncSettings | None, observed: Observed | None
) -> tuple[Op, ...]:
    """What another file ends: daemons that it does not want, or wants otherwise.

    Those are started again by `upkeep`, which cannot see all of it: the kernel does not tell what
    was left to it from what was asked for.
    """
    same = before is not None and now is not None and _asked(before) == _asked(now)
    if before is None or same or observed is None:
        return ()
    return tuple(StopSync(role) for role in ROLES if role in observed.sync)


def _asked(sync: SyncSettings) -> tuple[str | int, ...]:
    return sync.interface, sync.id, sync.port, sync.ttl, sync.maxlen, sync.group


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
        elif (there.interface, there.id) != (wanted.interface, wanted.id) or (
            # The backup keeps its own, whatever it was told (ip_vs_sync.c, set_sync_mesg_maxlen).
            role == "master" and wanted.maxlen not in (0, there.maxlen)
        ):
            ops += [StopSync(role), StartSync(role, wanted)]
    return ops
