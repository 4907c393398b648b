"""engine/reconcile: the loop, in virtual time, over a kernel in memory."""

import errno

import msgspec
import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from director.engine import reconcile
from director.engine.reconcile import LOT, RETRY_AFTER
from director.kernel.netlink import Garbled, Torn
from director.model.address import Endpoint
from director.model.config import Config
from director.model.ops import (
    AddDestination,
    AddService,
    DeleteDestination,
    DeleteService,
    Op,
    SetDestination,
    StartSync,
)
from director.model.service import Destination, Protocol
from director.policy.serving import PATIENCE
from director.policy.weight import Override
from tests.director.engine.scene import (
    ONE,
    RESYNC,
    TWO,
    WEB,
    Scene,
    WatchedKernel,
    config_of,
    standing,
    table,
    virtual,
)

pytestmark = pytest.mark.trio
STRANGER = Endpoint("10.0.8.99", 80)


async def started(nursery: trio.Nursery, scene: Scene) -> Scene:
    """A scene whose reconciler runs, and whose first verdicts are in."""
    scene.all_up()
    await nursery.start(scene.reconciler.run)
    await wait_all_tasks_blocked()
    scene.kernel.rounds.clear()
    scene.kernel.readings.clear()
    return scene


def to(weight: int, endpoint: Endpoint = ONE, number: int = 0) -> SetDestination:
    return SetDestination(virtual(number), endpoint, Destination(weight=weight))


async def test_the_first_news_is_acted_on_at_once(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    """No settling time: the instant of the news is the instant of the operation."""
    scene = await started(nursery, Scene(config_of()))

    await trio.sleep(0.5)
    scene.learn(standing(ONE, "down"))
    await wait_all_tasks_blocked()

    assert scene.kernel.rounds == [(0.5, (to(0),))]


async def test_a_burst_costs_two_rounds(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """What arrives while the first batch is with the kernel makes the second, all of it."""
    scene = await started(nursery, Scene(config_of(20)))
    names = iter(range(1, 20))

    def more() -> None:
        for number in names:
            scene.news.tell(scene.facts.learn_override(f"s{number}", "web1", Override("weight", 7)))

    scene.kernel.meanwhile = more
    scene.news.tell(scene.facts.learn_override("s0", "web1", Override("weight", 7)))
    await wait_all_tasks_blocked()

    assert [len(ops) for _, ops in scene.kernel.rounds] == [1, 19]


async def test_one_weight_is_one_operation_and_no_reading(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    """However much stands beside it, one change costs one message."""
    scene = await started(nursery, Scene(config_of(50)))

    scene.news.tell(scene.facts.learn_override("s7", "web2", Override("maintenance")))
    await wait_all_tasks_blocked()

    assert [ops for _, ops in scene.kernel.rounds] == [(to(0, TWO, 7),)]
    assert scene.kernel.readings == []


async def test_a_refusal_is_read_back_and_tried_again(
    nursery: trio.Nursery, autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    """Shown as long as it lasts, said once, over once it is taken; no repair, for it was ours."""
    scene = await started(nursery, Scene(config_of(resync=60.0)))
    scene.kernel.refuse = lambda op: errno.ENOMEM if op == to(0) else 0

    scene.learn(standing(ONE, "down"))
    await trio.sleep(1.5 * RETRY_AFTER)

    assert [at for at, _ in scene.kernel.rounds] == [0.0, RETRY_AFTER]
    assert scene.kernel.readings == [RETRY_AFTER]
    assert [one.op for one in scene.reconciler.refused] == [to(0)]
    assert caplog.text.count("refused: ") == 1

    scene.kernel.refuse = lambda _op: 0
    await trio.sleep(RETRY_AFTER)

    assert scene.kernel.weights() == {ONE.address: 0, TWO.address: 100}
    assert scene.reconciler.refused == ()
    assert scene.reconciler.repaired == 0


async def test_a_refusal_of_what_is_no_longer_wanted_is_forgotten(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    """A server that is up again needs nothing from the kernel, so nothing is refused."""
    scene = await started(nursery, Scene(config_of(resync=60.0)))
    scene.kernel.refuse = lambda op: errno.ENOMEM if op == to(0) else 0
    scene.learn(standing(ONE, "down"))
    await trio.sleep(0.1)

    scene.learn(standing(ONE, "up"))
    await trio.sleep(RETRY_AFTER)

    assert scene.reconciler.refused == ()


async def test_other_news_does_not_hide_a_refusal(
    nursery: trio.Nursery, autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    """What is still refused stays shown, and is not said again, whatever else is told."""
    scene = await started(nursery, Scene(config_of(2, resync=60.0)))
    refused = to(3), to(3, TWO, 1)
    scene.kernel.refuse = lambda op: errno.ENOMEM if op in refused else 0

    for service, server, weight in (("s0", "web1", 3), ("s0", "web2", 5), ("s1", "web2", 3)):
        override = Override("weight", weight)
        scene.news.tell(scene.facts.learn_override(service, server, override))
        await wait_all_tasks_blocked()

    assert [one.op for one in scene.reconciler.refused] == [*refused]
    assert scene.kernel.weights()[TWO.address] == 5
    assert caplog.text.count("refused: ") == 2


async def test_what_somebody_else_changed_is_repaired_and_counted(
    nursery: trio.Nursery, autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    """A slow round reads the table, puts it right, and says so."""
    caplog.set_level("INFO")
    scene = await started(nursery, Scene(config_of()))
    caplog.clear()

    del scene.kernel.table[WEB].destinations[ONE]
    await trio.sleep(RESYNC)
    await wait_all_tasks_blocked()

    add = AddDestination(WEB, ONE, Destination(weight=100))
    assert scene.kernel.rounds == [(RESYNC, (add,))]
    assert scene.reconciler.repaired == 1
    assert "repaired: tcp/192.0.2.10:80 10.0.8.11:80 add" in caplog.text


async def test_news_that_meets_a_reading_is_no_repair(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    """Nor is it kept waiting for the reading: it is applied before."""
    scene = await started(nursery, Scene(config_of()))

    scene.reconciler._resync_at = 1.0
    await trio.sleep(0.999)
    scene.news.tell(scene.facts.learn_override("s0", "web1", Override("maintenance", until=1.0)))
    await trio.sleep(0.5)

    assert [(at, ops[0]) for at, ops in scene.kernel.rounds] == [(0.999, to(0)), (1.0, to(100))]
    assert scene.kernel.readings == [1.0]
    assert scene.reconciler.repaired == 0


async def test_draining_what_the_file_no_longer_names_is_no_repair(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    """Empty connections are seen by a reading; what follows from them was planned."""
    there = table(web1=100, web2=100)
    there.destinations[STRANGER] = Destination(weight=100)
    scene = await started(nursery, Scene(config_of(), WatchedKernel({WEB: there})))

    await trio.sleep(RESYNC + 0.1)

    on_table = [op for op in scene.kernel.applied if hasattr(op, "key")]
    assert on_table == [to(0, STRANGER), DeleteDestination(WEB, STRANGER)]
    assert scene.reconciler.repaired == 0


async def test_nothing_that_the_file_does_not_name_is_removed(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    """A foreign service is not touched, and no service at all is ever deleted."""
    foreign = {virtual(500): table(web1=3)}
    scene = Scene(config_of(2), WatchedKernel(dict(foreign)))
    await started(nursery, scene)

    scene.learn(standing(ONE, "down"), standing(TWO, "down"))
    await trio.sleep(20 * RESYNC)

    assert scene.kernel.table[virtual(500)] == foreign[virtual(500)]
    assert not any(isinstance(op, DeleteService) for op in scene.kernel.applied)
    assert set(scene.kernel.table) == {virtual(0), virtual(1), virtual(500)}


async def test_what_was_ours_leaves_after_the_first_verdicts(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    """
    The file names it no more: nothing while verdicts are missing, then quiesced, then removed once
    it is empty; none of it is a repair, and the foreign one beside it stays.
    """
    old, foreign = virtual(500), virtual(501)
    there = {old: table(web1=3, web2=4), foreign: table(web1=5)}
    scene = Scene(config_of(), WatchedKernel(there), owned=[old])
    await nursery.start(scene.reconciler.run)
    await trio.sleep(2 * RESYNC)
    assert scene.kernel.table[old] == there[old]

    scene.all_up()
    await trio.sleep(5 * RESYNC)

    gone = [op for op in scene.kernel.applied if getattr(op, "key", None) == old]
    quiet = Destination(weight=0)
    assert gone == [
        SetDestination(old, ONE, quiet),
        SetDestination(old, TWO, quiet),
        DeleteService(old),
    ]
    assert scene.kernel.table[foreign] == there[foreign]
    assert scene.reconciler.repaired == 0
    assert scene.reconciler.ownership.leaving == {}


async def test_the_table_is_ready_once_every_first_verdict_is_applied(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    """Not a moment before: whoever hears it may send clients here."""
    scene = Scene(config_of())
    await nursery.start(scene.reconciler.run)
    scene.learn(standing(ONE, "down"))
    await trio.sleep(1)
    assert not scene.reconciler.table_ready.is_set()

    scene.learn(standing(TWO, "up"))
    with trio.fail_after(0.5):
        await scene.reconciler.table_ready.wait()

    assert scene.kernel.weights() == {ONE.address: 0, TWO.address: 100}


async def test_a_verdict_that_comes_while_we_apply_is_not_ready_yet(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    """Known is not programmed: ready waits for the round that applies the last verdict."""
    scene = Scene(config_of())
    await nursery.start(scene.reconciler.run)
    ready: list[bool] = []

    def last_verdict() -> None:
        ready.append(scene.reconciler.table_ready.is_set())
        scene.learn(standing(TWO, "up"))

    scene.kernel.meanwhile = last_verdict
    scene.learn(standing(ONE, "up"))
    await scene.reconciler.table_ready.wait()

    assert ready == [False, False]
    assert scene.kernel.weights() == {ONE.address: 100, TWO.address: 100}


async def test_the_table_is_ready_at_the_deadline_whatever_is_missing(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    """A check worker that never comes does not keep the VIPs down for ever."""
    scene = Scene(config_of(resync=60.0))
    await nursery.start(scene.reconciler.run)

    await scene.reconciler.table_ready.wait()

    assert trio.current_time() == PATIENCE


async def test_a_table_that_stands_is_adopted(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    """A fresh engine that knows nothing yet changes nothing, however long that lasts."""
    scene = Scene(config_of(), WatchedKernel({WEB: table(web1=70, web2=0)}))
    await nursery.start(scene.reconciler.run)

    await trio.sleep(3 * PATIENCE)

    on_table = [op for op in scene.kernel.applied if hasattr(op, "key")]
    assert on_table == []
    assert scene.kernel.weights() == {ONE.address: 70, TWO.address: 0}


async def test_an_override_ends_by_time_alone(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    """At its very instant, without news and without a reading."""
    scene = await started(nursery, Scene(config_of(resync=60.0)))

    scene.news.tell(scene.facts.learn_override("s0", "web1", Override("weight", 5, until=3.25)))
    await trio.sleep(10)

    assert scene.kernel.rounds == [(0.0, (to(5),)), (3.25, (to(100),))]
    assert scene.kernel.readings == []


async def test_sync_daemons_start_after_the_table_stands(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    """An entry that arrives before its destination would stay unbound."""
    scene = Scene(config_of(2, sync=True))
    await nursery.start(scene.reconciler.run)

    kinds = [type(op) for op in scene.kernel.applied]
    assert kinds[:2] == [AddService, AddService]
    assert kinds[-2:] == [StartSync, StartSync]


async def test_a_deadline_that_has_passed_is_not_waited_for_again(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    """
    An unnamed destination stays beyond its drain while verdicts are missing: the loop must not
    spin on the deadline behind it. (The kernel of this scene counts how often it is asked.)
    """
    there = table(web1=100, web2=100)
    there.destinations[STRANGER] = Destination(weight=100)
    scene = Scene(config_of(drain=1.0), WatchedKernel({WEB: there}))
    await nursery.start(scene.reconciler.run)

    await trio.sleep(60)

    assert scene.kernel.weights()[STRANGER.address] == 100


async def test_a_service_made_by_hand_in_the_same_moment_is_taken_over(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    """It stands already, we are told, and its destinations were taken: the next reading agrees."""
    scene = Scene(config_of(resync=60.0))

    def already(op: Op) -> int:
        if isinstance(op, AddService) and op.key not in scene.kernel.table:
            scene.kernel.table[op.key] = table()
        return 0

    scene.kernel.refuse = already
    scene.all_up()
    await nursery.start(scene.reconciler.run)
    assert [one.errno for one in scene.reconciler.refused] == [errno.EEXIST]

    await trio.sleep(RETRY_AFTER)
    await wait_all_tasks_blocked()

    assert scene.reconciler.refused == ()
    assert scene.kernel.weights() == {ONE.address: 100, TWO.address: 100}


def udp_config() -> Config:
    """The one service, of UDP."""
    config = config_of()
    (service,) = config.services
    udp = msgspec.structs.replace(WEB, protocol=Protocol.UDP)
    return msgspec.structs.replace(
        config, services=(msgspec.structs.replace(service, virtuals=(udp,)),)
    )


async def test_a_dead_server_of_udp_is_removed_and_comes_back(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    """Deleted at the instant of the verdict, added at that of the next; a reading repairs nothing."""
    scene = await started(nursery, Scene(udp_config()))
    (udp,) = scene.kernel.table

    scene.learn(standing(ONE, "down"))
    await trio.sleep(2 * RESYNC)
    scene.learn(standing(ONE, "up"))
    await wait_all_tasks_blocked()

    assert scene.kernel.rounds == [
        (0.0, (DeleteDestination(udp, ONE),)),
        (2 * RESYNC, (AddDestination(udp, ONE, Destination(weight=100)),)),
    ]
    assert scene.reconciler.repaired == 0


async def test_a_destination_that_stays_down_is_cut(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    """Quiesced at once, and removed after `cut_after` without any further news."""
    config = config_of(resync=1000.0)
    (service,) = config.services
    patient = msgspec.structs.replace(service, cut_after=30.0)
    scene = await started(nursery, Scene(msgspec.structs.replace(config, services=(patient,))))

    scene.learn(standing(ONE, "down"))
    await trio.sleep(100)

    assert scene.kernel.rounds == [(0.0, (to(0),)), (30.0, (DeleteDestination(WEB, ONE),))]


async def test_news_while_we_read_is_acted_on_between_two_slices(
    nursery: trio.Nursery, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    A long reading holds nothing up. What is applied meanwhile is neither lost, though the reading
    saw it before, nor counted as a repair; what somebody else changed is both found and counted.
    """
    monkeypatch.setattr(reconcile, "SLICE", 0.0)
    scene = await started(nursery, Scene(config_of(4, resync=10.0)))
    slices = iter(range(100))

    def meanwhile() -> None:
        number = next(slices)
        if number == 2:
            scene.news.tell(scene.facts.learn_override("s0", "web1", Override("weight", 7)))
            del scene.kernel.table[virtual(3)].destinations[ONE]

    scene.kernel.while_read = meanwhile
    await trio.sleep(10.0)
    await wait_all_tasks_blocked()

    add = AddDestination(virtual(3), ONE, Destination(weight=100))
    assert scene.kernel.rounds == [(10.0, (to(7),)), (10.0, (add,))]
    assert scene.reconciler.repaired == 1
    assert scene.kernel.weights(0)[ONE.address] == 7

    await trio.sleep(10.0)
    await wait_all_tasks_blocked()
    assert len(scene.kernel.rounds) == 2


async def test_a_table_that_cannot_be_read_is_read_again(
    nursery: trio.Nursery, autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    """Said, shown, and tried again soon; what we believe stands, and news is acted on."""
    scene = await started(nursery, Scene(config_of()))
    wrong: list[Exception] = [Torn("it changed"), Garbled("no netlink"), OSError(12, "no memory")]

    def fail() -> None:
        if wrong:
            raise wrong.pop()

    scene.kernel.while_read = fail
    await trio.sleep(RESYNC + 0.5)
    assert "no memory" in scene.reconciler.unreadable
    scene.learn(standing(ONE, "down"))
    await trio.sleep(3 * RETRY_AFTER)

    assert scene.kernel.rounds == [(RESYNC + 0.5, (to(0),))]
    assert scene.kernel.readings == [2.0, 3.0, 4.0, 5.0]
    assert scene.reconciler.unreadable == ""
    assert caplog.text.count("cannot be read") == 3


async def test_a_first_reading_that_fails_makes_nothing_ready(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    """Nothing is programmed on a guess; the table is ready after the reading that works."""
    scene = Scene(config_of())
    wrong: list[Exception] = [Torn("it changed")]
    scene.kernel.table[virtual(500)] = table(web1=1)

    def fail() -> None:
        if wrong:
            raise wrong.pop()

    scene.kernel.while_read = fail
    scene.all_up()
    await nursery.start(scene.reconciler.run)
    assert not scene.reconciler.table_ready.is_set()
    assert scene.kernel.rounds == []

    with trio.fail_after(2 * RETRY_AFTER):
        await scene.reconciler.table_ready.wait()
    assert scene.kernel.weights() == {ONE.address: 100, TWO.address: 100}


async def test_programming_can_be_slowed_down(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    """`min_resync`: the first news at once, what follows together once that time is over."""
    config = config_of(3, resync=60.0)
    slow = msgspec.structs.replace(config.kernel, min_resync=5.0)
    scene = await started(nursery, Scene(msgspec.structs.replace(config, kernel=slow)))
    await trio.sleep(10.0)

    for number in range(3):
        scene.news.tell(scene.facts.learn_override(f"s{number}", "web1", Override("weight", 7)))
        await trio.sleep(1.0)
    await trio.sleep(10.0)

    assert [(at, len(ops)) for at, ops in scene.kernel.rounds] == [(10.0, 1), (15.0, 2)]


async def test_a_flood_of_news_is_worked_off_in_lots(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    """No more than LOT services between two looks at the news, and the newest goes first."""
    many = 3 * LOT
    scene = await started(nursery, Scene(config_of(many)))
    fresh = iter(["s0"])

    def more() -> None:
        for name in fresh:
            scene.news.tell(scene.facts.learn_override(name, "web1", Override("weight", 9)))

    scene.kernel.meanwhile = more
    for number in range(many):
        scene.news.tell(scene.facts.learn_override(f"s{number}", "web1", Override("weight", 7)))
    await wait_all_tasks_blocked()

    lots = [ops for _, ops in scene.kernel.rounds]
    assert len(lots[0]) == LOT
    assert to(9) in (*lots[0], *lots[1])
    assert all(len(ops) <= LOT for ops in lots)
    assert sum(map(len, lots)) in (many, many + 1)
