# The process on fakes and virtual time. Signals and Unix sockets are real: they take no time.
"""Tests of director.vrrp.stage and process."""

import ctypes
import gc
import logging
import os
import signal
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import trio
import trio.testing

from director.kernel.addresses import Held, Link
from director.kernel.watch import AddressGone, AddressIs, LinkGone, LinkIs, Lost
from director.link import Link as Line
from director.model.address import Family, Prefix
from director.model.vip import DUMMY, Router, Vip
from director.vrrp import process
from director.vrrp.claims import Claim, question
from director.vrrp.process import ENGINE_GRACE, Vrrp
from director.vrrp.sniffer import Sniffer
from director.vrrp.stage import Stage
from director.vrrp.strays import Strays
from director.wire.messages import Beat, HandOver, Hello, Message, Roles, Snapshot, TableReady
from tests.director.vrrp.fakes import (
    ETH0,
    HELD,
    PEER,
    ROUTER,
    US,
    US2,
    US3,
    VIPS,
    FakeAddresses,
    FakeAnnouncer,
    FakeSniffer,
    FakeWatch,
    Sockets,
    datagram,
)

STANDS = "IP Virtual Server\nProt\n  ->\nTCP 01020304:0050 wlc\n"
EMPTY = "IP Virtual Server\nProt\n  ->\n"
SECOND = msgspec.structs.replace(ROUTER, name="mail", vrid=52, source=US2, vips=VIPS[1:])
FIRST = msgspec.structs.replace(ROUTER, vips=VIPS[:1])


def no_strays(*_: object) -> socket.socket:
    raise OSError


class Scene:
    """A node: its kernel in memory and its runtime directory."""

    def __init__(self, runtime: Path) -> None:
        self.diary: list[str] = []
        self.runtime = runtime
        self.addresses = FakeAddresses(self.diary)
        self.announcer = FakeAnnouncer(self.diary)
        self.sockets = Sockets(self.diary)
        self.table = runtime / "ip_vs"
        self.table.write_text(STANDS)
        self.watch = FakeWatch()
        self.sniffers: list[FakeSniffer] = []
        self.stage = Stage(
            self.addresses,
            self.announcer,
            open_socket=self.sockets.open,
            table=self.table,
            open_watch=lambda _: self.watch,
            open_sniffer=self.open_sniffer,
        )
        strays = Strays(no_strays)
        self.vrrp = Vrrp(runtime, self.addresses, self.announcer, self.stage, strays)

    def snapshot(self, *routers: Router) -> None:
        self.write(msgspec.json.encode(Snapshot("lb1", "digest", routers)))

    def write(self, data: bytes) -> None:
        (self.runtime / "vrrp.json").write_bytes(data)

    def open_sniffer(self, link: Link, family: Family) -> Sniffer:
        self.sniffers.append(FakeSniffer(link, family))
        return self.sniffers[-1]

    def links(self, *links: Link) -> None:
        """These are all interfaces from now on, and the kernel says so."""
        there = {link.index for link in links}
        before = [link.index for link in self.addresses.found.values()]
        gone = [LinkGone(index) for index in before if index not in there]
        self.addresses.found = {link.name: link for link in links}
        self.watch.tell(*gone, *(LinkIs(link) for link in links))

    def roles(self) -> list[str]:
        return [role.role for role in self.stage.roles()]

    def priorities(self) -> list[int]:
        return [role.priority for role in self.stage.roles()]

    def reasons(self) -> list[str]:
        return [role.reason for role in self.stage.roles()]


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    scene = Scene(tmp_path)
    yield scene
    scene.sockets.close()


class Engine:
    """The other end of the line: keeps what it hears, says what it is told."""

    def __init__(self, path: Path, *, hangs: bool = False) -> None:
        self.path = path
        self.hangs = hangs
        self.heard: list[Message] = []
        self.lines: list[Line] = []
        self._scope = trio.CancelScope()

    async def run(self, task_status: trio.TaskStatus[None]) -> None:
        with self._scope, trio.socket.socket(trio.socket.AF_UNIX) as door:
            self.path.unlink(missing_ok=True)
            await door.bind(str(self.path))
            door.listen()
            task_status.started()
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._beat)
                while True:
                    connection, _ = await door.accept()
                    line = Line(trio.SocketStream(connection))
                    self.lines.append(line)
                    nursery.start_soon(line.pump)
                    nursery.start_soon(self._listen, line)

    async def _beat(self) -> None:
        while not self.hangs:
            for line in self.lines:
                line.say(Beat())
            await trio.sleep(1.0)

    async def _listen(self, line: Line) -> None:
        async for message in line.messages():
            self.heard.append(message)

    def die(self) -> None:
        self._scope.cancel()

    @property
    def said_roles(self) -> list[list[str]]:
        return [[one.role for one in m.roles] for m in self.heard if isinstance(m, Roles)]


async def passes(seconds: float) -> None:
    """Virtual time, and everything that happens in it."""
    await trio.testing.wait_all_tasks_blocked()
    with trio.move_on_after(seconds):
        await trio.sleep_forever()
    await trio.testing.wait_all_tasks_blocked()


async def until(condition: Callable[[], bool], within: float = 10.0) -> float:
    """Virtual seconds until it holds."""
    start = trio.current_time()
    while not condition():
        assert trio.current_time() - start < within, "not in time"
        await passes(0.005)
    return trio.current_time() - start


@pytest.fixture
async def running(scene: Scene) -> AsyncIterator[Callable[[], Any]]:
    """A function that starts the process; it is ended by SIGTERM, as it should be."""
    async with trio.open_nursery() as nursery:
        ended = trio.Event()
        begun = False

        async def main() -> None:
            await scene.vrrp.main()
            ended.set()

        async def start() -> Callable[[float], Any]:
            nonlocal begun
            begun = True
            nursery.start_soon(main)
            await trio.testing.wait_all_tasks_blocked()
            return stop

        async def stop(within: float) -> float:
            start = trio.current_time()
            signal.raise_signal(signal.SIGTERM)
            with trio.fail_after(within):
                await ended.wait()
            return trio.current_time() - start

        yield start
        if begun and not ended.is_set():
            await stop(60)


pytestmark = pytest.mark.trio


@pytest.fixture(autouse=True)
def patient(autojump_clock: Any) -> None:
    """Sockets are real: virtual time stands until they have had a moment of real time."""
    autojump_clock.autojump_threshold = 0.003


async def test_it_starts_from_the_file_without_an_engine(
    scene: Scene, running: Any, autojump_clock: Any
) -> None:
    """
    A table stands, so it need not wait: active after active_down.
    """
    scene.snapshot(ROUTER)
    await running()

    assert scene.roles() == ["backup"]
    took = await until(lambda: scene.roles() == ["active"])

    assert took == pytest.approx(0.361, abs=0.02)


async def test_a_fresh_boot_waits_for_the_engines_word(
    scene: Scene, running: Any, autojump_clock: Any
) -> None:
    """
    No VIP and no table: off, saying why, until TableReady.
    """
    scene.table.write_text(EMPTY)
    scene.snapshot(ROUTER)
    await running()
    await passes(30)

    assert (scene.roles(), scene.sockets.opened) == (["off"], [])
    assert scene.reasons() == ["waits for the engine's word that the table stands"]
    scene.stage.table_ready()
    await until(lambda: scene.roles() == ["active"], within=0.5)


async def test_a_node_with_our_vips_was_not_freshly_booted(
    scene: Scene, running: Any, autojump_clock: Any
) -> None:
    """
    No table (it cannot even be read), but a VIP: it is adopted and active soon.
    """
    scene.table.unlink()
    scene.addresses.there = {HELD[0]: 1.0}
    scene.snapshot(ROUTER)
    await running()

    assert await until(lambda: scene.roles() == ["active"]) == pytest.approx(0.15, abs=0.02)
    assert "release" not in scene.diary


TORN = {
    "no file": None,
    "empty": b"",
    "torn": b'{"type":"snapshot","node":"lb1","digest":"d","routers":[{"name":"w',
    "no text": b"\xff\xfe\x00",
    "not ours": b'{"type":"hello"}',
}


@pytest.mark.parametrize("data", TORN.values(), ids=TORN)
async def test_without_a_readable_snapshot_it_waits_for_the_engine(
    scene: Scene,
    running: Any,
    autojump_clock: Any,
    data: bytes | None,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """
    It says so, and plays what the engine says then.
    """
    if data is not None:
        scene.write(data)
    with caplog.at_level(logging.INFO):
        await running()
    assert "waiting for the engine" in caplog.text

    async with trio.open_nursery() as nursery:
        engine = Engine(scene.runtime / "workers.sock")
        await nursery.start(engine.run)
        await until(lambda: bool(engine.lines))
        engine.lines[0].say(Snapshot("lb1", "digest", (ROUTER,)))
        await until(lambda: scene.roles() == ["active"])
        engine.die()


async def test_sigterm_hands_over_and_ends_once_the_peer_is_active(
    scene: Scene, running: Any, autojump_clock: Any
) -> None:
    """
    The VIPs are held until then, and no longer.
    """
    scene.snapshot(ROUTER)
    stop = await running()
    await until(lambda: scene.roles() == ["active"])
    scene.diary.clear()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(stop, 1.0)
        await passes(0.05)
        assert scene.diary == ["send 0"]
        scene.sockets.last.deliver(datagram(90))

    assert scene.diary[:3] == ["send 0", "hear", "release"]
    assert scene.addresses.there == {}


async def test_sigterm_ends_within_its_patience_with_nobody_there(
    scene: Scene, running: Any, autojump_clock: Any
) -> None:
    """
    Two active routers, one at 0.1 s and one at 0.2 s: 4 x 0.2 + 0.5 s, and every VIP is gone.
    """
    scene.snapshot(FIRST, msgspec.structs.replace(SECOND, interval=0.2))
    stop = await running()
    await until(lambda: scene.roles() == ["active", "active"])

    assert await stop(2.0) == pytest.approx(1.3, abs=0.05)
    assert scene.addresses.there == {}
    assert [one.socket.fileno() for one in scene.sockets.opened] == [-1, -1]


async def test_sigterm_with_nothing_to_give_ends_at_once(
    scene: Scene, running: Any, autojump_clock: Any
) -> None:
    """
    One router listens, one is in fault and one was never started: nothing to wait for.
    """
    missing = msgspec.structs.replace(SECOND, interface="eth9")
    scene.snapshot(FIRST, missing)
    stop = await running()
    assert scene.roles() == ["backup", "fault"]

    assert await stop(0.1) < 0.1


async def test_sigterm_before_the_table_is_ready_ends_at_once(
    scene: Scene, running: Any, autojump_clock: Any
) -> None:
    """
    The routers still wait for the engine's word.
    """
    scene.table.write_text(EMPTY)
    scene.snapshot(ROUTER)
    stop = await running()

    assert await stop(0.1) < 0.1
    assert scene.sockets.opened == []


async def test_an_interface_that_goes_down_in_a_hand_over_ends_it(
    scene: Scene, running: Any, autojump_clock: Any
) -> None:
    """
    Its router is out; nothing starts again, not even when the interface is back.
    """
    slow = msgspec.structs.replace(ROUTER, interval=1.0)
    scene.snapshot(slow)
    stop = await running()
    await until(lambda: scene.roles() == ["active"])

    async with trio.open_nursery() as nursery:
        nursery.start_soon(stop, 1.0)
        await passes(0.01)
        scene.links()

    assert scene.addresses.there == {}
    assert len(scene.sockets.opened) == 1


async def test_an_interface_that_comes_back_while_stopping_is_too_late(
    scene: Scene, running: Any, autojump_clock: Any
) -> None:
    """
    A router in fault does not start any more while another one hands over.
    """
    missing = msgspec.structs.replace(SECOND, interface="eth9")
    scene.snapshot(msgspec.structs.replace(FIRST, interval=1.0), missing)
    stop = await running()
    await until(lambda: scene.roles() == ["active", "fault"])

    async with trio.open_nursery() as nursery:
        nursery.start_soon(stop, 6.0)
        await passes(0.01)
        scene.links(ETH0, msgspec.structs.replace(ETH0, name="eth9", index=9))

    assert len(scene.sockets.opened) == 1


async def test_only_what_changed_is_started_anew(
    scene: Scene, running: Any, autojump_clock: Any
) -> None:
    """
    The unchanged router keeps its socket and its role, and nothing of it is touched.
    """
    scene.snapshot(FIRST, SECOND)
    await running()
    await until(lambda: scene.roles() == ["active", "active"])
    first, second = scene.sockets.of(US), scene.sockets.of(US2)
    held = set(scene.addresses.there)

    scene.stage.play([FIRST, msgspec.structs.replace(SECOND, priority=120)])
    await passes(0.05)

    assert all(advert.priority == 100 for _, advert in [*first.sent, *second.sent])
    assert scene.roles() == ["active", "backup"]
    assert set(scene.addresses.there) == held
    assert second.socket.fileno() == -1
    assert first.socket.fileno() != -1
    assert await until(lambda: scene.roles() == ["active", "active"]) < 0.15
    assert scene.sockets.last.sent[0][1].priority == 120


async def test_terms_that_change_leave_the_vips_that_stay(
    scene: Scene, running: Any, autojump_clock: Any
) -> None:
    """
    No resignation, or the peer would take them; what the new file does not name goes at once.
    """
    scene.snapshot(ROUTER)
    await running()
    await until(lambda: scene.roles() == ["active"])
    sent = scene.sockets.last.sent

    scene.stage.play([msgspec.structs.replace(ROUTER, vips=VIPS[1:], lease=8.0)])
    await passes(0.01)

    assert all(advert.priority == 100 for _, advert in sent)
    assert scene.addresses.there == {HELD[1]: 8.0}


@pytest.mark.parametrize("field", ["vrid", "interface"])
async def test_another_virtual_router_of_the_same_name_adopts_nothing(
    scene: Scene, running: Any, autojump_clock: Any, field: str
) -> None:
    """
    To the others it is a new one: the old one resigns, and its VIPs go.
    """
    scene.addresses.found["eth1"] = msgspec.structs.replace(ETH0, name="eth1", index=3)
    scene.snapshot(ROUTER)
    await running()
    await until(lambda: scene.roles() == ["active"])
    old = scene.sockets.last

    other = {"vrid": 52, "interface": "eth1"}[field]
    scene.stage.play([msgspec.structs.replace(ROUTER, **{field: other})])
    await passes(0.01)

    assert old.sent[-1][1].priority == 0
    assert not any(held.index == 2 for held in scene.addresses.there)


async def test_what_the_file_no_longer_names_is_removed_and_nothing_else(
    scene: Scene, running: Any, autojump_clock: Any
) -> None:
    """
    VIPs of the file before, from the snapshot; those that we find of this one are adopted, and an
    operator's address stays. On an interface that is gone there is nothing to remove.
    """
    stranger, operators = Held(2, Prefix("192.0.2.102", 24)), Held(2, Prefix("192.0.2.77", 24))
    lost = Vip(Prefix("192.0.2.103", 24), "eth9")
    scene.addresses.there = {HELD[0]: 1.0, stranger: 0.0, operators: 0.0}
    snapshot = Snapshot("lb1", "digest", (ROUTER,), (Vip(stranger.prefix, "eth0"), lost))
    scene.write(msgspec.json.encode(snapshot))
    await running()

    assert scene.addresses.there.keys() >= {HELD[0], operators}
    assert stranger not in scene.addresses.there


@pytest.mark.parametrize("mode", ["dummy", "hook"])
async def test_in_these_modes_vips_are_on_a_dummy_and_announced_to_nobody(
    scene: Scene, running: Any, autojump_clock: Any, mode: str
) -> None:
    """
    The device is made, adverts go out as ever, nothing is announced, nobody looks out.
    """
    scene.addresses.makes = msgspec.structs.replace(ETH0, name=DUMMY, index=9)
    vips = tuple(msgspec.structs.replace(vip, interface=DUMMY) for vip in VIPS)
    scene.snapshot(msgspec.structs.replace(ROUTER, vips=vips, mode=mode))
    await running()
    await until(lambda: scene.roles() == ["active"])
    await passes(10)

    assert {held.index for held in scene.addresses.there} == {9}
    assert scene.announcer.frames == []
    assert scene.sniffers == []
    assert len(scene.sockets.last.sent) > 90


async def test_a_router_that_is_gone_from_the_file_resigns(
    scene: Scene, running: Any, autojump_clock: Any
) -> None:
    """
    At once, and its VIPs are released; one that is new in the file starts.
    """
    scene.snapshot(FIRST)
    await running()
    await until(lambda: scene.roles() == ["active"])
    scene.diary.clear()

    scene.stage.play([SECOND])
    await passes(0.01)

    assert scene.diary == ["send 0", "release", "close"]
    assert [role.router for role in scene.stage.roles()] == ["mail"]


async def test_a_router_in_fault_starts_by_itself(
    scene: Scene, running: Any, autojump_clock: Any
) -> None:
    """
    Its interface is missing at start, and appears.
    """
    scene.links()
    scene.snapshot(ROUTER)
    await running()
    await passes(3)
    assert (scene.roles(), scene.reasons()) == (["fault"], ["there is no interface eth0"])

    scene.links(ETH0)

    await until(lambda: scene.roles() == ["backup"], within=0.6)


async def test_an_interface_that_goes_down_stops_its_router(
    scene: Scene, running: Any, autojump_clock: Any
) -> None:
    """
    The hot task waits for the very socket that is closed: it is woken, resigns, is in fault, and
    starts again when the interface is up.
    """
    scene.snapshot(ROUTER)
    await running()
    await until(lambda: scene.roles() == ["active"])
    scene.diary.clear()

    scene.links(msgspec.structs.replace(ETH0, up=False))
    await until(lambda: scene.roles() == ["fault"], within=0.6)
    assert scene.diary[-3:] == ["send 0", "release", "close"]
    assert scene.reasons() == ["eth0 is down"]
    scene.links(ETH0)
    await until(lambda: scene.roles() == ["active"], within=1.5)


async def test_a_socket_is_closed_after_who_waits_was_told(
    scene: Scene, running: Any, autojump_clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    notify_closing gets the descriptor while it is still open.
    """
    told: list[bool] = []
    notify = trio.lowlevel.notify_closing
    waited_for = -1

    def note(fd: int) -> None:
        if fd == waited_for:
            told.append("close" not in scene.diary)
        notify(fd)

    scene.snapshot(ROUTER)
    await running()
    waited_for = scene.sockets.last.socket.fileno()
    monkeypatch.setattr(trio.lowlevel, "notify_closing", note)

    scene.links()
    await until(lambda: scene.roles() == ["fault"])

    assert told[:1] == [True]


async def test_interfaces_that_cannot_be_read_change_nothing(
    scene: Scene, running: Any, autojump_clock: Any
) -> None:
    """
    A busy kernel tears the list: an active router goes on.
    """
    scene.snapshot(ROUTER)
    await running()
    await until(lambda: scene.roles() == ["active"])

    scene.addresses.torn = True
    scene.watch.tell(Lost())
    await passes(3)

    assert scene.roles() == ["active"]
    scene.addresses.torn = False


async def test_interfaces_that_cannot_be_read_at_start_are_read_again(
    scene: Scene, running: Any, autojump_clock: Any
) -> None:
    """
    In fault until then.
    """
    scene.addresses.torn = True
    scene.snapshot(ROUTER)
    await running()
    assert scene.roles() == ["fault"]

    scene.addresses.torn = False

    await until(lambda: scene.roles() == ["backup"], within=1.1)


async def test_every_engine_hears_who_we_are_and_how_it_stands(
    scene: Scene, running: Any, autojump_clock: Any
) -> None:
    """
    Hello, then all roles; each change at once; a beat a second; the same for the next engine.
    """
    scene.snapshot(msgspec.structs.replace(ROUTER, interval=1.0))
    await running()
    async with trio.open_nursery() as nursery:
        for said in ([["backup"], ["active"]], [["active"]]):
            engine = Engine(scene.runtime / "workers.sock")
            await nursery.start(engine.run)
            await passes(5)
            assert engine.heard[0] == Hello("vrrp", "vrrp", os.getpid())
            assert engine.said_roles == said
            assert 4 <= sum(isinstance(m, Beat) for m in engine.heard) <= 5
            await passes(12)
            assert engine.said_roles == [*said, ["active"]]
            engine.die()
            await passes(0.05)


@pytest.mark.parametrize("hangs", [True, False], ids=["hangs", "is gone"])
async def test_without_an_engine_a_whole_peer_may_have_our_place(
    scene: Scene, running: Any, autojump_clock: Any, hangs: bool
) -> None:
    """
    No word of it for the grace time: our adverts say priority 1 until it speaks again. A restart
    in between moves nothing.
    """
    scene.snapshot(FIRST)
    await running()
    async with trio.open_nursery() as nursery:
        engine = Engine(scene.runtime / "workers.sock")
        await nursery.start(engine.run)
        await passes(ENGINE_GRACE + 5)
        assert scene.priorities() == [100]
        if hangs:
            engine.hangs = True
        else:
            engine.die()
        await passes(ENGINE_GRACE - 2)
        assert scene.priorities() == [100]
        await passes(4)
        assert scene.priorities() == [1]
        assert scene.sockets.of(US).sent[-1][1].priority == 1
        assert scene.roles() == ["active"]
        engine.die()
        await nursery.start(Engine(scene.runtime / "workers.sock").run)
        await passes(3)
        assert scene.priorities() == [100]
        nursery.cancel_scope.cancel()


async def test_an_engine_may_ask_for_a_hand_over_of_one_router(
    scene: Scene, running: Any, autojump_clock: Any
) -> None:
    """
    The other one is left alone; both is ""; the last word it hears is "off".
    """
    scene.snapshot(FIRST, SECOND)
    stop = await running()
    await until(lambda: scene.roles() == ["active", "active"])
    async with trio.open_nursery() as nursery:
        engine = Engine(scene.runtime / "workers.sock")
        await nursery.start(engine.run)
        await until(lambda: bool(engine.lines))
        engine.lines[0].say(TableReady())
        engine.lines[0].say(HandOver("mail"))
        await until(lambda: scene.reasons()[1] == "hands over")
        assert scene.reasons()[0] == "nobody else is active"
        scene.sockets.of(US2).deliver(datagram(90, vrid=52))
        await until(lambda: scene.roles() == ["active", "backup"])

        await stop(3.0)
        assert engine.said_roles[-1] == ["off", "off"]
        engine.die()


def grouped(*routers: Router) -> tuple[Router, ...]:
    return tuple(msgspec.structs.replace(router, group="edge") for router in routers)


async def test_a_group_is_handed_over_whole(
    scene: Scene, running: Any, autojump_clock: Any
) -> None:
    """
    Asked for one of its routers, both are handed over, and each ends when its peer is heard.
    """
    scene.snapshot(*grouped(FIRST, SECOND))
    stop = await running()
    await until(lambda: scene.roles() == ["active", "active"])

    scene.stage.hand_over("mail")

    assert scene.reasons() == ["hands over", "hands over"]
    scene.sockets.of(US).deliver(datagram(90))
    scene.sockets.of(US2).deliver(datagram(90, vrid=52))
    await until(lambda: scene.roles() == ["backup", "backup"], within=0.5)
    await stop(3.0)


async def test_a_fault_of_one_keeps_its_group_from_starting(
    scene: Scene, running: Any, autojump_clock: Any
) -> None:
    """
    An interface of the second goes: both let go, the first listens and does not take, however
    silent it is; both are active again once the interface is back. A third is left alone.
    """
    web, mail = grouped(FIRST, msgspec.structs.replace(SECOND, interface="eth1"))
    third = msgspec.structs.replace(FIRST, name="third", vrid=53, source=US3)
    eth1 = msgspec.structs.replace(ETH0, index=3, name="eth1")
    scene.links(ETH0, eth1)
    scene.snapshot(web, mail, third)
    stop = await running()
    await until(lambda: scene.roles() == ["active"] * 3)

    scene.links(ETH0)
    await until(lambda: scene.roles() == ["backup", "fault", "active"])
    await passes(10)
    assert scene.roles() == ["backup", "fault", "active"]
    assert scene.reasons()[1] == "there is no interface eth1"

    scene.links(ETH0, eth1)
    await until(lambda: scene.roles() == ["active"] * 3)
    await stop(3.0)


async def test_what_is_refused_and_late_is_summed_up(
    scene: Scene, running: Any, autojump_clock: Any
) -> None:
    """
    Refused adverts over all routers; lateness is told once.
    """
    scene.snapshot(FIRST, SECOND)
    await running()
    scene.sockets.of(US).deliver(datagram(200, ttl=3))
    scene.sockets.of(US2).deliver(datagram(200, vrid=52, ttl=3), datagram(9, PEER))
    await passes(0.01)

    assert scene.stage.refused() == {"bad-ttl": 2}
    for seat in scene.stage._seats:
        seat.player.punctuality.turned(0.25)
    assert (scene.stage.take_lateness(), scene.stage.take_lateness()) == (0.25, 0.0)


async def test_nothing_is_played_any_more_while_stopping(
    scene: Scene, running: Any, autojump_clock: Any
) -> None:
    """
    A snapshot or a hand-over that comes then is too late.
    """
    scene.snapshot(FIRST)
    stop = await running()
    await until(lambda: scene.roles() == ["active"])

    async with trio.open_nursery() as nursery:
        nursery.start_soon(stop, 2.0)
        await passes(0.05)
        scene.stage.play([SECOND])
        scene.stage.hand_over("")

    assert [role.router for role in scene.stage.roles()] == ["web"]
    assert scene.roles() == ["off"]


class Denied:
    """A C library that locks no memory."""

    def mlockall(self, _flags: int) -> int:
        ctypes.set_errno(1)
        return -1


async def test_what_makes_it_punctual_may_be_denied(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """
    Neither real time nor locked memory: each is said once, and it goes on.
    """
    monkeypatch.setattr(gc, "freeze", lambda: None)
    monkeypatch.setattr(gc, "disable", lambda: None)
    monkeypatch.setattr(ctypes, "CDLL", lambda *_, **__: Denied())
    monkeypatch.setattr(os, "sched_getscheduler", lambda _: os.SCHED_BATCH)

    def deny(*_: object) -> None:
        raise PermissionError(1, "denied")

    monkeypatch.setattr(os, "sched_setscheduler", deny)

    process.be_punctual()

    said = [r.getMessage() for r in caplog.records]
    assert [text.split(":")[0] for text in said] == [
        "memory is not locked",
        "no real-time scheduling",
    ]
    monkeypatch.setattr(os, "sched_getscheduler", lambda _: os.SCHED_RR | 0x40000000)
    process.be_punctual()
    assert len(caplog.records) == 3


async def test_a_fixed_address_that_vanishes_is_a_fault(
    scene: Scene, running: Any, autojump_clock: Any
) -> None:
    """
    Adverts could not leave: it resigns and says why. It starts when the address is there again.
    """
    source = Held(2, Prefix(US, 24))
    scene.snapshot(ROUTER)
    await running()
    await until(lambda: scene.roles() == ["active"])

    scene.addresses.local.clear()
    scene.watch.tell(AddressGone(source))
    await passes(0.001)
    assert scene.roles() == ["fault"]
    assert scene.reasons() == [f"the fixed address {US} is not on this node"]
    assert scene.addresses.there == {}

    scene.addresses.local.add(US)
    scene.watch.tell(AddressIs(source, 0.0))
    await passes(0.001)
    assert scene.roles() == ["backup"]


async def test_a_vip_that_is_taken_away_is_put_back_at_once(
    scene: Scene, running: Any, autojump_clock: Any
) -> None:
    """
    Deleted, or its lease changed: that one alone is held again, without waiting for a deadline.
    """
    scene.snapshot(msgspec.structs.replace(ROUTER, interval=10.0, lease=40.0))
    await running()
    await passes(45)
    assert scene.roles() == ["active"]

    for event in (AddressGone(HELD[1]), AddressIs(HELD[1], 0.0)):
        scene.addresses.there.clear()
        scene.watch.tell(event)
        await passes(0.001)
        assert scene.addresses.there == {HELD[1]: 40.0}
        await passes(0.05)


async def test_a_fight_over_a_vip_is_slow(scene: Scene, running: Any, autojump_clock: Any) -> None:
    """
    Whatever is said of a VIP in half a second, it is put back ten times at most.
    """
    scene.snapshot(msgspec.structs.replace(ROUTER, interval=10.0, lease=40.0))
    await running()
    await passes(45)
    assert scene.roles() == ["active"]
    scene.diary.clear()

    for _ in range(250):
        scene.watch.tell(AddressGone(HELD[1]))
        await passes(0.002)

    assert 9 <= scene.diary.count("hold") <= 11


async def test_what_is_no_vip_of_ours_or_as_we_hold_it_is_left_alone(
    scene: Scene, running: Any, autojump_clock: Any
) -> None:
    """
    Another address, another interface, a refresh with our own lease, and a VIP while listening.
    """
    scene.snapshot(msgspec.structs.replace(ROUTER, interval=10.0, lease=40.0))
    await running()
    scene.watch.tell(AddressGone(HELD[0]))
    await passes(1)
    assert "hold" not in scene.diary
    await passes(40)
    assert scene.roles() == ["active"]
    scene.diary.clear()

    scene.watch.tell(
        AddressGone(Held(9, HELD[0].prefix)),
        AddressGone(Held(2, Prefix("192.0.2.77", 24))),
        AddressIs(HELD[0], 40.0),
    )
    await passes(0.1)

    assert "hold" not in scene.diary


async def test_everything_is_read_now_and_then(
    scene: Scene, running: Any, autojump_clock: Any
) -> None:
    """
    An event that never came is made up for within 15 s, however many others come.
    """
    scene.snapshot(ROUTER)
    await running()
    await until(lambda: scene.roles() == ["active"])

    scene.addresses.found = {"eth0": msgspec.structs.replace(ETH0, up=False)}
    for _ in range(20):
        scene.watch.tell(AddressIs(Held(9, HELD[0].prefix), 1.0))
        await passes(0.75)

    assert scene.roles() == ["fault"]


def findings(scene: Scene) -> list[tuple[str, int]]:
    return [(role.conflict, role.conflicts) for role in scene.stage.roles()]


async def test_somebody_who_claims_a_vip_is_an_alarm_while_he_does(
    scene: Scene, running: Any, autojump_clock: Any
) -> None:
    """
    Heard while active: told with his MAC, counted once. He is asked each second, and three seconds
    after his last answer it is over. A second time counts again.
    """
    rival = Claim(HELD[0].prefix.address, bytes.fromhex("0200000000bb"))
    scene.snapshot(ROUTER)
    await running()
    await until(lambda: scene.roles() == ["active"])
    await passes(1)
    (sniffer,) = scene.sniffers
    assert sniffer.addresses == {vip.prefix.address for vip in VIPS}
    assert findings(scene) == [("", 0)]

    for count in (1, 2):
        for _ in range(5):
            sniffer.hear(rival)
            await passes(1)
        assert findings(scene) == [("02:00:00:00:00:bb claims 192.0.2.100 too", count)]
        asked = question(ETH0.mac, rival.address)
        assert (ETH0.name, asked) in scene.announcer.frames
        told = [frame for _, frame in scene.announcer.frames if frame[:6] == rival.mac]
        assert {frame[6:12] for frame in told} == {ETH0.mac}
        assert 5 <= len(told) <= 6
        await passes(3.5)
        assert findings(scene) == [("", count)]
        scene.announcer.frames.clear()
        await passes(3)
        assert (ETH0.name, asked) not in scene.announcer.frames


async def test_nobody_looks_out_who_is_not_active(
    scene: Scene, running: Any, autojump_clock: Any
) -> None:
    """
    Nothing is opened while listening; the filter drops all once we yield, also in a hand-over.
    """
    scene.snapshot(ROUTER)
    await running()
    await passes(0.2)
    assert scene.sniffers == []
    await until(lambda: scene.roles() == ["active"])
    (sniffer,) = scene.sniffers
    assert sniffer.addresses

    scene.stage.hand_over("")
    await passes(0.001)
    assert sniffer.addresses == set()
    sniffer.hear(Claim(HELD[0].prefix.address, b"\2" * 6))
    await passes(0.1)

    assert findings(scene) == [("", 0)]


async def test_a_claim_behind_the_advert_that_succeeds_us_is_none(
    scene: Scene, running: Any, autojump_clock: Any
) -> None:
    """
    A stronger one comes: its advert and its gratuitous ARP wait together, and we just yield. The
    last word of one whom we succeeded is no conflict either.
    """
    rival = Claim(HELD[0].prefix.address, bytes.fromhex("0200000000bb"))
    scene.snapshot(ROUTER)
    await running()
    await until(lambda: scene.roles() == ["active"])
    scene.sockets.last.deliver(datagram(50))
    await passes(1)

    scene.sniffers[0].hear(rival)
    scene.sockets.last.deliver(datagram(200))
    await passes(0.01)

    assert (scene.roles(), findings(scene)) == (["backup"], [("", 0)])


async def test_our_own_interfaces_are_no_rivals(
    scene: Scene, running: Any, autojump_clock: Any
) -> None:
    """
    Two of them on one wire answer for each other's addresses.
    """
    own = msgspec.structs.replace(ETH0, name="eth1", index=3, mac=bytes.fromhex("0200000000ee"))
    scene.addresses.found["eth1"] = own
    scene.snapshot(ROUTER)
    await running()
    await until(lambda: scene.roles() == ["active"])
    await passes(1)

    scene.sniffers[0].hear(Claim(HELD[0].prefix.address, own.mac))
    await passes(0.1)

    assert findings(scene) == [("", 0)]


async def test_an_interface_that_is_made_anew_is_listened_to_anew(
    scene: Scene, running: Any, autojump_clock: Any
) -> None:
    """
    The old one's socket is closed, under the task that waits for it.
    """
    scene.snapshot(ROUTER)
    await running()
    await until(lambda: scene.roles() == ["active"])

    scene.links(msgspec.structs.replace(ETH0, index=7))
    await until(lambda: scene.roles() == ["backup"])
    await until(lambda: scene.roles() == ["active"])

    old, new = scene.sniffers
    assert (old.fileno, new.link.index) == (-1, 7)
    assert new.addresses


async def test_an_active_rival_is_an_alarm_until_it_falls_silent(
    scene: Scene, running: Any, autojump_clock: Any
) -> None:
    """
    A weaker one that does not yield: an alarm from its first advert on, over within an advert and
    a half of its last.
    """
    scene.snapshot(ROUTER)
    await running()
    await until(lambda: scene.roles() == ["active"])
    await passes(1)

    for _ in range(5):
        scene.sockets.last.deliver(datagram(50))
        await passes(0.1)
        assert findings(scene) == [(f"{PEER} is active too", 1)]
    await passes(0.16)

    assert findings(scene) == [("", 1)]


async def test_another_mac_of_ours_is_no_rival(
    scene: Scene, running: Any, autojump_clock: Any
) -> None:
    """
    It changes while we are active: from then on the filter knows the new one.
    """
    scene.snapshot(ROUTER)
    await running()
    await until(lambda: scene.roles() == ["active"])
    assert scene.sniffers[0].mac == ETH0.mac

    scene.links(msgspec.structs.replace(ETH0, mac=b"\2" * 6))
    await passes(0.01)

    assert scene.roles() == ["active"]
    assert scene.sniffers[0].mac == b"\2" * 6
