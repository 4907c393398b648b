"""What stood before the engine is recorded, before it changes anything of it."""

from pathlib import Path

import pytest
import trio
from msgspec.structs import replace

from director.engine import memory
from director.engine.keeping import Keeper
from director.engine.news import News
from director.engine.reconcile import Reconciler
from director.model.config import Config
from director.model.ops import Observed
from director.policy.facts import Facts
from director.policy.ownership import Ownership
from tests.director.engine.scene import WatchedKernel, config_of

NODEST, REUSE = "net.ipv4.vs.expire_nodest_conn", "net.ipv4.vs.conn_reuse_mode"


def config(mode: str = "enforce", *, tcp: float = 0.0) -> Config:
    of = config_of(0)
    return replace(of, kernel=replace(of.kernel, sysctls=mode, timeouts=(tcp, 0.0, 0.0)))


@pytest.mark.trio
async def test_what_stands_is_told_before_anything_is_changed() -> None:
    """At every reading: what is told is what was read, and nothing was applied to it yet."""
    kernel = WatchedKernel()
    told: list[tuple[str, int]] = []

    def remember(observed: Observed) -> None:
        told.append((observed.sysctls[NODEST], len(kernel.applied)))

    await Reconciler(Facts(config()), kernel, News(), remember=remember).round()

    assert told == [("0", 0)]
    assert kernel.sysctls[NODEST] == "1"
    await trio.lowlevel.checkpoint()


def keeper(of: Config, remembered: memory.Memory, file: Path) -> Keeper:
    return Keeper(of, Ownership(of), remembered, file)


def test_the_first_record_stays_and_later_names_join_it(tmp_path: Path) -> None:
    """A device may come late; what is known already is ours by then, and no record of what was."""
    file = tmp_path / "state.json"
    keeps = keeper(config(tcp=600.0), memory.Memory(), file)
    late = {NODEST: "1", REUSE: "0", "net.ipv4.other": "5"}

    keeps.note(Observed(sysctls={NODEST: "0"}, timeouts=(900.0, 120.0, 300.0)))
    keeps.note(Observed(sysctls=late, timeouts=(600.0, 120.0, 300.0)))

    recalled, _ = memory.recall(file)
    assert recalled.sysctls_before == {NODEST: "0", REUSE: "0"}
    assert recalled.timeouts_before == (900.0, 120.0, 300.0)


def test_who_changes_nothing_records_nothing(tmp_path: Path) -> None:
    """Neither sysctls that are reported alone, nor time-outs that the file leaves to the kernel."""
    remembered = memory.Memory()

    keeper(config("report"), remembered, tmp_path / "state.json").note(
        Observed(sysctls={NODEST: "0"})
    )

    assert (remembered.sysctls_before, remembered.timeouts_before) == ({}, None)
