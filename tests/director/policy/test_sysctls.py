"""policy/sysctls: what is written, what is said, what goes back."""

import pytest
from msgspec.structs import replace

from director.model.address import Endpoint, Family
from director.model.config import Config, KernelSettings
from director.model.ops import Observed, SetSysctl
from director.model.pool import Place
from director.model.service import Counters, ServiceKey
from director.policy.sysctls import (
    GROWS,
    as_they_stood,
    rows_wanted,
    sysctl_findings,
    sysctls_read,
    sysctls_to_set,
    sysctls_wanted,
)

NAME = "net.ipv4.vs.conn_reuse_mode"
MOST = "net.netfilter.nf_conntrack_max"
WEB = ServiceKey(Family.IPV4, address="192.0.2.10", port=80)
PLACE = Place(WEB, Endpoint("10.0.8.11", 80))


def config(mode: str = "enforce", **single: str) -> Config:
    sysctl = {f"net.ipv4.vs.{name}": value for name, value in single.items()}
    return Config(node="lb1", interfaces={}, kernel=KernelSettings(sysctls=mode, sysctl=sysctl))


def observed(of: Config, **differs: str | None) -> Observed:
    """As wanted, but for these names of net.ipv4.vs; None is one that is not there."""
    there: dict[str, str | None] = {**sysctls_wanted(of)}
    there |= {f"net.ipv4.vs.{name}": value for name, value in differs.items()}
    return Observed(sysctls={name: value for name, value in there.items() if value is not None})


MODES = {
    # mode        first  closed  written  said
    "enforce":            ("enforce", False, False, True, ()),
    "enforce, read-only": ("enforce", True, True, False, ("warning",)),
    "set-once, first":    ("set-once", True, False, True, ("notice",)),
    "set-once, later":    ("set-once", False, False, False, ("notice",)),
    "set-once, read-only": ("set-once", True, True, False, ("warning",)),
    "report":             ("report", True, False, False, ("warning",)),
    "report, read-only":  ("report", False, True, False, ("warning",)),
}  # fmt: skip


@pytest.mark.parametrize(("mode", "first", "closed", "written", "said"), MODES.values(), ids=MODES)
def test_what_differs_is_written_or_said(
    mode: str, first: bool, closed: bool, written: bool, said: tuple[str, ...]
) -> None:
    """One that is read-only here is never written, and always said, with its mend."""
    wanted = config(mode)
    there = observed(wanted, conn_reuse_mode="0")
    there.closed = frozenset({NAME} if closed else ())

    findings = sysctl_findings(wanted, there)

    ops = [SetSysctl(NAME, "1")] if written else []
    assert sysctls_to_set(wanted, there, first=first) == ops
    assert [(one.severity, one.object) for one in findings] == [(word, NAME) for word in said]
    assert all("is 0, and should be 1: " in one.fault and one.mend for one in findings)
    assert all(("read-only here" in one.fault) is closed for one in findings)


@pytest.mark.parametrize("mode", ["enforce", "set-once", "report"])
def test_what_holds_is_not_said(mode: str) -> None:
    """Nothing to write and nothing to say."""
    wanted = config(mode)

    assert sysctl_findings(wanted, observed(wanted)) == []
    assert sysctls_to_set(wanted, observed(wanted), first=True) == []


def test_what_a_kernel_lacks_is_a_notice() -> None:
    """Neither written nor refused for: also one that the file names."""
    wanted = config(nosuch="1")

    findings = sysctl_findings(wanted, observed(wanted, nosuch=None))

    (notice,) = findings
    assert (notice.severity, notice.object) == ("notice", "net.ipv4.vs.nosuch")
    assert sysctls_to_set(wanted, observed(wanted, nosuch=None), first=True) == []


@pytest.mark.parametrize(
    ("there", "written"), [("65536", True), ("131072", False), ("9999999", False)]
)
def test_more_than_the_least_is_left(there: str, written: bool) -> None:
    """A machine that has more room for connections than we ask for keeps it."""
    wanted = config(conntrack="1")
    kernel = observed(wanted)
    kernel.sysctls[MOST] = there

    assert sysctls_to_set(wanted, kernel, first=False) == [SetSysctl(MOST, "131072")] * written


def test_the_file_is_a_value_and_no_least() -> None:
    """Whoever writes a size gets that size; a path is a name like any other."""
    wanted = config(conntrack="1")
    single = {**wanted.kernel.sysctl, "net/netfilter/nf_conntrack_max": "1000"}
    wanted = replace(wanted, kernel=replace(wanted.kernel, sysctl=single))
    kernel = observed(wanted)
    kernel.sysctls[MOST] = "131072"

    assert "net/netfilter/nf_conntrack_max" not in sysctls_read(wanted)
    assert sysctls_to_set(wanted, kernel, first=False) == [SetSysctl(MOST, "1000")]


TABLES = {
    # rows  connections  grows  bits
    "as it is built":    (4096, 0, False, 16),
    "large enough":      (1 << 16, 65536, False, None),
    "too many":          (1 << 16, 65537, False, 17),
    "the largest":       (1 << 20, 5_000_000, False, None),
    "grows by itself":   (4096, 100_000, True, None),
    "not known":         (0, 100_000, False, None),
}  # fmt: skip


@pytest.mark.parametrize(("rows", "connections", "grows", "bits"), TABLES.values(), ids=TABLES)
def test_a_small_connection_table_is_a_notice(
    rows: int, connections: int, grows: bool, bits: int | None
) -> None:
    """With the line for modprobe.d that makes it large enough."""
    wanted = config()
    there = observed(wanted)
    there.table_size = rows
    there.counters = {PLACE: Counters(active=connections // 2, inactive=-(-connections // 2))}
    if grows:
        there.sysctls[GROWS] = "-4"

    findings = sysctl_findings(wanted, there)

    mends = [f'"options ip_vs conn_tab_bits={bits}" to /etc/modprobe.d/'] if bits else []
    assert [
        (one.severity, part in one.mend) for one, part in zip(findings, mends, strict=True)
    ] == [("notice", True) for _ in mends]
    assert GROWS in sysctls_read(wanted)


BACK = {
    # stood  stands  goes back
    "as we set it":       ("0", "1", True),
    "changed since":      ("0", "3", False),
    "was so before":      ("1", "1", False),
    "is gone":            ("0", None, False),
}  # fmt: skip


@pytest.mark.parametrize(("stood", "stands", "goes"), BACK.values(), ids=BACK)
def test_what_goes_back(stood: str, stands: str | None, goes: bool) -> None:
    """What is still as we set it, and no more."""
    now = {} if stands is None else {NAME: stands}

    assert as_they_stood({NAME: stood}, config(), now) == [SetSysctl(NAME, stood)] * goes


def test_what_the_file_no_longer_wants_goes_back() -> None:
    """Nobody knows any more what it had wanted."""
    name = "net.ipv4.ip_forward"

    assert as_they_stood({name: "0"}, config(), {name: "1"}) == [SetSysctl(name, "0")]


def test_a_file_is_worked_out_once() -> None:
    """And another one, in between or after it, is not taken for it."""
    one = Config(node="lb1", interfaces={}, kernel=KernelSettings(sysctl={"net.one": "1"}))
    two = replace(one, kernel=KernelSettings(sysctl={"net.two": "2"}))

    assert rows_wanted(one) is rows_wanted(one)
    for config, name in ((one, "net.one"), (two, "net.two"), (one, "net.one")):
        assert rows_wanted(config)[-1].name == name
