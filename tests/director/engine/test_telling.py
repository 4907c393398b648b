"""engine/telling: the whole state in pieces of one text."""

import msgspec
import pytest
import trio

from director.engine.telling import PIECE, tell_status
from director.errors import Exit
from director.model.state import ServiceState, State
from director.policy.report import Surroundings, service_state
from director.wire.messages import Answer
from tests.director.engine.scene import ONE, Scene, config_of, standing

pytestmark = pytest.mark.trio
MANY = 1200


async def scene_of(services: int) -> Scene:
    scene = Scene(config_of(services))
    scene.all_up()
    await scene.reconciler.round()
    return scene


async def told(scene: Scene) -> list[Answer]:
    around = Surroundings(at=1.0, loaded_at=1.0, roles=(), processes=())
    return [one async for one in tell_status(scene.facts, scene.reconciler, lambda: around)]


def state_of(answers: list[Answer]) -> State:
    return msgspec.json.decode("".join(one.body for one in answers), type=State)


def services_of(scene: Scene) -> tuple[ServiceState, ...]:
    facts, desired = scene.facts, scene.reconciler.desired
    every = facts.services.values()
    return tuple(service_state(one, desired[one.name], facts.observed) for one in every)


@pytest.mark.parametrize("services", [0, 1, 2, MANY])
async def test_together_they_are_the_state(services: int) -> None:
    """However many there are; all but the last say that more follows."""
    scene = await scene_of(services)

    answers = await told(scene)

    assert state_of(answers).services == services_of(scene)
    assert [one.more for one in answers] == [*[True] * (len(answers) - 1), False]
    assert max(len(one.body) for one in answers) < PIECE * 1.1


async def test_the_last_says_whether_all_is_well() -> None:
    """As an exit status, and what is not."""
    scene = await scene_of(MANY)
    well = await told(scene)
    scene.learn(standing(ONE, "down"))
    await scene.reconciler.round()

    ill = await told(scene)

    assert (well[-1].status, ill[-1].status) == (Exit.DONE, Exit.NO)
    assert state_of(ill).findings[0].object == "s0/web1"


async def test_the_loop_turns_meanwhile() -> None:
    """Or a verdict would wait for the whole table."""
    scene = await scene_of(MANY)
    turns = 0

    async def something_else() -> None:
        nonlocal turns
        while True:
            turns += 1
            await trio.lowlevel.checkpoint()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(something_else)
        answers = await told(scene)
        nursery.cancel_scope.cancel()

    assert turns > len(answers) + 3


async def test_a_service_that_came_just_now_is_left_out() -> None:
    """Nothing is decided for it yet."""
    scene = await scene_of(2)
    del scene.reconciler.desired["s0"]

    assert [one.name for one in state_of(await told(scene)).services] == ["s1"]
