"""engine/journal: the ring, those who follow it, and the hooks that are told."""

import json
import logging

import pytest
import trio

from director.engine import journal as module
from director.engine.journal import KEPT, Journal
from director.errors import DirectorError, Exit
from director.model.event import Change, Hook
from director.policy.lanes import Job

pytestmark = pytest.mark.trio
DOWN = Change("destination.down", "web/web1", "up", "down", "HTTP 503", "check")
ROLE = Change("role.active", "web", "backup", "active", "", "peer")
REPAIRED = Change("kernel.repaired", "timeouts", "", "", "timeouts tcp 900s", "kernel")


@pytest.fixture
def asked() -> list[Job]:
    return []


@pytest.fixture
def journal(asked: list[Job]) -> Journal:
    hooks = (
        Hook(("role",), ("/bin/role", "-v"), 3.0),
        Hook(("destination", "role"), ("/bin/all",)),
    )
    return Journal("lb1", hooks, asked.append)


async def test_an_event_has_the_contracts_shape(journal: Journal, asked: list[Job]) -> None:
    """On a hook's standard input: one line of JSON with these keys."""
    journal.tell([DOWN])

    (job,) = asked
    assert job.stdin.endswith("}\n")
    event = json.loads(job.stdin)
    assert event.pop("at").endswith("Z")
    assert event == {
        "format": 1,
        "seq": 1,
        "node": "lb1",
        "kind": "destination.down",
        "object": "web/web1",
        "from": "up",
        "to": "down",
        "reason": "HTTP 503",
        "by": "check",
    }


async def test_hooks_are_told_of_what_they_asked_for(journal: Journal, asked: list[Job]) -> None:
    """Each with its own program and time, about the object; none of what nobody asked for."""
    journal.tell([DOWN, ROLE, REPAIRED])

    told = [(job.who, job.object, job.argv, job.timeout, job.urgent) for job in asked]
    assert told == [
        ("hook /bin/all", "web/web1", ("/bin/all",), 10.0, False),
        ("hook /bin/role", "web", ("/bin/role", "-v"), 3.0, False),
        ("hook /bin/all", "web", ("/bin/all",), 10.0, False),
    ]


async def test_each_is_one_line_of_the_log(
    journal: Journal, caplog: pytest.LogCaptureFixture
) -> None:
    """As words and as JSON; bad news is a warning. What was done to the kernel was said already."""
    caplog.set_level(logging.INFO)

    journal.tell([DOWN, ROLE, REPAIRED])

    assert [(one.levelname, one.getMessage()) for one in caplog.records] == [
        ("WARNING", "destination.down web/web1: up -> down: HTTP 503 [check]"),
        ("INFO", "role.active web: backup -> active [peer]"),
    ]
    assert json.loads(vars(caplog.records[0])["json"])["seq"] == 1


async def test_what_came_after(journal: Journal) -> None:
    """Numbers grow by one; who names another engine, or nobody, gets all that is kept."""
    journal.tell([DOWN, ROLE, DOWN])
    told = journal.after({})
    assert [event.seq for event in told.events] == [1, 2, 3]

    def after(since: int, engine: str = told.engine) -> list[int]:
        more = journal.after({"since": str(since), "engine": engine})
        return [event.seq for event in more.events]

    assert [after(0), after(1), after(3), after(9)] == [[1, 2, 3], [2, 3], [], []]
    assert after(3, "another") == [1, 2, 3]


async def test_the_ring_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """The oldest go; numbers tell that some are missing."""
    assert KEPT == 10_000
    monkeypatch.setattr(module, "KEPT", 3)
    asked: list[Job] = []
    journal = Journal("lb1", (), asked.append)

    journal.tell([DOWN] * 5)

    told = journal.after({"since": "1"})
    assert ([event.seq for event in told.events], told.last) == ([3, 4, 5], 5)


async def test_who_follows_waits_for_news(
    nursery: trio.Nursery, autojump_clock: trio.testing.MockClock, journal: Journal
) -> None:
    """Until something happens, for all of them, and for so long at most; not for what there is."""
    journal.tell([DOWN])
    ended: list[tuple[str, float]] = []

    async def wait(name: str, **args: str) -> None:
        await journal.wait(args)
        ended.append((name, trio.current_time()))

    begun = trio.current_time()
    nursery.start_soon(lambda: wait("behind", since="0", wait="20"))
    nursery.start_soon(lambda: wait("first", since="1", wait="20"))
    nursery.start_soon(lambda: wait("second", since="1", wait="20"))
    nursery.start_soon(lambda: wait("patient", since="2", wait="20"))
    nursery.start_soon(lambda: wait("wrong", since="x", wait="20"))
    await trio.sleep(5)
    journal.tell([ROLE])
    await trio.sleep(20)

    times = {name: at - begun for name, at in ended}
    assert times == {"behind": 0, "wrong": 0, "first": 5, "second": 5, "patient": 20}


@pytest.mark.parametrize(
    "args",
    [
        {"since": "-1"},
        {"since": "x"},
        {"since": "9" * 30},
        {"wait": "31"},
        {"wait": "0.5"},
        {"since": "²"},
    ],
)
async def test_what_is_no_number_is_said(journal: Journal, args: dict[str, str]) -> None:
    """Wrong usage, and nobody waits."""
    with trio.fail_after(5):
        await journal.wait(args | {"since": args.get("since", "9")})

    with pytest.raises(DirectorError) as caught:
        journal.after(args)

    assert caught.value.status is Exit.USAGE
