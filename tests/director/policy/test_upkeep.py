"""policy/upkeep: what must hold in the kernel beside the table."""

import msgspec
import pytest

from director.model.config import Config, KernelSettings, SyncSettings
from director.model.ops import (
    AddDestination,
    AddService,
    Observed,
    Op,
    SetSysctl,
    SetTimeouts,
    StartSync,
    StopSync,
)
from director.policy.book import enter
from director.policy.sysctls import sysctls_wanted
from director.policy.upkeep import upkeep

REUSE = "net.ipv4.vs.conn_reuse_mode"
SYNC = SyncSettings(interface="eth2", id=51)
# What the kernel chose for what the file leaves open.
RUNNING = SyncSettings(interface="eth2", id=51, port=8848, ttl=1, maxlen=1472, group="224.0.0.81")
OTHER_ID = msgspec.structs.replace(RUNNING, id=50)
OTHER_WIRE = msgspec.structs.replace(RUNNING, interface="eth9")


def config(sync: SyncSettings | None = None, **kernel: object) -> Config:
    settings = KernelSettings(**kernel)  # type: ignore[arg-type]
    return Config(node="lb1", interfaces={}, sync=sync, kernel=settings)


def as_wanted(of: Config) -> Observed:
    """A kernel in which nothing is left to do."""
    return Observed(
        sysctls=sysctls_wanted(of),
        sync={"master": RUNNING, "backup": RUNNING} if of.sync else {},
        timeouts=(900.0, 120.0, 300.0),
    )


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("sync", [SYNC, None])
def test_what_holds_is_left_alone(sync: SyncSettings | None, first: bool) -> None:
    """The kernel's own choices for what the file leaves open differ from nothing."""
    wanted = config(sync)

    assert upkeep(wanted, as_wanted(wanted), first=first) == ()


SYSCTLS = {
    # mode        first  what is there  what is done
    "enforce":             ("enforce",  False, "0",  [SetSysctl(REUSE, "1")]),
    "enforce, at start":   ("enforce",  True,  "0",  [SetSysctl(REUSE, "1")]),
    "enforce, not there":  ("enforce",  False, None, []),
    "set-once, at start":  ("set-once", True,  "0",  [SetSysctl(REUSE, "1")]),
    "set-once, later":     ("set-once", False, "0",  []),
    "report, at start":    ("report",   True,  "0",  []),
}  # fmt: skip


@pytest.mark.parametrize(("mode", "first", "there", "ops"), SYSCTLS.values(), ids=SYSCTLS)
def test_sysctls(mode: str, first: bool, there: str | None, ops: list[Op]) -> None:
    """Drift is repaired as the file says; what a kernel lacks is not written."""
    wanted = config(sysctls=mode)
    observed = as_wanted(wanted)
    del observed.sysctls[REUSE]
    if there is not None:
        observed.sysctls[REUSE] = there

    assert list(upkeep(wanted, observed, first=first)) == ops


def test_the_file_wins_over_the_profile_and_its_spaces_do_not_count() -> None:
    """The kernel answers with single spaces: the same value must not differ for ever."""
    name = "net.ipv4.vs.sync_threshold"
    wanted = sysctls_wanted(config(SYNC, sysctl={name: " 3 \t 50 ", REUSE: "0"}))

    assert (wanted[name], wanted[REUSE]) == ("3 50", "0")


TIMEOUTS = {
    "all as wanted":  ((900.0, 120.0, 300.0), []),
    "one differs":    ((900.0, 60.0, 300.0), [SetTimeouts(900.0, 60.0, 300.0)]),
    "0 is the kernel's own": ((0.0, 0.0, 0.0), []),
    "0 beside one that differs": ((0.0, 60.0, 0.0), [SetTimeouts(0.0, 60.0, 0.0)]),
}  # fmt: skip


@pytest.mark.parametrize(("timeouts", "ops"), TIMEOUTS.values(), ids=TIMEOUTS)
def test_timeouts(timeouts: tuple[float, float, float], ops: list[Op]) -> None:
    """Written when one that the file names differs."""
    wanted = config(timeouts=timeouts)

    assert list(upkeep(wanted, as_wanted(wanted), first=False)) == ops


START = {role: StartSync(role, SYNC) for role in ("master", "backup")}
STOP = {role: StopSync(role) for role in START}
DAEMONS: dict[str, tuple[dict[str, SyncSettings], list[Op]]] = {
    "none runs":         ({}, [START["master"], START["backup"]]),
    "one runs":          ({"master": RUNNING}, [START["backup"]]),
    "on another id":     ({"master": RUNNING, "backup": OTHER_ID}, [STOP["backup"], START["backup"]]),
    "on another wire":   ({"master": OTHER_WIRE, "backup": RUNNING}, [STOP["master"], START["master"]]),
}  # fmt: skip


@pytest.mark.parametrize(("running", "ops"), DAEMONS.values(), ids=DAEMONS)
def test_daemons(running: dict[str, SyncSettings], ops: list[Op]) -> None:
    """Both run, on the file's interface and id: one that does not would hear no peer."""
    wanted = config(SYNC)
    observed = as_wanted(wanted)
    observed.sync = running

    assert list(upkeep(wanted, observed, first=False)) == ops


def test_daemons_come_last_and_what_was_done_is_enough() -> None:
    """An entry that arrives too early stays unbound; once entered, nothing is left to do."""
    wanted = config(SYNC, timeouts=(1.0, 0.0, 0.0))
    observed = Observed(
        sysctls=dict.fromkeys(sysctls_wanted(wanted), "x"), timeouts=(900.0, 120.0, 300.0)
    )
    ops = upkeep(wanted, observed, first=True)

    assert [type(op) for op in ops[-3:]] == [SetTimeouts, StartSync, StartSync]
    for op in ops:
        enter(observed, op)
    assert upkeep(wanted, observed, first=True) == ()


def test_a_file_without_sync_leaves_daemons_alone() -> None:
    """What it does not name is not ours."""
    observed = as_wanted(config())
    observed.sync = {"master": OTHER_ID}

    assert upkeep(config(), observed, first=True) == ()


def test_the_pulse_stands_before_the_daemons_run() -> None:
    """The peer's entries find its service; put there once, and put back when it is deleted."""
    pulsing = msgspec.structs.replace(SYNC, maxlen=152, pulse=True)
    wanted = config(pulsing)
    observed = as_wanted(wanted)
    observed.sync.clear()

    ops = upkeep(wanted, observed, first=True)
    for op in ops:
        enter(observed, op)

    assert [type(op) for op in ops] == [AddService, AddDestination, StartSync, StartSync]
    assert upkeep(wanted, observed, first=False) == ()


@pytest.mark.parametrize(("there", "restarts"), [(152, 0), (1472, 1)])
def test_a_master_with_other_messages_is_started_anew(there: int, restarts: int) -> None:
    """An upgrade may bring a smaller size; the backup keeps its own, whatever it was told."""
    small = msgspec.structs.replace(SYNC, maxlen=152)
    wanted = config(small)
    observed = as_wanted(wanted)
    observed.sync["master"] = msgspec.structs.replace(RUNNING, maxlen=there)

    ops = upkeep(wanted, observed, first=False)

    assert ops == (StopSync("master"), StartSync("master", small))[: 2 * restarts]
