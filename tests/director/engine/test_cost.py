"""engine/reconcile: a transition costs what changed, not what exists."""

import gc
from time import perf_counter

import pytest
import trio

from director.model.address import Endpoint
from director.model.check import Standing, TcpCheck
from director.model.config import Config, KernelSettings
from director.model.pool import Member, Service
from director.model.service import ServiceSettings
from director.policy.book import FREED
from director.policy.probing import target_of
from tests.director.engine.scene import Scene, virtual

pytestmark = pytest.mark.trio
FEW, MANY, EACH = 100, 5_000, 8
TRANSITIONS = 60
CHECK = TcpCheck(port=80)


def address(service: int, member: int) -> str:
    return f"10.{service >> 8}.{service & 255}.{member + 1}"


def config_of(services: int) -> Config:
    """Services with eight real servers each, nobody shared."""
    return Config(
        node="lb1",
        interfaces={},
        services=tuple(
            Service(
                name=f"s{number}",
                virtuals=(virtual(number),),
                settings=ServiceSettings(),
                members=tuple(
                    Member(name=f"m{n}", addresses=(address(number, n),), port=80, checks=(CHECK,))
                    for n in range(EACH)
                ),
            )
            for number in range(services)
        ),
        kernel=KernelSettings(resync=3600.0),
    )


async def fastest(services: int) -> float:
    """Seconds from the news of one health transition until the kernel has it, at best."""
    scene = Scene(config_of(services))
    keys = [target_of(CHECK, Endpoint(address(7, n), 80)).key for n in range(EACH)]
    for one in scene.facts.probing.targets:
        scene.facts.learn_standings([Standing(one, "up")], 0.0)
    await scene.reconciler.round()
    await scene.reconciler.round()
    took = []
    for number in range(TRANSITIONS):
        health = "down" if number // EACH % 2 == 0 else "up"
        began = perf_counter()
        scene.learn(Standing(keys[number % EACH], health))  # type: ignore[arg-type]
        await scene.reconciler.round()
        took.append(perf_counter() - began)
    assert len(scene.kernel.rounds[-1][1]) == 1
    return min(took)


async def test_a_transition_costs_the_same_whatever_stands_beside_it() -> None:
    """Of 5,000 services at most twice as long as of 100, and 5 ms in any case."""
    gc.disable()
    try:
        few, many = await fastest(FEW), await fastest(MANY)
    finally:
        gc.enable()

    assert many < 0.005
    assert many < 2 * few, f"{many * 1e6:.0f} us, and {few * 1e6:.0f} us with {FEW}"


async def test_an_old_reading_is_let_go_in_slices() -> None:
    """All of it, and what comes meanwhile is acted on before the end."""
    config = config_of(3 * FREED)
    scene = Scene(config)
    await scene.reconciler.round()
    old = scene.facts.observed
    assert old is not None
    left: list[int] = []

    async def something_else() -> None:
        while True:
            left.append(len(old.table))
            await trio.lowlevel.checkpoint()

    scene.reconciler.suspect([virtual(0)])  # so that it is read again
    async with trio.open_nursery() as nursery:
        nursery.start_soon(something_else)
        await scene.reconciler.round()
        nursery.cancel_scope.cancel()

    assert not old.table
    assert not old.counters
    assert any(0 < one < len(config.services) for one in left)  # trio shuffles: not each of them
