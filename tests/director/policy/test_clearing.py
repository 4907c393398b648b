"""policy/clearing: what `director clear` takes out of IPVS, and in which order."""

import pytest
from msgspec.structs import replace

from director.model.address import Family
from director.model.config import Config, KernelSettings, SyncSettings
from director.model.ops import DeleteService, Observed, SetSysctl, SetTimeouts, StopSync
from director.model.pool import Service
from director.model.service import ServiceKey, ServiceSettings, VirtualService
from director.policy.clearing import Timeouts, clearing
from director.policy.pulse import KEY as PULSE

WEB = ServiceKey(Family.IPV4, address="192.0.2.10", port=80)
FOREIGN = ServiceKey(Family.IPV4, address="198.51.100.1", port=25)
SYNC = SyncSettings(interface="eth2", id=51)
REUSE = "net.ipv4.vs.conn_reuse_mode"
CONFIG = Config(
    node="lb1",
    interfaces={},
    services=(Service(name="web", virtuals=(WEB,), settings=ServiceSettings(), members=()),),
    sync=SYNC,
    kernel=KernelSettings(timeouts=(600.0, 0.0, 30.0)),
)
THERE = Observed(
    table={key: VirtualService(ServiceSettings(), {}) for key in (FOREIGN, WEB, PULSE)},
    sync={"master": SYNC, "backup": replace(SYNC, id=9)},
    sysctls={REUSE: "1"},
    timeouts=(600.0, 120.0, 99.0),
)


def test_what_is_ours_goes_and_nothing_else() -> None:
    """
    Services before the daemon that tells the peer of them, sysctls last; a foreign service, a daemon of
    another id and a time-out that somebody changed since stay.
    """
    ops = clearing(CONFIG, THERE, {REUSE: "0"}, (900.0, 120.0, 300.0))

    assert ops == (
        DeleteService(WEB),
        DeleteService(PULSE),
        StopSync("master"),
        SetTimeouts(900.0, 0.0, 0.0),
        SetSysctl(REUSE, "0"),
    )


def test_what_was_recorded_as_ours_goes_too() -> None:
    """
    A service of a file before that had not drained yet.
    """
    ops = clearing(CONFIG, THERE, {}, None, [FOREIGN])

    assert DeleteService(FOREIGN) in ops


@pytest.mark.parametrize("before", [None, (600.0, 120.0, 300.0)])
def test_timeouts_that_nobody_recorded_or_that_were_so_stay(before: Timeouts | None) -> None:
    """Without a record nobody knows what stood."""
    ops = clearing(CONFIG, THERE, {}, before)

    assert not any(isinstance(op, SetTimeouts) for op in ops)


def test_without_sync_no_daemon_is_ours() -> None:
    """And a kernel with nothing of ours is left alone."""
    assert clearing(replace(CONFIG, sync=None), Observed(sync={"master": SYNC}), {}, None) == ()


def test_what_the_file_does_not_name_and_is_ours_goes_too() -> None:
    """Services of an interface's addresses, and what an older file left to drain; if they stand."""
    gone = replace(FOREIGN, port=26)

    ops = clearing(CONFIG, THERE, {}, None, owned=[FOREIGN, gone])

    assert [op for op in ops if isinstance(op, DeleteService)] == [
        DeleteService(FOREIGN),
        DeleteService(WEB),
        DeleteService(PULSE),
    ]
