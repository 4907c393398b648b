"""The sysctl profile on a kernel: how it is kept, what is closed, what goes back."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from director.kernel.hands import KernelHands
from director.model.config import Config, KernelSettings, SyncSettings
from director.model.ops import Observed, Op, Refused
from director.model.profile import CATALOGUE, LEFT, VS
from director.policy.sysctls import as_they_stood, sysctl_findings, sysctls_read, sysctls_wanted
from director.policy.upkeep import upkeep
from tests.kernel.vrrp_pair import Namespace, ip, netns

pytestmark = pytest.mark.kernel

REUSE = Path("/proc/sys/net/ipv4/vs/conn_reuse_mode")
MOST = "net.netfilter.nf_conntrack_max"


class Kernel:
    """A network namespace of its own: what is set here is nobody else's."""

    def __init__(self, name: str) -> None:
        self._name = name
        with Namespace(name):
            self._hands = KernelHands()

    def observe(self, config: Config) -> Observed:
        with Namespace(self._name):
            return self._hands.observe(sysctls_read(config))

    def apply(self, *ops: Op) -> list[Refused]:
        with Namespace(self._name):
            return self._hands.apply(ops)

    def keep(self, config: Config, *, first: bool) -> Observed:
        """A round of upkeep; what stands after it."""
        assert self.apply(*upkeep(config, self.observe(config), first=first)) == []
        return self.observe(config)

    def hand(self, path: Path, text: str) -> None:
        """What somebody else writes."""
        with Namespace(self._name):
            path.write_text(text)

    def close(self) -> None:
        self._hands.close()


@pytest.fixture
def kernel() -> Iterator[Kernel]:
    name = netns(f"s{time.monotonic_ns() % 100000}")
    made = Kernel(name)
    yield made
    made.close()
    ip("netns", "del", name)


def config(mode: str = "enforce", **single: str) -> Config:
    sysctl = {f"{VS}{name}": value for name, value in single.items()}
    return Config(
        node="lb1",
        interfaces={"front": "lo", "servers": "lo"},
        kernel=KernelSettings(sysctls=mode, sysctl=sysctl),
        sync=SyncSettings(interface="lo"),
    )


MODES = {
    # mode      at the start  after a hand wrote 2  what is said then
    "enforce":  ("1", "1", []),
    "set-once": ("1", "2", ["notice"]),
    "report":   ("0", "2", ["warning"]),
}  # fmt: skip


@pytest.mark.parametrize(("mode", "start", "later", "said"), [(k, *v) for k, v in MODES.items()])
def test_how_a_sysctl_is_kept(
    kernel: Kernel, mode: str, start: str, later: str, said: list[str]
) -> None:
    """
    `enforce` repairs what a hand changes, `set-once` leaves and says it, `report` sets nothing.
    """
    wanted = config(mode)
    name = f"{VS}conn_reuse_mode"
    kernel.hand(REUSE, "0")

    first = kernel.keep(wanted, first=True)
    kernel.hand(REUSE, "2")
    there = kernel.keep(wanted, first=False)

    assert (first.sysctls[name], there.sysctls[name]) == (start, later)
    findings = [one for one in sysctl_findings(wanted, there) if one.object == name]
    assert [one.severity for one in findings] == said


def test_all_of_the_profile_is_taken_and_goes_back(kernel: Kernel) -> None:
    """
    Every row is a value that this kernel takes and reads back, and what stood before stands again.
    """
    wanted = config()
    before = kernel.observe(wanted)

    there = kernel.keep(wanted, first=True)

    assert there.sysctls == sysctls_wanted(wanted)
    kernel.apply(*as_they_stood(before.sysctls, wanted, there.sysctls))
    assert kernel.observe(wanted).sysctls == before.sysctls


def test_what_is_read_only_in_a_namespace_is_said(kernel: Kernel) -> None:
    """
    The size of netfilter's table is the host's: a warning with the command for there, and no
    operation that would be refused again and again.
    """
    wanted = config(conntrack="1", nosuch="1")

    there = kernel.keep(wanted, first=True)

    assert there.closed == {MOST}
    said = {one.object: one for one in sysctl_findings(wanted, there)}
    assert f"sysctl -w '{MOST}=" in said[MOST].mend
    assert said[f"{VS}nosuch"].severity == "notice"


def test_the_size_of_the_connection_table_is_known(kernel: Kernel) -> None:
    """
    As it is built it has 4,096 rows, which is said.
    """
    there = kernel.observe(config())

    assert there.table_size == 4096
    assert "ip_vs.conn_tab_bits" in {one.object for one in sysctl_findings(config(), there)}


def test_every_sysctl_of_ipvs_is_accounted_for() -> None:
    """
    Each is set by the profile or left alone with a reason, in this kernel at least.
    """
    known = {row.name.removeprefix(VS) for _, _, rows in CATALOGUE for row in rows} | set(LEFT)

    assert {path.name for path in REUSE.parent.iterdir()} <= known
