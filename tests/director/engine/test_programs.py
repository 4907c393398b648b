"""engine/programs: what the engine has run, over a link whose other end is the test."""

import logging

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from director.engine.programs import Programs
from director.engine.workers import Workers
from director.policy import lanes
from director.policy.lanes import PARALLEL, Job
from director.wire.messages import Cancel, Hello, Ran, Run, Snapshot
from tests.director.engine.scene import Scene, config_of
from tests.director.engine.talk import Talker, call

pytestmark = pytest.mark.trio
EXEC = Hello("exec", "exec", 9)


class Asked:
    """Programs with a line to them, and what they told those who asked."""

    def __init__(self, nursery: trio.Nursery) -> None:
        scene = Scene(config_of())
        self.workers = Workers(scene.facts, scene.news, Snapshot("lb1", "digest", ()))
        self.programs: Programs = self.workers.programs
        self.heard: list[Ran] = []
        self._nursery = nursery

    def ask(self, lane: str, *, urgent: bool = False) -> None:
        self.programs.ask(
            Job(
                who="hook /bin/notify",
                object=lane,
                argv=("/bin/notify", lane),
                stdin="{}",
                timeout=2.0,
                done=self.heard.append,
                urgent=urgent,
            )
        )

    async def connect(self) -> Talker:
        talker = call(self._nursery, self.workers.converse)
        await talker.say(EXEC)
        return talker


@pytest.fixture
async def asked(nursery: trio.Nursery) -> Asked:
    return Asked(nursery)


async def run_of(talker: Talker) -> Run:
    message = await talker.hear()
    assert isinstance(message, Run)
    return message


async def test_a_job_waits_for_the_process_and_is_answered(
    asked: Asked, caplog: pytest.LogCaptureFixture
) -> None:
    """Asked before anybody is there; the end is heard, logged once and recorded."""
    asked.ask("web/web1")
    exec_ = await asked.connect()

    run = await run_of(exec_)
    assert run == Run(1, ("/bin/notify", "web/web1"), "{}", 2.0)
    with caplog.at_level(logging.INFO, "director.engine"):
        await exec_.say(Ran(1, 7, 0, 0.25, "no such address"))
        await wait_all_tasks_blocked()

    assert asked.heard == [Ran(1, 7, 0, 0.25, "no such address")]
    (line,) = [one.getMessage() for one in caplog.records if "notify" in one.getMessage()]
    assert line == ("hook /bin/notify, about web/web1: exit status 7: no such address (0.25 s)")
    (state,) = asked.programs.states()
    assert (state.name, state.runs, state.failed) == ("hook /bin/notify", 1, 1)
    assert (state.last, state.last_failed) == ("exit status 7: no such address", True)


async def test_one_at_a_time_about_one_object(asked: Asked) -> None:
    """The second is said once the first has ended; another object does not wait."""
    exec_ = await asked.connect()
    for lane in ("web/web1", "web/web1", "web/web2"):
        asked.ask(lane)
    assert [(await run_of(exec_)).argv[1] for _ in range(2)] == ["web/web1", "web/web2"]

    await exec_.say(Ran(1, 0))

    assert (await run_of(exec_)).argv[1] == "web/web1"


async def test_what_was_under_way_when_the_process_went_is_not_run_again(asked: Asked) -> None:
    """Who asked is told; what waited is run by the next process."""
    exec_ = await asked.connect()
    asked.ask("web/web1")
    asked.ask("web/web1")
    await run_of(exec_)

    await exec_.stream.aclose()
    await wait_all_tasks_blocked()

    assert [ran.fault for ran in asked.heard] == ["director-exec went away"]
    assert (await run_of(await asked.connect())).id == 2


async def test_too_many_waiting_drop_the_oldest_and_are_counted(
    asked: Asked, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Bounded without a process, too; said once, however many are dropped."""
    monkeypatch.setattr(lanes, "WAITING_MAX", 3)

    for number in range(5):
        asked.ask(f"web{number}")

    assert [ran.fault for ran in asked.heard] == ["dropped: too many programs wait"] * 2
    assert asked.programs.states()[0].dropped == 2
    assert len([one for one in caplog.records if "dropped" in one.getMessage()]) == 1
    exec_ = await asked.connect()
    assert [(await run_of(exec_)).argv[1] for _ in range(3)] == ["web2", "web3", "web4"]


async def test_what_runs_is_killed_on_demand_and_what_waits_is_not_run(asked: Asked) -> None:
    """Of this object alone; who asked hears of both."""
    exec_ = await asked.connect()
    for _ in range(2):
        asked.ask("router web", urgent=True)
    await run_of(exec_)

    asked.programs.cancel("hook /bin/notify", "nothing")
    asked.programs.cancel("hook /bin/notify", "router web")

    assert await exec_.hear() == Cancel(1)
    assert asked.heard == [Ran(0, fault="cancelled")]
    await exec_.say(Ran(1, fault="cancelled"))
    await wait_all_tasks_blocked()
    assert asked.heard[1:] == [Ran(1, fault="cancelled")]


async def test_answers_that_nobody_waits_for_are_dropped(asked: Asked) -> None:
    """Of an engine before this one, or said twice."""
    exec_ = await asked.connect()
    asked.ask("web")
    await run_of(exec_)

    await exec_.say(Ran(99, 0), Ran(1, 0), Ran(1, 1))
    await wait_all_tasks_blocked()

    assert asked.heard == [Ran(1, 0)]


async def test_no_more_than_a_few_at_once(asked: Asked) -> None:
    """However many objects there are."""
    exec_ = await asked.connect()
    for number in range(PARALLEL + 1):
        asked.ask(f"web{number}")
    await wait_all_tasks_blocked()
    said = [await run_of(exec_) for _ in range(PARALLEL)]

    await exec_.say(Ran(said[0].id, 0))

    assert (await run_of(exec_)).argv[1] == f"web{PARALLEL}"
