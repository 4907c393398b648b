"""engine/canary and what a loss leads to, in virtual time over a kernel in memory."""

import msgspec
import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from director.engine import canary
from director.engine.canary import EVERY
from director.engine.reconcile import Reconciler
from director.engine.reload import in_slices
from director.model.config import Config
from director.model.ops import SetSysctl, StartSync
from director.model.service import Destination, ServiceSettings, VirtualService
from director.policy.drift import SWEEP
from director.policy.renewal import prepare
from director.policy.rivals import TIMES
from tests.director.engine.scene import ONE, Scene, config_of, standing, virtual

pytestmark = pytest.mark.trio
RESYNC = 60.0


async def watched(nursery: trio.Nursery, config: Config) -> tuple[Scene, list[float]]:
    """A scene with canaries, and when its table was lost."""
    scene = Scene(config)
    losses: list[float] = []
    scene.reconciler = Reconciler(
        scene.facts, scene.kernel, scene.news, lost=lambda: losses.append(trio.current_time())
    )
    scene.all_up()
    await nursery.start(scene.reconciler.run)
    nursery.start_soon(canary.watch, scene.reconciler, scene.kernel)
    await wait_all_tasks_blocked()
    scene.kernel.rounds.clear()
    scene.kernel.readings.clear()
    return scene, losses


async def test_a_table_that_was_cleared_stands_again_at_the_next_canary(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    """However long a reading is away: one reading, all of it put back and counted by kind."""
    scene, losses = await watched(nursery, config_of(5, resync=RESYNC))
    before = scene.kernel.observe().table
    scene.kernel.readings.clear()

    await trio.sleep(1.05)
    scene.kernel.table.clear()
    await trio.sleep(EVERY)

    assert scene.kernel.table == before
    assert len(scene.kernel.readings) == 1
    assert scene.reconciler.repairs == {"service lost": 5, "destination lost": 10}
    assert losses == []  # nothing is synced


@pytest.mark.parametrize(("value", "told"), [("1", 1), ("0", 0)])
async def test_a_lost_table_is_told_where_the_peer_alone_has_the_connections(
    nursery: trio.Nursery, autojump_clock: MockClock, value: str, told: int
) -> None:
    """They are swept with their destinations here, and were synced. Before anything is repaired."""
    config = config_of(5, sync=True, resync=RESYNC)
    single = msgspec.structs.replace(config.kernel, sysctl={SWEEP: value})
    scene, losses = await watched(nursery, msgspec.structs.replace(config, kernel=single))

    scene.kernel.table.clear()
    await trio.sleep(2 * EVERY)

    assert len(losses) == told


async def test_clients_are_shielded_before_anything_is_mended(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    """Once for a loss, with the table as it was lost; and never while it stands."""
    scene = Scene(config_of(5, resync=RESYNC))
    shielded: list[tuple[float, int]] = []
    scene.all_up()
    await nursery.start(scene.reconciler.run)
    nursery.start_soon(
        canary.watch,
        scene.reconciler,
        scene.kernel,
        lambda: shielded.append((trio.current_time(), len(scene.kernel.table))),
    )

    await trio.sleep(1.05)
    scene.kernel.table.clear()
    await trio.sleep(1.0)

    ((at, left),) = shielded
    assert at == pytest.approx(1.1)
    assert left == 0


async def test_one_service_that_was_removed_is_found_in_turn(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    """Each is asked for once in as many canaries as there are services; no table is lost."""
    scene, losses = await watched(nursery, config_of(5, sync=True, resync=RESYNC))

    del scene.kernel.table[virtual(3)]
    await trio.sleep(5 * EVERY + 0.01)

    assert virtual(3) in scene.kernel.table
    assert scene.reconciler.repairs["service lost"] == 1
    assert losses == []


async def test_a_quiet_table_is_asked_and_not_read(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    """Three messages each time, and no reading."""
    scene, _ = await watched(nursery, config_of(50, resync=RESYNC))

    await trio.sleep(10.0)

    assert scene.kernel.readings == []


async def test_a_service_that_the_kernel_refuses_is_not_missed(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    """What we do not believe to stand is not asked for: no reading each tenth of a second."""
    scene, _ = await watched(nursery, config_of(3, resync=RESYNC))
    scene.kernel.refuse = lambda op: 12 if getattr(op, "key", None) == virtual(0) else 0

    del scene.kernel.table[virtual(0)]
    await trio.sleep(10.0)

    assert 10 <= len(scene.kernel.readings) <= 12  # each RETRY_AFTER


async def test_every_kind_of_drift_has_its_name(
    nursery: trio.Nursery, autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    """Found by the next reading, repaired, and counted by what it was."""
    caplog.set_level("INFO")
    scene, _ = await watched(nursery, config_of(3, sync=True, resync=2.0))
    kernel = scene.kernel
    before = kernel.observe((SWEEP,))
    ends = kernel.table[virtual(1)].destinations

    kernel.table[virtual(0)] = VirtualService(
        ServiceSettings("rr"), kernel.table[virtual(0)].destinations
    )
    ends[ONE] = Destination(weight=7)
    del kernel.table[virtual(2)].destinations[ONE]
    kernel.apply([SetSysctl(SWEEP, "0")])
    del kernel.sync["backup"]
    await trio.sleep(2.1)

    assert kernel.observe((SWEEP,)) == before
    assert scene.reconciler.repairs == {
        "service changed": 1,
        "destination changed": 1,
        "destination lost": 1,
        "sysctl changed": 1,
        "sync daemon lost": 1,
    }
    assert (
        "repaired, destination changed: tcp/192.0.2.10:81 10.0.8.11:80 weight 7 -> 100"
        in caplog.text
    )
    assert "repaired, sync daemon lost: sync backup start on lo" in caplog.text
    assert any(isinstance(op, StartSync) for op in kernel.applied)


async def test_a_rival_ends_in_an_alarm_and_a_pause(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    """
    Who clears one service again and again is not fought: repaired five times, then once a pause;
    news of ours are applied all the same, and once he stops the alarm goes and all is repaired.
    """
    scene, _ = await watched(nursery, config_of(2, resync=2.0))
    with trio.move_on_after(30.0):
        while True:
            scene.kernel.table.pop(virtual(0), None)
            await trio.sleep(0.5)

    assert scene.reconciler.repairs["service lost"] in (TIMES, TIMES + 1, TIMES + 2)
    (alarm,) = scene.reconciler.findings()
    assert (alarm.severity, alarm.object) == ("alarm", str(virtual(0)))
    assert virtual(1) in scene.kernel.table

    scene.learn(standing(ONE, "down"))
    await wait_all_tasks_blocked()
    assert scene.kernel.weights(1)[ONE.address] == 0

    await trio.sleep(120.0)
    assert scene.reconciler.findings() == ()
    assert scene.kernel.weights(0) == scene.kernel.weights(1)


async def test_a_table_that_cannot_be_read_is_an_alarm(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    """As long as it lasts."""
    scene, _ = await watched(nursery, config_of(1, resync=2.0))

    def fail() -> None:
        raise OSError(12, "Cannot allocate memory")

    scene.kernel.while_read = fail
    await trio.sleep(2.1)
    assert "Cannot allocate memory" in scene.reconciler.findings()[0].fault

    scene.kernel.while_read = lambda: None
    await trio.sleep(2.0)
    assert scene.reconciler.findings() == ()


async def test_what_another_file_brings_is_watched(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    """Also where the file before had no service at all."""
    scene, _ = await watched(nursery, config_of(0, resync=RESYNC))
    facts = scene.facts
    other = config_of(1, resync=RESYNC)
    renewal = await in_slices(prepare(facts.config, facts.services, facts.probing, other, {}))
    await in_slices(facts.renew(renewal, 0.0))
    await scene.reconciler.renew((), ())
    scene.all_up()
    scene.news.tell({"s0"})
    await trio.sleep(2 * EVERY)

    scene.kernel.table.clear()
    await trio.sleep(2 * EVERY)

    assert virtual(0) in scene.kernel.table
