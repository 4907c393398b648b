"""engine/firewall: our tables, and the one who loads them."""

import errno
from collections.abc import Sequence

import msgspec
import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from director.engine import firewall
from director.engine.firewall import SHIELD, TRY_AGAIN_AFTER, Firewall, load
from director.model.address import Family, Prefix
from director.model.config import Config
from director.model.match import Match
from director.model.service import Protocol
from director.policy.firewall import digest_in, ruleset
from tests.director.engine.scene import RESYNC, config_of
from tests.director.engine.test_workers import ROUTER

pytestmark = pytest.mark.trio
CONFIG = msgspec.structs.replace(config_of(), routers=(ROUTER,))
NOTHING = msgspec.structs.replace(config_of(), services=())
GUARDED = msgspec.structs.replace(
    config_of(),
    services=tuple(
        msgspec.structs.replace(one, allow=(Prefix("10.0.0.0", 8),)) for one in config_of().services
    ),
)


class Tables:
    """nf_tables in memory, with the nft that fills them. `say` is what nft answers."""

    def __init__(self) -> None:
        self.there: dict[Family, str] = {}
        self.loaded: list[str] = []
        self.opened: list[tuple[Family, float]] = []
        self.say = ""
        self.refuse = 0

    def comment(self, family: Family, table: str) -> str | None:
        if self.refuse:
            raise OSError(self.refuse, "refused")
        assert table == "director"
        return self.there.get(family)

    def open(self, table: str, name: str, seconds: float, family: Family) -> int:
        assert (table, name) == ("director", "lost")
        if family not in self.there:
            return errno.ENOENT
        self.opened.append((family, seconds))
        return 0

    async def load(self, script: str) -> str:
        self.loaded.append(script)
        if self.say:
            return self.say
        family = Family.IPV6 if "table ip6 " in script else Family.IPV4
        if digest_in(script):
            self.there[family] = digest_in(script)
        else:
            del self.there[family]
        return ""


@pytest.fixture
def tables() -> Tables:
    return Tables()


async def run(
    nursery: trio.Nursery, clock: MockClock, config: Config, tables: Tables, waits: Sequence[float]
) -> Firewall:
    """A firewall that has looked once, and again after each wait."""
    wall = Firewall(config, open_tables=lambda: tables, load_script=tables.load)
    nursery.start_soon(wall.run)
    for seconds in (0.0, *waits):
        await wait_all_tasks_blocked()
        clock.jump(seconds)
    await wait_all_tasks_blocked()
    return wall


async def test_it_is_loaded_once(
    nursery: trio.Nursery, mock_clock: MockClock, tables: Tables
) -> None:
    """What stands is left alone, with the elements that vrrp has put there."""
    wall = await run(nursery, mock_clock, CONFIG, tables, [RESYNC] * 3)

    assert len(tables.loaded) == 1
    assert wall.lacking == ()


async def test_a_flush_by_hand_is_mended(
    nursery: trio.Nursery, mock_clock: MockClock, tables: Tables
) -> None:
    """`nft flush ruleset`: it is there again with the next look."""
    await run(nursery, mock_clock, CONFIG, tables, [])
    before = dict(tables.there)
    tables.there.clear()

    mock_clock.jump(RESYNC)
    await wait_all_tasks_blocked()

    assert tables.there == before


async def test_a_table_of_an_older_file_goes(
    nursery: trio.Nursery, mock_clock: MockClock, tables: Tables
) -> None:
    """Without services nothing of ours is left."""
    tables.there = {Family.IPV4: "older"}

    await run(nursery, mock_clock, NOTHING, tables, [])

    assert tables.loaded == ["delete table ip director\n"]
    assert tables.there == {}


async def test_a_kernel_without_it_is_a_notice(
    nursery: trio.Nursery, mock_clock: MockClock, tables: Tables, caplog: pytest.LogCaptureFixture
) -> None:
    """It says what is lost and how to mend it, once; nft is not started every two seconds."""
    tables.say = "Operation not supported"

    wall = await run(nursery, mock_clock, CONFIG, tables, [RESYNC, TRY_AGAIN_AFTER - RESYNC])

    assert len(tables.loaded) == 2
    assert [(one.severity, one.object) for one in wall.lacking] == [("notice", "nftables")]
    assert "Operation not supported" in wall.lacking[0].fault
    assert caplog.text.count("Operation not supported") == 1


async def test_who_is_kept_out_is_kept_out_from_the_start(
    nursery: trio.Nursery, autojump_clock: MockClock, tables: Tables
) -> None:
    """Where a service is not for everybody, the engine goes on once the table stands."""
    await Firewall(GUARDED, open_tables=lambda: tables, load_script=tables.load).start(nursery)

    assert tables.loaded != []


async def test_a_service_that_is_open_to_everybody_is_an_alarm(
    nursery: trio.Nursery, mock_clock: MockClock, tables: Tables
) -> None:
    """The service serves all the same, and whoever looks is told what is wrong."""
    tables.say = "Operation not supported"

    wall = await run(nursery, mock_clock, GUARDED, tables, [])

    (finding,) = wall.lacking
    assert finding.severity == "alarm"
    assert "open to everybody: s0" in finding.fault


async def test_where_marks_are_ours_it_is_an_alarm(
    nursery: trio.Nursery, mock_clock: MockClock, tables: Tables
) -> None:
    """Who gets no packets is named; and vrrp is not kept waiting for what will not be."""
    (web, *rest) = config_of(2).services
    match = Match("192.0.2.10", "192.0.2.10", Protocol.TCP, 80, 80, 20)
    web = msgspec.structs.replace(web, name="ftp", matches=(match,))
    config = msgspec.structs.replace(CONFIG, services=(web, *rest))
    tables.say = "Operation not supported"

    wall = await run(nursery, mock_clock, config, tables, [])

    assert [one.severity for one in wall.lacking] == ["alarm", "notice"]
    assert wall.lacking[0].fault.startswith("nothing marks the packets of ftp, which get none: Op")
    assert wall.looked.is_set()


async def test_it_has_looked_once_its_table_stands(nursery: trio.Nursery, tables: Tables) -> None:
    """Not while nft is at work."""
    loading, let_go = trio.Event(), trio.Event()

    async def load_slowly(script: str) -> str:
        loading.set()
        await let_go.wait()
        return await tables.load(script)

    wall = Firewall(CONFIG, open_tables=lambda: tables, load_script=load_slowly)
    nursery.start_soon(wall.run)
    await loading.wait()
    assert not wall.looked.is_set()
    let_go.set()
    await wall.looked.wait()

    assert tables.there


@pytest.mark.parametrize(("config", "notices"), [(CONFIG, 1), (NOTHING, 0)])
async def test_what_cannot_be_read_matters_to_who_wants_it(
    nursery: trio.Nursery, mock_clock: MockClock, tables: Tables, config: Config, notices: int
) -> None:
    """No nf_tables at all, and a file that asks for it or not."""
    tables.refuse = errno.EPROTONOSUPPORT

    wall = await run(nursery, mock_clock, config, tables, [])

    assert len(wall.lacking) == notices
    assert tables.loaded == []


async def test_a_start_opens_the_shield(
    nursery: trio.Nursery, autojump_clock: MockClock, tables: Tables
) -> None:
    """In the table that stands from before, before the first round; it is loaded anew by nobody."""
    tables.there = {Family.IPV4: digest_in(ruleset(CONFIG, Family.IPV4))}

    await Firewall(CONFIG, open_tables=lambda: tables, load_script=tables.load).start(nursery)

    assert tables.opened == [(Family.IPV4, SHIELD)]


async def test_a_shield_outlasts_a_fresh_table(
    nursery: trio.Nursery, mock_clock: MockClock, tables: Tables
) -> None:
    """What nft loads is shut: it is opened for what is left."""
    wall = await run(nursery, mock_clock, CONFIG, tables, [])
    wall.shield(30.0)
    tables.there.clear()
    tables.opened.clear()

    mock_clock.jump(RESYNC)
    await wait_all_tasks_blocked()

    assert tables.opened == [(Family.IPV4, 30.0 - RESYNC)]


async def test_a_shorter_shield_does_not_cut_a_longer_one(
    nursery: trio.Nursery, mock_clock: MockClock, tables: Tables
) -> None:
    """It is the latest end that counts."""
    wall = await run(nursery, mock_clock, CONFIG, tables, [])
    tables.opened.clear()

    wall.shield(30.0)
    wall.shield(2.0)

    assert tables.opened == [(Family.IPV4, 30.0)] * 2


async def test_without_nf_tables_a_shield_is_nothing(
    nursery: trio.Nursery, mock_clock: MockClock, tables: Tables, caplog: pytest.LogCaptureFixture
) -> None:
    """There is a finding for that already."""
    tables.refuse = errno.EPROTONOSUPPORT
    wall = await run(nursery, mock_clock, CONFIG, tables, [])
    caplog.clear()

    wall.shield()

    assert (tables.opened, caplog.records) == ([], [])


async def test_without_nft_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """No program is searched in PATH."""
    monkeypatch.setattr(firewall, "PROGRAMS", ())

    assert await load("") == "there is no nft: install nftables"


async def test_what_nft_says_is_told() -> None:
    """Its first line, without ever touching a table."""
    said = await load("this is no ruleset\n")

    assert "syntax error" in said


async def test_another_file_is_loaded_at_once(
    nursery: trio.Nursery, mock_clock: MockClock, tables: Tables
) -> None:
    """Before `renew` returns; the same file is not loaded again, and one without ends ours."""
    wall = await run(nursery, mock_clock, CONFIG, tables, [])

    await wall.renew(CONFIG)
    assert len(tables.loaded) == 1
    await wall.renew(GUARDED)
    assert tables.there[Family.IPV4] == digest_in(ruleset(GUARDED, Family.IPV4))
    await wall.renew(NOTHING)
    assert tables.there == {}
