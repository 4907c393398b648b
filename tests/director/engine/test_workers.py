"""engine/workers: our own processes, over real sockets."""

import math

import msgspec
import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from director.engine.workers import Workers
from director.model.address import Prefix
from director.model.event import Change
from director.model.vip import Router, Vip
from director.wire.framing import frame
from director.wire.messages import (
    Beat,
    HandOver,
    Hello,
    Levels,
    Message,
    Role,
    Roles,
    Snapshot,
    TableReady,
    Targets,
    Transition,
)
from tests.director.engine.scene import ONE, TWO, TWO_KEYS, Scene, config_of, standing
from tests.director.engine.talk import Talker, call

pytestmark = pytest.mark.trio
ROUTER = Router(
    name="web",
    vrid=51,
    interface="eth0",
    source="192.0.2.2",
    priority=150,
    interval=0.1,
    vips=(Vip(Prefix("192.0.2.10", 32), "eth0"),),
)
SNAPSHOT = Snapshot("lb1", "digest", (ROUTER,))
HELD = Role("web", 51, "active", 150, 1.0, ("192.0.2.10",))
VRRP = Hello("vrrp", "vrrp", 7)


def hello(number: int = 1) -> Hello:
    return Hello("checks", f"checks@{number}", 100 + number)


@pytest.fixture
def scene() -> Scene:
    return Scene(config_of())


@pytest.fixture
def workers(scene: Scene) -> Workers:
    return Workers(scene.facts, scene.news, SNAPSHOT)


async def greet(nursery: trio.Nursery, workers: Workers, who: Hello) -> tuple[Talker, Targets]:
    talker = call(nursery, workers.converse)
    await talker.say(who)
    return talker, await dealt(talker)


async def dealt(talker: Talker) -> Targets:
    message = await talker.hear()
    assert isinstance(message, Targets)
    return message


async def test_who_connects_is_told_everything(
    nursery: trio.Nursery, scene: Scene, workers: Workers
) -> None:
    """All targets, and what is already believed of them."""
    scene.facts.learn_standings([standing(ONE, "down")], now=0.0)

    _, targets = await greet(nursery, workers, hello())

    assert {target.key for target in targets.targets} == set(TWO_KEYS)
    assert targets.standings == (standing(ONE, "down"),)


@pytest.mark.parametrize("kind", [Transition, Levels])
async def test_what_a_worker_says_is_learned(
    nursery: trio.Nursery, scene: Scene, workers: Workers, kind: type[Transition] | type[Levels]
) -> None:
    """One transition or the whole level: the services it touches are news."""
    talker, targets = await greet(nursery, workers, hello())
    word = standing(ONE, "up")

    await talker.say(
        Transition(targets.epoch, word) if kind is Transition else Levels(targets.epoch, (word,))
    )
    with trio.fail_after(5):
        await scene.news.wait()

    assert scene.facts.standings == {TWO_KEYS[0]: word}
    assert scene.news.take() == {"s0"}


@pytest.mark.parametrize("epochs_off", [-1, 1])
async def test_words_about_another_list_are_dropped(
    nursery: trio.Nursery, scene: Scene, workers: Workers, epochs_off: int
) -> None:
    """A worker that has not read the newest list yet speaks of the old one."""
    talker, targets = await greet(nursery, workers, hello())
    epoch = targets.epoch + epochs_off

    await talker.say(
        Transition(epoch, standing(ONE, "down")), Levels(epoch, (standing(TWO, "down"),))
    )
    await wait_all_tasks_blocked()

    assert scene.facts.standings == {}


async def test_who_goes_leaves_its_last_word_standing(
    nursery: trio.Nursery, scene: Scene, workers: Workers
) -> None:
    """Our own failure removes no capacity; status says who is missing."""
    talker, targets = await greet(nursery, workers, hello())
    await talker.say(Transition(targets.epoch, standing(ONE, "up")))
    await wait_all_tasks_blocked()
    scene.news.take()
    assert workers.missing() == ["vrrp"]

    await talker.stream.aclose()
    await wait_all_tasks_blocked()

    assert scene.facts.standings == {TWO_KEYS[0]: standing(ONE, "up")}
    assert scene.news.take() == set()
    assert workers.states() == ()
    assert workers.missing() == ["checks", "vrrp"]


async def test_two_workers_share_and_one_that_stays_takes_all(
    nursery: trio.Nursery, workers: Workers
) -> None:
    """Each target is with one of them; each dealing is a new list with a new epoch."""
    first, alone = await greet(nursery, workers, hello(1))
    second, its_share = await greet(nursery, workers, hello(2))
    share = await dealt(first)

    keys = [target.key for part in (share, its_share) for target in part.targets]
    assert sorted(keys) == sorted(TWO_KEYS)

    await second.stream.aclose()
    again = await dealt(first)

    assert {target.key for target in again.targets} == set(TWO_KEYS)
    assert alone.epoch < share.epoch < again.epoch


UNKNOWN_ROLE = frame(
    msgspec.msgpack.encode({"type": "hello", "role": "boss", "name": "x", "pid": 1})
)
NONSENSE = {
    "no frame of ours": b"GET / HTTP/1.0\r\n\r\n",
    "a frame without a message": frame(b"\xc1"),
    "a role that nobody plays": UNKNOWN_ROLE,
}


@pytest.mark.parametrize("data", NONSENSE.values(), ids=NONSENSE)
async def test_nonsense_ends_its_own_conversation(
    nursery: trio.Nursery, workers: Workers, data: bytes
) -> None:
    """Whoever speaks it is not counted; the others go on."""
    other, _ = await greet(nursery, workers, hello())
    talker = call(nursery, workers.converse)

    await talker.stream.send_all(data)

    assert await talker.hear() is None
    assert [state.name for state in workers.states()] == ["checks@1"]
    await other.say(Beat(0.002))
    await wait_all_tasks_blocked()
    assert workers.states()[0].lateness_ms == 2.0


async def test_nonsense_after_the_hello_is_a_farewell(
    nursery: trio.Nursery, workers: Workers
) -> None:
    """A worker that breaks the protocol is gone, and connects anew."""
    talker, _ = await greet(nursery, workers, hello())

    await talker.stream.send_all(frame(b"\xc1"))

    assert await talker.hear() is None
    assert workers.states() == ()


async def test_who_does_not_say_hello_first_is_not_listened_to(
    nursery: trio.Nursery, workers: Workers
) -> None:
    """No name, no word."""
    talker = call(nursery, workers.converse)

    await talker.say(Beat(0.0), hello())

    assert await talker.hear() is None
    assert workers.states() == ()


async def test_vrrp_hears_the_routers_and_then_that_the_table_stands(
    nursery: trio.Nursery, workers: Workers
) -> None:
    """The order in which it may need them."""
    talker = call(nursery, workers.converse)
    await talker.say(VRRP)
    assert await talker.hear() == SNAPSHOT
    assert workers.missing() == ["checks"]

    workers.table_ready()

    assert await talker.hear() == TableReady()


async def test_vrrp_that_comes_late_hears_that_the_table_stands(
    nursery: trio.Nursery, workers: Workers
) -> None:
    """Ready came first, and is not said only once."""
    workers.table_ready()
    talker = call(nursery, workers.converse)

    await talker.say(VRRP)

    assert [await talker.hear(), await talker.hear()] == [SNAPSHOT, TableReady()]


async def test_a_hand_over_reaches_vrrp_or_nobody(nursery: trio.Nursery, workers: Workers) -> None:
    """The caller learns whether anybody was told."""
    assert not workers.hand_over("web")
    talker = call(nursery, workers.converse)
    await talker.say(VRRP)
    await talker.hear()

    assert workers.hand_over("web")

    assert await talker.hear() == HandOver("web")


async def test_each_role_speaks_of_its_own_matters(
    nursery: trio.Nursery, scene: Scene, workers: Workers
) -> None:
    """A check worker holds no VIP, and vrrp probes nothing."""
    checks, _ = await greet(nursery, workers, hello())
    vrrp = call(nursery, workers.converse)
    wrong: list[Message] = [Transition(0, standing(ONE, "down")), Levels(0, (standing(TWO, "up"),))]

    await vrrp.say(VRRP, *wrong)
    await checks.say(Roles((HELD,)))
    await wait_all_tasks_blocked()

    assert not workers.roles
    assert scene.facts.standings == {}

    await vrrp.say(Roles((HELD,)))
    await wait_all_tasks_blocked()

    assert workers.roles == (HELD,)


async def test_a_role_is_told_of_when_it_changes(nursery: trio.Nursery, workers: Workers) -> None:
    """Levels come every 15 s and are no news; who let go because he was asked to did so by us."""
    told: list[Change] = []
    workers.tell = told.extend
    vrrp = call(nursery, workers.converse)
    fault = Role("web", 51, "fault", 150, 2.0, (), reason="eth0 is down")

    released = msgspec.structs.replace(HELD, role="backup")
    await vrrp.say(VRRP, Roles((HELD,)), Roles((HELD,)), Roles((fault,)), Roles((HELD,)))
    await wait_all_tasks_blocked()
    workers.hand_over("")
    await vrrp.say(Roles((released,)), Roles((HELD,)), Roles((released,)))
    await wait_all_tasks_blocked()

    assert [(one.kind, one.from_, one.by) for one in told] == [
        ("role.active", "unknown", "peer"),
        ("role.fault", "active", "kernel"),
        ("role.active", "fault", "peer"),
        ("role.backup", "active", "operator"),
        ("role.active", "backup", "peer"),
        ("role.backup", "active", "peer"),
    ]
    assert told[1] == Change("role.fault", "web", "active", "fault", "eth0 is down", "kernel")


@pytest.mark.parametrize("lateness", [math.nan, math.inf, -1.0])
async def test_a_lateness_that_cannot_be_is_not_shown(
    nursery: trio.Nursery, workers: Workers, lateness: float
) -> None:
    """`status --json` has no word for it."""
    talker, _ = await greet(nursery, workers, hello())

    await talker.say(Beat(0.001), Beat(lateness))
    await wait_all_tasks_blocked()

    assert [state.lateness_ms for state in workers.states()] == [1.0]


async def test_a_second_hello_changes_nobody(nursery: trio.Nursery, workers: Workers) -> None:
    """Who one is, is said once."""
    talker, _ = await greet(nursery, workers, hello(1))

    await talker.say(hello(2))
    await wait_all_tasks_blocked()

    assert [state.name for state in workers.states()] == ["checks@1"]


async def test_vrrp_that_goes_moves_no_probe(nursery: trio.Nursery, workers: Workers) -> None:
    """Only a check worker's leaving is a reason to deal anew."""
    checks, targets = await greet(nursery, workers, hello())
    vrrp = call(nursery, workers.converse)
    await vrrp.say(VRRP)
    await vrrp.hear()

    await vrrp.stream.aclose()
    await wait_all_tasks_blocked()
    await checks.stream.aclose()
    _, again = await greet(nursery, workers, hello())

    # One dealing when the worker went, one when it came.
    assert again.epoch == targets.epoch + 2


async def test_one_that_hangs_is_let_go_and_its_targets_are_dealt_anew(
    nursery: trio.Nursery, workers: Workers, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    Its socket is open all the time; whoever beats keeps its place, and gets the other's targets.
    """
    monkeypatch.setattr("director.engine.workers.SILENT_MAX", 0.5)
    monkeypatch.setattr("director.engine.workers.BEAT_EVERY", 0.05)
    hangs, _ = await greet(nursery, workers, hello(1))
    lives, _ = await greet(nursery, workers, hello(2))
    assert isinstance(await hangs.hear(), Targets)

    async def beat() -> None:
        while True:
            await lives.say(Beat(0.0))
            await trio.sleep(0.05)

    nursery.start_soon(beat)
    nursery.start_soon(workers.beat)

    assert {target.key for target in (await dealt(lives)).targets} == set(TWO_KEYS)
    assert await hangs.hear() is None
    assert [state.name for state in workers.states()] == ["checks@2"]
