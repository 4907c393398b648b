"""engine/movers: what the commands that move addresses are told, when, and how often."""

import json
from collections.abc import Callable
from itertools import pairwise

import msgspec
import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from director.engine.movers import AGAIN_EVERY, BACK_OFF_MAX, RELEASE_AFTER, Movers
from director.engine.programs import Programs
from director.model.address import Prefix
from director.model.config import Config
from director.model.event import Mover
from director.model.vip import DUMMY, Router, Vip
from director.policy.lanes import Job
from director.wire.messages import Ran, Role, RoleName

pytestmark = pytest.mark.trio
ROUTER = Router(
    name="web",
    vrid=51,
    interface="eth0",
    source="192.0.2.2",
    priority=150,
    interval=0.1,
    vips=(Vip(Prefix("192.0.2.10", 32), DUMMY),),
)
MOVER = Mover("web", ("/usr/local/lib/director/move", "eni-7"), 20.0)
CONFIG = Config(node="lb1", interfaces={}, routers=(ROUTER,), movers=(MOVER,))
WELL, FAILED = Ran(1, 0), Ran(1, 2, output="no such address")


class Cloud(Programs):
    """Runs nothing: says how each command ends, and when."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[tuple[float, Job]] = []
        self.answer: Callable[[Job], Ran | None] = lambda _job: WELL
        self.cancelled: list[tuple[str, str]] = []

    def ask(self, job: Job) -> None:
        self.asked.append((trio.current_time(), job))
        if (ran := self.answer(job)) is not None:
            job.done(ran)

    def cancel(self, who: str, about: str) -> None:
        self.cancelled.append((who, about))
        self.asked[-1][1].done(Ran(1, fault="cancelled"))

    def told(self) -> list[tuple[str, str]]:
        """From and to, of all."""
        moves = [json.loads(job.stdin) for _, job in self.asked]
        return [(move["from"], move["to"]) for move in moves]

    def times(self) -> list[float]:
        """Seconds between them."""
        at = [when for when, _ in self.asked]
        return [after - before for before, after in pairwise(at)]


class Scene:
    """Movers at work."""

    def __init__(self, nursery: trio.Nursery) -> None:
        self.cloud = Cloud()
        self.movers = Movers(CONFIG, self.cloud)
        nursery.start_soon(self.movers.run)

    async def role(self, role: RoleName, router: str = "web") -> None:
        self.movers.learn([Role(router, 51, role, 150, 1.0, ())])
        await wait_all_tasks_blocked()


@pytest.fixture
async def scene(nursery: trio.Nursery) -> Scene:
    return Scene(nursery)


async def test_a_command_is_told_what_the_node_has_become(
    scene: Scene, autojump_clock: MockClock
) -> None:
    """As JSON; ahead of all hooks, with the router's own program and time."""
    await scene.role("active")

    ((_, job),) = scene.cloud.asked
    assert (job.argv, job.timeout, job.urgent) == (MOVER.run, 20.0, True)
    assert (job.who, job.object) == ("command /usr/local/lib/director/move", "web")
    move = json.loads(job.stdin)
    assert move.pop("at").endswith("Z")
    assert move == {
        "format": 1,
        "router": "web",
        "node": "lb1",
        "from": "unknown",
        "to": "active",
        "addresses": ["192.0.2.10/32"],
    }


async def test_roles_are_two_to_a_command(scene: Scene, autojump_clock: MockClock) -> None:
    """Who is not active releases, whatever keeps him from it; and that is said once."""
    roles: tuple[RoleName, ...] = ("off", "backup", "active", "fault", "off", "active", "backup")
    for role in roles:
        await scene.role(role)
        await trio.sleep(RELEASE_AFTER + 1)
    await trio.sleep(10 * AGAIN_EVERY)

    assert scene.cloud.told() == [
        ("unknown", "backup"),
        ("backup", "active"),
        ("active", "backup"),
        ("backup", "active"),
        ("active", "backup"),
    ]


async def test_other_routers_are_not_its_business(scene: Scene, autojump_clock: MockClock) -> None:
    """A router that announces its addresses by itself has no command."""
    await scene.role("active", router="mail")

    assert scene.cloud.asked == []


async def test_who_is_active_says_so_again(scene: Scene, autojump_clock: MockClock) -> None:
    """What somebody else changed in the cloud comes back; not worth a word in the log."""
    await scene.role("active")
    await trio.sleep(2.5 * AGAIN_EVERY)

    assert scene.cloud.told() == [("unknown", "active"), ("active", "active"), ("active", "active")]
    assert scene.cloud.times() == [AGAIN_EVERY] * 2
    assert [job.quiet for _, job in scene.cloud.asked] == [False, True, True]


async def test_a_failure_is_an_alarm_and_tried_again(
    scene: Scene, autojump_clock: MockClock
) -> None:
    """Longer apart each time, up to a bound; once it went well, all is well."""
    scene.cloud.answer = lambda _job: FAILED
    await scene.role("active")
    (alarm,) = scene.movers.lacking()
    assert (alarm.severity, alarm.object) == ("alarm", "web")
    assert alarm.fault.endswith("failed: exit status 2: no such address")

    await trio.sleep(200)
    scene.cloud.answer = lambda _job: WELL
    await trio.sleep(BACK_OFF_MAX)

    assert scene.cloud.times()[:8] == [1, 2, 4, 8, 16, 32, 60, 60]
    assert set(scene.cloud.told()) == {("unknown", "active")}
    assert scene.movers.lacking() == []


async def test_releasing_is_tried_once(scene: Scene, autojump_clock: MockClock) -> None:
    """By then the address is another's to hold; and what failed while active is no alarm now."""
    scene.cloud.answer = lambda _job: FAILED
    await scene.role("active")
    await scene.role("backup")
    assert scene.movers.lacking() == []
    await trio.sleep(1000)

    assert scene.cloud.told() == [("unknown", "active"), ("active", "backup")]
    assert scene.cloud.times() == [RELEASE_AFTER]


async def test_the_new_one_claims_before_the_old_one_releases(
    scene: Scene, autojump_clock: MockClock
) -> None:
    """Make before break; and who is active again by then has nothing to release."""
    await scene.role("active")
    await scene.role("backup")
    await trio.sleep(RELEASE_AFTER - 1)
    assert scene.cloud.told() == [("unknown", "active")]

    await scene.role("active")

    assert scene.cloud.told() == [("unknown", "active"), ("active", "active")]


async def test_a_command_whose_word_is_no_longer_true_is_killed_first(
    scene: Scene, autojump_clock: MockClock
) -> None:
    """A slow claim must not undo what the node that is active now has done."""
    scene.cloud.answer = lambda job: None if '"to":"active"' in job.stdin else WELL
    await scene.role("active")
    assert scene.cloud.cancelled == []

    await scene.role("backup")

    assert scene.cloud.cancelled == [("command /usr/local/lib/director/move", "web")]
    await trio.sleep(RELEASE_AFTER + 1)
    assert scene.cloud.told() == [("unknown", "active"), ("active", "backup")]


async def test_without_anybody_to_run_it_the_newest_word_alone_waits(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    """director-exec is away while the roles change: it will hear the last."""
    programs = Programs()
    movers = Movers(CONFIG, programs)
    nursery.start_soon(movers.run)
    roles: tuple[RoleName, ...] = ("active", "backup", "active")
    for role in roles:
        movers.learn([Role("web", 51, role, 150, 1.0, ())])
        await wait_all_tasks_blocked()

    (started,) = programs._lanes.start()

    assert json.loads(started[1].stdin)["to"] == "active"


async def test_another_file_names_other_commands(scene: Scene, autojump_clock: MockClock) -> None:
    """The same command is not told again; another one is, and the old one is never again."""
    await scene.role("active")
    roles = [Role("web", 51, "active", 150, 1.0, ())]

    scene.movers.renew(CONFIG, roles)
    await wait_all_tasks_blocked()
    assert len(scene.cloud.asked) == 1

    other = msgspec.structs.replace(MOVER, run=("/usr/local/lib/director/other",))
    scene.movers.renew(msgspec.structs.replace(CONFIG, movers=(other,)), roles)
    await trio.sleep(AGAIN_EVERY + 1)

    assert [job.argv for _, job in scene.cloud.asked] == [MOVER.run, other.run, other.run]
