"""engine/reading: the table in pieces, and what else the loop does meanwhile."""

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import pytest
import trio

from director.engine.journal import Journal
from director.engine.reading import PIECE, Reading
from director.engine.verbs import Verbs
from director.engine.workers import Workers
from director.errors import DirectorError, Exit
from director.model.config import Config, SyncSettings
from director.model.ops import Observed
from director.model.shown import Heading, ShownService, Stats
from director.policy.pulse import KEY as PULSE
from director.policy.showing import enter_shown
from director.policy.weight import Override
from director.wire.messages import Answer, Ask
from tests.director.engine.scene import WEB, Scene, WatchedKernel, config_of, table, virtual
from tests.director.engine.talk import Talker, call
from tests.director.engine.test_workers import SNAPSHOT
from tests.fakes.look import FakeLook

pytestmark = pytest.mark.trio
STRANGER = virtual(4000)
MANY = 1200


class Reader(Scene):
    """A scene whose table can be looked at."""

    def __init__(self, config: Config, stats: Stats | None = None) -> None:
        super().__init__(config, WatchedKernel({STRANGER: table(web1=3)}))
        self.look = FakeLook(self.kernel, stats)
        self.reading = Reading(self.facts, self.reconciler, lambda: 1.0, lambda: self.look)

    async def show(self, **words: str) -> tuple[Heading, list[list[ShownService]]]:
        bodies = [one.body async for one in self.reading.show(Ask("show", words))]
        heading = msgspec.json.decode(bodies[0], type=Heading)
        return heading, [msgspec.json.decode(one, type=list[ShownService]) for one in bodies[1:]]


async def reader(services: int = 2, stats: Stats | None = None) -> Reader:
    made = Reader(config_of(services), stats)
    made.all_up()
    await made.reconciler.round()
    return made


async def test_all_of_the_table_with_names_and_health() -> None:
    """Ours in the order of the file, then what is foreign and has no name."""
    there = await reader()

    heading, (services,) = await there.show()

    assert (heading.source, heading.node, heading.version) == ("engine", "lb1", "1.2.1")
    assert [one.name for one in services] == ["s0", "s1", ""]
    assert [one.health for one in services[0].destinations] == ["up", "up"]
    assert [one.health for one in services[2].destinations] == [None]
    assert services[2].destinations[0].weight == 3


async def test_what_the_engine_made_for_itself_is_in_it() -> None:
    """Or a plan made of it would want to add it."""
    there = Reader(config_of(1, sync=True))
    there.facts.config = msgspec.structs.replace(
        there.facts.config, sync=SyncSettings(interface="lo", id=51, pulse=True)
    )
    await there.reconciler.round()
    await there.reconciler.round()

    _, (services,) = await there.show()

    observed = Observed()
    for one in services:
        list(enter_shown(observed, one))
    assert PULSE in observed.table
    assert observed.table == there.kernel.table


async def test_it_is_read_now() -> None:
    """And not what the last round had seen; a service that went away is not there."""
    there = await reader()
    there.kernel.table[WEB] = table(web1=55)
    del there.kernel.table[STRANGER]

    _, (services,) = await there.show()

    assert [one.virtual for one in services] == ["192.0.2.10:80", "192.0.2.10:81"]
    (one,) = services[0].destinations
    assert (one.weight, one.wanted) == (55, 100)


NAMES = {
    "s1": ["s1"],
    "192.0.2.10:80": ["s0"],
    "tcp/192.0.2.10:81": ["s1"],
    str(STRANGER): [""],
    "192.0.2.10:4080": [""],
}


@pytest.mark.parametrize(("word", "names"), NAMES.items(), ids=NAMES)
async def test_one_service(word: str, names: list[str]) -> None:
    """By its name, or as the file or a log spells the virtual one."""
    there = await reader()

    _, (services,) = await there.show(service=word)

    assert [one.name for one in services] == names


async def test_an_unknown_service() -> None:
    """1, and the nearest one that there is."""
    there = await reader(MANY)

    with pytest.raises(DirectorError) as error:
        await there.show(service="s-700")

    assert error.value.status == Exit.NO
    assert error.value.faults[0].mend == 'did you mean "s700"?'


async def test_counters_only_where_they_are_asked_for() -> None:
    """Of services and destinations."""
    counted = Stats(connections=3, bytes_in_s=7)
    there = await reader(1, counted)

    _, (plain,) = await there.show()
    _, (full,) = await there.show(stats="yes")

    assert (plain[0].stats, plain[0].destinations[0].stats) == (None, None)
    assert (full[0].stats, full[0].destinations[0].stats) == (counted, counted)


async def test_pieces_are_small_and_whole() -> None:
    """None is much above PIECE destinations, and together they are the table."""
    there = await reader(MANY)

    _, pieces = await there.show()

    sizes = [sum(1 + len(one.destinations) for one in piece) for piece in pieces]
    assert max(sizes) <= PIECE + 2
    assert [one.name for piece in pieces for one in piece][:-1] == [f"s{n}" for n in range(MANY)]


async def test_the_loop_turns_between_two_services() -> None:
    """
    However long the table is, whatever else the engine has to do waits for one service at most.
    """
    there = await reader(MANY)
    asked: list[int] = []

    async def something_else() -> None:
        while True:
            asked.append(len(there.look.asked))
            await trio.lowlevel.checkpoint()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(something_else)
        await there.show()
        nursery.cancel_scope.cancel()

    assert len(asked) > MANY
    assert max(after - before for before, after in pairwise(asked)) <= 2


async def zero(there: Reader, **words: str) -> list[Answer]:
    return [one async for one in there.reading.zero(Ask("zero", words))]


async def test_zero_is_for_what_is_ours() -> None:
    """Unless a foreign service is named by its address."""
    there = await reader(300)

    assert [one.body for one in await zero(there)] == ["300"]
    assert there.look.zeroed == [virtual(number) for number in range(300)]

    there.look.zeroed.clear()
    await zero(there, service=str(STRANGER))
    assert there.look.zeroed == [STRANGER]


@pytest.fixture
async def talker(nursery: trio.Nursery, tmp_path: Path) -> Talker:
    there = await reader(MANY)
    verbs = Verbs(
        facts=there.facts,
        reconciler=there.reconciler,
        workers=Workers(there.facts, there.news, SNAPSHOT),
        journal=Journal("lb1", (), lambda *_: None),
        firewall=_Quiet(),  # type: ignore[arg-type]  # nothing is asked of it
        news=there.news,
        remembered=msgspec.UNSET,  # type: ignore[arg-type]  # nor of this
        state_file=tmp_path / "state.json",
        open_look=lambda: there.look,
    )
    return call(nursery, verbs.view)


class _Quiet:
    lacking = ()


async def heard(talker: Talker) -> list[Answer]:
    """All answers to one question."""
    found: list[Answer] = []
    while not found or found[-1].more:
        answer = await talker.hear()
        assert isinstance(answer, Answer)
        found.append(answer)
    return found


async def test_two_questions_are_answered_one_after_the_other(talker: Talker) -> None:
    """Each whole, the last piece marked."""
    await talker.say(Ask("show"), Ask("show", {"service": "s5"}))

    first, second = await heard(talker), await heard(talker)

    assert len(first) > 3
    assert [len(json.loads(one.body)) for one in second[1:]] == [1]


async def test_reading_is_for_everybody_and_zeroing_is_not(talker: Talker) -> None:
    """At view.sock."""
    await talker.say(Ask("zero"))

    (answer,) = await heard(talker)

    assert answer.status == Exit.RIGHTS


async def test_a_reader_that_takes_nothing_is_let_go(
    talker: Talker, autojump_clock: trio.testing.MockClock
) -> None:
    """After SEND_WITHIN, with one piece in memory all the while."""
    await talker.say(*[Ask("show")] * 20)
    await trio.sleep(60)

    found: list[Any] = []
    while (answer := await talker.hear()) is not None:
        found.append(answer)

    assert 0 < len(found) < 100


async def test_an_override_is_told(nursery: trio.Nursery) -> None:
    """So that `plan` knows it."""
    there = await reader(1)
    there.facts.learn_override("s0", "web1", Override("maintenance"))
    there.news.tell({"s0"})
    await there.reconciler.round()

    _, (services,) = await there.show(service="s0")

    assert [one.operator for one in services[0].destinations] == ["maintenance", "none"]
