"""The loop over a kernel in memory: ramps, drains, sorry servers, by virtual time."""

from typing import Any

import msgspec
import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from director.model.address import Endpoint
from director.model.config import Config
from director.model.ops import SetDestination
from director.model.pool import Member, Place
from director.model.service import Counters
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
)
from tests.director.engine.test_reconcile import started

pytestmark = pytest.mark.trio
LAST = Endpoint("10.0.8.99", 80)
SORRY = Member(name="sorry", addresses=(LAST.address,), port=80, role="sorry")


def config_with(**changes: Any) -> Config:
    """One service, `s0`, with these rules."""
    config = config_of()
    (service,) = config.services
    return msgspec.structs.replace(config, services=(msgspec.structs.replace(service, **changes),))


def written(scene: Scene) -> list[list[int]]:
    """The weights of each round, in order."""
    return [
        [op.destination.weight for op in ops if isinstance(op, SetDestination)]
        for _, ops in scene.kernel.rounds
    ]


async def test_who_comes_back_climbs_in_twenty_steps(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    """One message a step, the last one before the time is up, and then no more."""
    scene = await started(nursery, Scene(config_with(slow_start=20.0)))
    scene.learn(standing(ONE, "down"))
    await wait_all_tasks_blocked()
    scene.kernel.rounds.clear()

    begun = trio.current_time()
    scene.learn(standing(ONE, "up"))
    await trio.sleep(60)

    assert written(scene) == [[weight] for weight in range(5, 101, 5)]
    assert [at - begun for at, _ in scene.kernel.rounds] == pytest.approx(list(range(20)))


async def test_a_drained_server_goes_when_it_is_empty(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    """Quiesced at once; removed at the first reading that counts nobody; back when undrained."""
    scene = await started(nursery, Scene(config_of()))
    scene.kernel.counters[Place(WEB, ONE)] = Counters(persistent=1)

    scene.news.tell(scene.facts.learn_override("s0", "web1", Override("drain", until=300.0)))
    await trio.sleep(2 * RESYNC + 1)
    assert scene.kernel.weights() == {ONE.address: 0, TWO.address: 100}

    scene.kernel.counters.clear()
    await trio.sleep(RESYNC)
    assert scene.kernel.weights() == {TWO.address: 100}

    scene.news.tell(scene.facts.learn_override("s0", "web1", None))
    await wait_all_tasks_blocked()
    assert scene.kernel.weights() == {ONE.address: 100, TWO.address: 100}


async def test_a_drain_ends_at_its_deadline(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    """To the instant, whoever is still there."""
    scene = await started(nursery, Scene(config_of(resync=60.0)))
    scene.kernel.counters[Place(WEB, ONE)] = Counters(active=3)

    scene.news.tell(scene.facts.learn_override("s0", "web1", Override("drain", until=7.5)))
    await trio.sleep(7.4)
    assert scene.kernel.weights() == {ONE.address: 0, TWO.address: 100}

    await trio.sleep(0.2)
    assert scene.kernel.weights() == {TWO.address: 100}


async def test_what_was_counted_before_a_drain_does_not_count(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    """Connections may have come between the last reading and the weight 0."""
    scene = await started(nursery, Scene(config_of(resync=60.0)))
    scene.kernel.counters[Place(WEB, ONE)] = Counters(active=3)

    scene.news.tell(scene.facts.learn_override("s0", "web1", Override("drain", until=300.0)))
    await wait_all_tasks_blocked()
    scene.learn(standing(TWO, "down"))  # other news of the service
    await wait_all_tasks_blocked()

    assert scene.kernel.weights() == {ONE.address: 0, TWO.address: 0}


async def test_a_drained_server_is_not_put_into_a_new_table(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    """A drain survives the engine, and the boot of the machine."""
    scene = Scene(config_of())
    scene.facts.overrides["s0", "web1"] = Override("drain", until=300.0)
    await started(nursery, scene)

    assert scene.kernel.weights() == {TWO.address: 100}


async def test_the_sorry_server_serves_while_nobody_else_does(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    """It is there at weight 0, so that one message puts it in; it comes first and goes last."""
    scene = await started(nursery, Scene(config_with(sorry=SORRY)))
    assert scene.kernel.weights() == {ONE.address: 100, TWO.address: 100, LAST.address: 0}

    scene.learn(standing(ONE, "down"))
    await wait_all_tasks_blocked()
    scene.kernel.rounds.clear()
    scene.learn(standing(TWO, "down"))
    await wait_all_tasks_blocked()
    assert scene.kernel.weights() == {ONE.address: 0, TWO.address: 0, LAST.address: 100}

    scene.learn(standing(ONE, "up"))
    await wait_all_tasks_blocked()
    assert scene.kernel.weights() == {ONE.address: 100, TWO.address: 0, LAST.address: 0}
    assert written(scene) == [[100, 0], [100, 0]]


async def test_a_fresh_engine_leaves_the_sorry_server_at_work(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    """Until the first verdicts, or until PATIENCE is over."""
    there = table(web1=0, web2=0)
    there.destinations[LAST] = table(web1=100).destinations[ONE]
    scene = Scene(config_with(sorry=SORRY), WatchedKernel({WEB: there}))
    nursery.start_soon(scene.reconciler.run)

    await trio.sleep(PATIENCE - 1)
    assert scene.kernel.weights() == {ONE.address: 0, TWO.address: 0, LAST.address: 100}

    scene.all_up()
    await wait_all_tasks_blocked()
    assert scene.kernel.weights() == {ONE.address: 100, TWO.address: 100, LAST.address: 0}


async def test_panic_serves_with_all(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """More fail than can be true: a broken check takes nobody out."""
    scene = await started(nursery, Scene(config_with(panic_below=0.5)))

    scene.learn(standing(ONE, "down"))
    await wait_all_tasks_blocked()
    assert scene.kernel.weights() == {ONE.address: 0, TWO.address: 100}

    scene.learn(standing(TWO, "down"))
    await wait_all_tasks_blocked()
    assert scene.kernel.weights() == {ONE.address: 100, TWO.address: 100}
