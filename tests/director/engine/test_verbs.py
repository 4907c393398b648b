"""engine/verbs: what a command may ask, over real sockets."""

import errno
import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from director.engine import memory
from director.engine.journal import Journal
from director.engine.operator import FOR_MAX
from director.engine.verbs import ASK_MAX, REQUESTS_MAX, Verbs
from director.engine.workers import Workers
from director.errors import Exit
from director.model.config import Config
from director.model.state import State
from director.policy.weight import Override
from director.wire.messages import Answer, Ask, Beat, HandOver, Message, Snapshot
from tests.director.engine.scene import Scene, config_of, no_firewall
from tests.director.engine.talk import WITHIN, Talker, call
from tests.director.engine.test_workers import ROUTER, SNAPSHOT, VRRP

pytestmark = pytest.mark.trio
BOTH = [("s0", "web1"), ("s1", "web1")]


class Engine(Scene):
    """A scene that answers."""

    def __init__(self, config: Config, state_file: Path, snapshot: Snapshot = SNAPSHOT) -> None:
        super().__init__(config)
        self.state_file = state_file
        self.workers = Workers(self.facts, self.news, snapshot)
        self.journal = Journal(config.node, (), self.workers.programs.ask)
        self.reconciler.tell = self.workers.tell = self.journal.tell
        self.verbs = Verbs(
            facts=self.facts,
            reconciler=self.reconciler,
            workers=self.workers,
            firewall=no_firewall(config),
            journal=self.journal,
            news=self.news,
            remembered=memory.Memory(),
            state_file=state_file,
        )


@pytest.fixture
async def engine(tmp_path: Path) -> Engine:
    config = msgspec.structs.replace(config_of(2), routers=(ROUTER,))
    engine = Engine(config, tmp_path / "state.json")
    await engine.reconciler.round()
    return engine


@pytest.fixture
def control(nursery: trio.Nursery, engine: Engine) -> Talker:
    return call(nursery, engine.verbs.control)


async def ask(talker: Talker, verb: str, **args: str) -> Answer:
    await talker.say(Ask(verb, args))
    answer = await talker.hear()
    assert isinstance(answer, Answer)
    return answer


async def test_status_is_the_state(engine: Engine, nursery: trio.Nursery) -> None:
    """At view.sock; its status says whether all is well, and here nobody probes or speaks VRRP."""
    answer = await ask(call(nursery, engine.verbs.view), "status")

    state = msgspec.json.decode(answer.body, type=State)
    assert answer.status == Exit.NO
    assert [finding.object for finding in state.findings][:2] == ["checks", "vrrp"]
    assert [service.name for service in state.services] == ["s0", "s1"]


async def test_all_well_is_0(tmp_path: Path, nursery: trio.Nursery) -> None:
    """A file without services or routers needs nobody."""
    quiet = Engine(config_of(0), tmp_path / "state.json", Snapshot("lb1", "", ()))
    await quiet.reconciler.round()

    answer = await ask(call(nursery, quiet.verbs.view), "status")

    assert answer.status == Exit.DONE


@pytest.mark.parametrize(
    "verb", ["maintenance", "drain", "undrain", "weight", "failover", "clear", ""]
)
async def test_nobody_changes_anything_at_the_view_socket(
    engine: Engine, nursery: trio.Nursery, verb: str
) -> None:
    """Its group may read. What does not exist is not to be asked either."""
    view = call(nursery, engine.verbs.view)

    answer = await ask(view, verb, server="web1", switch="on", weight="0")

    assert answer.status == Exit.RIGHTS
    assert "director-admin" in answer.faults[0].mend
    assert engine.facts.overrides == {}


async def test_the_control_socket_reads_too(control: Talker) -> None:
    """Who may change may look."""
    assert (await ask(control, "status")).status == Exit.NO


WORDS: dict[str, tuple[str, dict[str, str], dict[tuple[str, str], Override]]] = {
    "everywhere": (
        "maintenance", {"server": "web1", "switch": "on"},
        dict.fromkeys(BOTH, Override("maintenance")),
    ),
    "in one service": (
        "maintenance", {"server": "s1/web1", "switch": "on"},
        {("s1", "web1"): Override("maintenance")},
    ),
    "a number": ("weight", {"server": "s0/web2", "weight": "65535"}, {("s0", "web2"): Override("weight", 65535)}),
    "nothing": ("weight", {"server": "s0/web2", "weight": "0"}, {("s0", "web2"): Override("weight", 0)}),
    "a share": (
        "weight", {"server": "s0/web2", "weight": "50%"},
        {("s0", "web2"): Override("weight", 50, percent=True)},
    ),
}  # fmt: skip


@pytest.mark.parametrize("row", WORDS.values(), ids=WORDS)
async def test_an_operators_word_is_learned_recorded_and_told(
    engine: Engine,
    control: Talker,
    row: tuple[str, dict[str, str], dict[tuple[str, str], Override]],
) -> None:
    """In the facts for the loop, on disk for the next engine; the answer names the places."""
    verb, args, overrides = row
    answer = await ask(control, verb, **args)

    places = [f"{service}/{server}" for service, server in overrides]
    assert (answer.status, json.loads(answer.body)) == (Exit.DONE, places)
    assert engine.facts.overrides == overrides
    recalled, _ = memory.recall(engine.state_file)
    assert memory.to_overrides(recalled, trio.current_time()) == overrides
    assert engine.news.take() == {service for service, _ in overrides}


async def test_a_weight_for_a_time(
    engine: Engine, autojump_clock: trio.testing.MockClock, control: Talker
) -> None:
    """The deadline is an instant of the engine's clock."""
    await trio.sleep(100)

    await ask(control, "weight", server="s0/web1", weight="5", **{"for": "1h"})

    assert engine.facts.overrides[("s0", "web1")].until == 3700.0


TAKEN_BACK = {
    "maintenance off": ("maintenance", {"switch": "off"}, Override("maintenance"), None),
    "maintenance off leaves a weight": (
        "maintenance", {"switch": "off"}, Override("weight", 5), Override("weight", 5),
    ),
    "undrain": ("undrain", {}, Override("drain", until=9.0), None),
    "undrain leaves a weight": ("undrain", {}, Override("weight", 5), Override("weight", 5)),
    "undrain twice": ("undrain", {}, None, None),
    "maintenance over a drain": (
        "maintenance", {"switch": "on"}, Override("drain", until=9.0), Override("maintenance"),
    ),
    "auto": ("weight", {"weight": "auto"}, Override("weight", 5), None),
    "off twice": ("maintenance", {"switch": "off"}, None, None),
    "maintenance over a weight": (
        "maintenance", {"switch": "on"}, Override("weight", 5), Override("maintenance"),
    ),
}  # fmt: skip


@pytest.mark.parametrize("row", TAKEN_BACK.values(), ids=TAKEN_BACK)
async def test_a_word_taken_back(
    engine: Engine,
    control: Talker,
    row: tuple[str, dict[str, str], Override | None, Override | None],
) -> None:
    """Each verb takes back its own word."""
    verb, args, before, after = row
    engine.facts.learn_override("s0", "web1", before)

    answer = await ask(control, verb, server="s0/web1", **args)

    assert (answer.status, json.loads(answer.body)) == (Exit.DONE, ["s0/web1"])
    assert engine.facts.overrides.get(("s0", "web1")) == after


DRAINS = {
    "the service's own time": ({"server": "web1"}, BOTH, 300.0),
    "a time": ({"server": "s1/web1", "deadline": "1m"}, [("s1", "web1")], 60.0),
    "no time": ({"server": "s1/web1", "deadline": "0s"}, [("s1", "web1")], 0.0),
}


@pytest.mark.parametrize("row", DRAINS.values(), ids=DRAINS)
async def test_a_drain_has_a_deadline(
    engine: Engine,
    autojump_clock: trio.testing.MockClock,
    control: Talker,
    row: tuple[dict[str, str], list[tuple[str, str]], float],
) -> None:
    """By the engine's clock; said again, it counts from then."""
    args, places, lasts = row
    for now in (100.0, 200.0):
        await trio.sleep(100)

        answer = await ask(control, "drain", **args)

        assert json.loads(answer.body) == {
            "places": ["/".join(one) for one in places],
            "seconds": lasts,
        }
        want = Override("drain", until=now + lasts, lasts=lasts)
        assert engine.facts.overrides == dict.fromkeys(places, want)


OVER = {
    "a weight over maintenance": ("weight", Override("maintenance"), "maintenance off s0/web1"),
    "a weight over a drain": ("weight", Override("drain", until=9.0), "undrain s0/web1"),
    "a drain over maintenance": ("drain", Override("maintenance"), "maintenance off s0/web1"),
}


@pytest.mark.parametrize(("verb", "before", "mend"), OVER.values(), ids=OVER)
async def test_a_word_is_not_replaced_by_a_lighter_one(
    engine: Engine, control: Talker, verb: str, before: Override, mend: str
) -> None:
    """It would put a server back into traffic that somebody took out."""
    engine.facts.learn_override("s0", "web1", before)

    answer = await ask(control, verb, server="web1", weight="5")

    assert (answer.status, mend in answer.faults[0].mend) == (Exit.NO, True)
    assert engine.facts.overrides == {("s0", "web1"): before}


REFUSED: dict[str, tuple[str, dict[str, str], Exit, str]] = {
    "no such server": ("maintenance", {"server": "web9", "switch": "on"}, Exit.NO, "web1, web2"),
    "no such service": ("weight", {"server": "s9/web1", "weight": "1"}, Exit.NO, "web1, web2"),
    "no server": ("weight", {"weight": "1"}, Exit.NO, "web1, web2"),
    "no switch": ("maintenance", {"server": "web1"}, Exit.USAGE, "on or off"),
    "a switch between": ("maintenance", {"server": "web1", "switch": "of"}, Exit.USAGE, "on or off"),
    "too heavy": ("weight", {"server": "web1", "weight": "70000"}, Exit.USAGE, "0..65535"),
    "not a number": ("weight", {"server": "web1", "weight": "12x"}, Exit.USAGE, "0..65535"),
    "negative": ("weight", {"server": "web1", "weight": "-1"}, Exit.USAGE, "0..65535"),
    "digits of another script": ("weight", {"server": "web1", "weight": "\u0661"}, Exit.USAGE, "0..65535"),
    "no weight": ("weight", {"server": "web1"}, Exit.USAGE, "0..65535"),
    "percent alone": ("weight", {"server": "web1", "weight": "%"}, Exit.USAGE, "0..65535"),
    "longer than Python reads": ("weight", {"server": "web1", "weight": "9" * 5000}, Exit.USAGE, "0..65535"),
    "no unit": ("weight", {"server": "web1", "weight": "1", "for": "5"}, Exit.USAGE, "1h"),
    "no time": ("weight", {"server": "web1", "weight": "1", "for": ""}, Exit.USAGE, "1h"),
    "for no time at all": ("weight", {"server": "web1", "weight": "1", "for": "0s"}, Exit.USAGE, "above 0s"),
    "a drain of nobody": ("drain", {"server": "web9"}, Exit.NO, "web1, web2"),
    "a drain without a unit": ("drain", {"server": "web1", "deadline": "5"}, Exit.USAGE, "1h"),
    "a drain for longer than we live": ("drain", {"server": "web1", "deadline": "9999d"}, Exit.USAGE, "3650d"),
    "for longer than we live": ("weight", {"server": "web1", "weight": "1", "for": "9" * 400 + "d"}, Exit.USAGE, "3650d"),
    "auto, for no time": ("weight", {"server": "web1", "weight": "auto", "for": "x"}, Exit.USAGE, "1h"),
    "no such router": ("failover", {"router": "mail"}, Exit.NO, "web"),
    "no vrrp": ("failover", {}, Exit.UNREACHABLE, "director status"),
}  # fmt: skip


@pytest.mark.parametrize("row", REFUSED.values(), ids=REFUSED)
async def test_what_is_wrong_is_said_and_nothing_changes(
    engine: Engine, control: Talker, row: tuple[str, dict[str, str], Exit, str]
) -> None:
    """A fault with its mend, and the conversation goes on."""
    verb, args, status, mend = row
    answer = await ask(control, verb, **args)

    assert answer.status == status
    assert mend in answer.faults[0].mend
    assert engine.facts.overrides == {}
    assert (await ask(control, "status")).status == Exit.NO


async def test_the_longest_time_is_a_time(engine: Engine, control: Talker) -> None:
    """The limit itself is inside."""
    answer = await ask(control, "weight", server="web1", weight="1", **{"for": "3650d"})

    assert answer.status == Exit.DONE
    assert engine.facts.overrides[BOTH[0]].until == pytest.approx(
        trio.current_time() + FOR_MAX, abs=WITHIN
    )


@pytest.mark.parametrize("weight", ["50", "auto"])
async def test_a_weight_does_not_end_maintenance(
    engine: Engine, control: Talker, weight: str
) -> None:
    """Somebody works on that machine: traffic comes back by their word alone, in no service."""
    engine.facts.learn_override("s1", "web1", Override("maintenance"))

    answer = await ask(control, "weight", server="web1", weight=weight)

    assert answer.status == Exit.NO
    assert answer.faults[0].mend == "director maintenance off s1/web1"
    assert engine.facts.overrides == {("s1", "web1"): Override("maintenance")}


async def test_failover_tells_vrrp(engine: Engine, nursery: trio.Nursery, control: Talker) -> None:
    """The named router, or all of them."""
    vrrp = call(nursery, engine.workers.converse)
    await vrrp.say(VRRP)
    assert await vrrp.hear() == SNAPSHOT

    one = await ask(control, "failover", router="web")
    every = await ask(control, "failover")

    assert (one.status, every.status) == (Exit.DONE, Exit.DONE)
    assert [await vrrp.hear(), await vrrp.hear()] == [HandOver("web"), HandOver("")]


async def test_a_full_disk_does_not_stop_an_operator(
    engine: Engine, control: Talker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The word counts at once; that it is not recorded is said: done in part."""

    def full(*_args: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(memory, "write_whole", full)

    answer = await ask(control, "maintenance", server="s0/web1", switch="on")

    assert answer.status == Exit.PARTLY
    assert "No space left on device" in answer.faults[0].fault
    assert engine.facts.overrides == {("s0", "web1"): Override("maintenance")}
    assert engine.news.take() == {"s0"}


async def test_a_frame_that_no_command_needs_ends_the_conversation(control: Talker) -> None:
    """An ask is small; who announces more is not waited for."""
    await control.stream.send_all((ASK_MAX + 1).to_bytes(4, "big"))

    assert await control.hear() is None


@pytest.mark.parametrize("message", [Beat(0.0), Answer(0)])
async def test_only_asks_are_answered(control: Talker, message: Message) -> None:
    """Anything else is not for this door."""
    await control.say(message)

    assert await control.hear() is None


async def test_a_connection_asks_so_often_and_not_more(control: Talker) -> None:
    """Every loop has its bound."""
    for _ in range(REQUESTS_MAX):
        assert (await ask(control, "status")).status == Exit.NO

    await control.say(Ask("status"))

    assert await control.hear() is None


async def test_who_asks_and_does_not_read_costs_nobody_else(
    engine: Engine, nursery: trio.Nursery
) -> None:
    """Its answers wait in its own queue; the next one is answered at once."""
    deaf = call(nursery, engine.verbs.view)
    await deaf.say(*[Ask("status")] * REQUESTS_MAX)
    await wait_all_tasks_blocked()

    answer = await ask(call(nursery, engine.verbs.view), "status")

    assert answer.status == Exit.NO
