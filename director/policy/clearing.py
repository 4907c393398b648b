# What `director clear` takes out of the IPVS side of a kernel. VIPs are gone by then, so that
# nobody is answered by a host that no longer balances.
"""The way back to a kernel that never had a director."""

from collections.abc import Iterable, Mapping

from director.model.config import Config
from director.model.ops import DeleteService, Observed, Op, SetTimeouts, StopSync
from director.model.service import ServiceKey
from director.policy.pulse import KEY as PULSE
from director.policy.sysctls import as_they_stood
from director.policy.upkeep import ROLES

Timeouts = tuple[float, float, float]


def clearing(
    config: Config,
    observed: Observed,
    sysctls_before: Mapping[str, str],
    timeouts_before: Timeouts | None,
    owned: Iterable[ServiceKey] = (),
) -> tuple[Op, ...]:
    """Services first, then what tells the peer of them, and last how the kernel behaves.

    `owned` are services that an engine had recorded as ours. A sync daemon that is on another
    interface or id than the file's is somebody else's.
    """
    ours = {PULSE, *owned, *(key for service in config.services for key in service.virtuals)}
    sync = config.sync
    daemons = [
        StopSync(role)
        for role in ROLES
        if sync is not None
        and (there := observed.sync.get(role)) is not None
        and (there.interface, there.id) == (sync.interface, sync.id)
    ]
    return (
        *(DeleteService(key) for key in observed.table if key in ours),
        *daemons,
        *_timeouts(config, observed, timeouts_before),
        *as_they_stood(sysctls_before, config, observed.sysctls),
    )


def _timeouts(config: Config, observed: Observed, before: Timeouts | None) -> list[Op]:
    """Those that are still as the file wants them."""
    wanted = config.kernel.timeouts
    back = [
        stood if want and there == want else 0.0
        for stood, there, want in zip(before or wanted, observed.timeouts, wanted, strict=True)
    ]
    changes = before is not None and any(
        one and one != there for one, there in zip(back, observed.timeouts, strict=True)
    )
    return [SetTimeouts(*back)] if changes else []
