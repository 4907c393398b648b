"""engine/reload: another file while the engine runs, over a kernel in memory."""

import os
import signal
import socket
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
import trio

from director import paths
from director.engine import memory
from director.errors import ConfigError, DirectorError, Exit, Fault
from director.model.address import Endpoint, Prefix
from director.model.config import Config
from director.model.event import Events
from director.model.pool import Member, Place
from director.model.service import Counters
from director.model.state import State
from director.model.vip import Router, Vip
from director.wire.messages import HandOver, Hello, Levels, Message, Role, Roles, Snapshot, Targets
from tests.director.engine.running import Running, hear
from tests.director.engine.scene import CHECK, ONE, TWO, config_of, standing, virtual
from tests.director.engine.talk import Talker

pytestmark = pytest.mark.trio
WRONG = ConfigError(
    Fault(fault="70000 is outside 0..65535", mend="write less", file="director.toml", line=41)
)
THREE = Endpoint("10.0.8.13", 80)
ROUTER = Router(
    name="web",
    vrid=51,
    interface="eth0",
    source="192.0.2.2",
    priority=150,
    interval=0.01,
    vips=(Vip(Prefix("192.0.2.10", 32), "eth0"),),
)


def with_members(config: Config, *members: Member) -> Config:
    services = tuple(msgspec.structs.replace(one, members=members) for one in config.services)
    return msgspec.structs.replace(config, services=services, digest="another")


class Scene:
    """An engine, a file that the test changes, and a check worker that finds everybody up."""

    def __init__(self, nursery: trio.Nursery, runtime: Path, config: Config) -> None:
        self.file: Config | DirectorError = config
        self.reads = 0
        self.may_read = trio.Event()
        self.may_read.set()
        self.engine = Running(nursery, config, runtime, self.read)
        self.targets: list[set[str]] = []
        self._nursery = nursery

    async def read(self) -> Config:
        self.reads += 1
        await self.may_read.wait()
        if isinstance(self.file, DirectorError):
            raise self.file
        return self.file

    async def check(self, task_status: trio.TaskStatus[None]) -> None:
        async with await trio.open_unix_socket(
            self.engine.runtime / paths.WORKERS_SOCKET
        ) as stream:
            worker = Talker(stream)
            await worker.say(Hello("checks", "checks@1", 1))
            while isinstance(told := await worker.hear(), Targets):
                self.targets.append({one.key for one in told.targets})
                ups = [standing(end, "up") for end in (ONE, TWO, THREE)]
                await worker.say(Levels(told.epoch, tuple(ups)))
                if len(self.targets) == 1:
                    task_status.started()

    async def until(self, condition: Callable[[], bool]) -> None:
        for _ in range(5000):  # the kernel is a dictionary: nothing tells of its changes
            if condition():
                return
            await trio.sleep(0.002)
        raise AssertionError("not in time")

    async def reload(self, config: Config | DirectorError) -> str:
        self.file = config
        return msgspec.json.decode((await self.engine.ask("reload", change=True)).body, type=str)

    async def state(self) -> State:
        return msgspec.json.decode((await self.engine.ask("status")).body, type=State)

    async def events(self) -> list[str]:
        told = msgspec.json.decode((await self.engine.ask("events")).body, type=Events)
        return [f"{one.from_} -> {one.to}: {one.reason}" for one in told.events
                if one.kind == "config.loaded"]  # fmt: skip


async def begin(nursery: trio.Nursery, told: socket.socket, runtime: Path, config: Config) -> Scene:
    scene = Scene(nursery, runtime, config)
    assert await hear(told) == b"READY=1"
    await nursery.start(scene.check)
    await scene.until(lambda: 0 not in scene.engine.kernel.weights().values())
    return scene


@pytest.fixture
async def scene(nursery: trio.Nursery, told: socket.socket, tmp_path: Path) -> Scene:
    return await begin(nursery, told, tmp_path, config_of(2))


async def test_a_server_more_and_a_weight(scene: Scene) -> None:
    """In the table without a restart; status, events and the answer say what changed."""
    one, two = config_of().services[0].members
    three = Member(name="web3", addresses=(THREE.address,), port=80, checks=(CHECK,))
    heavy = msgspec.structs.replace(two, weight=7)

    said = await scene.reload(with_members(config_of(2), one, heavy, three))

    assert said == "services: 2 changed"
    await scene.until(
        lambda: (
            scene.engine.kernel.weights() == {ONE.address: 100, TWO.address: 7, THREE.address: 100}
        )
    )
    assert len(scene.targets[-1]) == 3
    state = await scene.state()
    assert state.config.hash == "another"
    assert await scene.events() == [" -> digest: ", "digest -> another: services: 2 changed"]


async def test_the_same_file_changes_nothing(scene: Scene) -> None:
    """Not one operation, and the check workers are told nothing."""
    rounds, told = len(scene.engine.kernel.rounds), len(scene.targets)

    assert await scene.reload(config_of(2)) == "no change"
    readings = len(scene.engine.kernel.readings)
    await scene.until(lambda: len(scene.engine.kernel.readings) > readings)

    assert (len(scene.engine.kernel.rounds), len(scene.targets)) == (rounds, told)


async def test_who_is_no_longer_named_is_drained(scene: Scene) -> None:
    """A real server and a whole service: quiesced while connections are there, then gone."""
    kernel = scene.engine.kernel
    kernel.counters[Place(virtual(0), TWO)] = Counters(active=1)
    kernel.counters[Place(virtual(1), ONE)] = Counters(active=1)

    said = await scene.reload(with_members(config_of(1), config_of().services[0].members[0]))

    assert said == "services: 1 changed, 1 gone"
    await scene.until(lambda: kernel.weights() == {ONE.address: 100, TWO.address: 0})
    await scene.until(lambda: set(kernel.weights(1).values()) == {0})
    state = await scene.state()
    assert [one.name for one in state.services] == ["s0"]
    assert state.kernel.leaving == (str(virtual(1)),)

    kernel.counters.clear()
    await scene.until(lambda: kernel.weights() == {ONE.address: 100})
    await scene.until(lambda: virtual(1) not in kernel.table)
    await scene.until(
        lambda: memory.to_owned(memory.recall(scene.engine.state_file)[0]) == [virtual(0)]
    )


async def test_a_wrong_file_changes_nothing(scene: Scene, caplog: pytest.LogCaptureFixture) -> None:
    """Place and mend are the answer and in the log; the next right one is taken."""
    before = await scene.state()
    with pytest.raises(DirectorError) as caught:
        await scene.reload(WRONG)

    assert (caught.value.status, caught.value.faults) == (Exit.CONFIG, WRONG.faults)
    assert "director.toml:41: 70000 is outside 0..65535; write less" in caplog.text
    after = await scene.state()
    assert (after.config, after.services) == (before.config, before.services)
    assert await scene.reload(config_of(1)) == "services: 1 gone"


async def test_another_node_is_refused(scene: Scene) -> None:
    """A host that was renamed: with words, and nothing is taken."""
    with pytest.raises(DirectorError, match="the file is for lb2") as it:
        await scene.reload(msgspec.structs.replace(config_of(1), node="lb2"))

    assert it.value.status == Exit.CONFIG
    assert len((await scene.state()).services) == 2


async def test_a_storm_is_one_more(scene: Scene, told: socket.socket) -> None:
    """However many signals come while one is read, they are one; and it takes the last file."""
    scene.may_read = trio.Event()
    os.kill(os.getpid(), signal.SIGHUP)
    await scene.until(lambda: scene.reads == 1)
    for _ in range(50):
        os.kill(os.getpid(), signal.SIGHUP)
        await trio.lowlevel.checkpoint()
    scene.file = config_of(1)
    async with trio.open_nursery() as nursery:
        for _ in range(5):
            nursery.start_soon(scene.reload, config_of(1))
        await trio.testing.wait_all_tasks_blocked(0.05)
        scene.may_read.set()

    assert scene.reads == 2
    assert len((await scene.state()).services) == 1
    said = [await hear(told) for _ in range(4)]
    assert [word.split(b"\n")[0] for word in said] == [b"RELOADING=1", b"READY=1"] * 2


async def test_sync_settings(nursery: trio.Nursery, told: socket.socket, tmp_path: Path) -> None:
    """Another port: the daemons begin anew. No [sync] any more: they stop."""
    scene = await begin(nursery, told, tmp_path, config_of(sync=True))
    kernel = scene.engine.kernel
    await scene.until(lambda: set(kernel.sync) == {"master", "backup"})
    config = config_of(sync=True)
    assert config.sync is not None
    moved = msgspec.structs.replace(config.sync, port=9999)

    assert await scene.reload(msgspec.structs.replace(config, sync=moved)) == "sync"
    await scene.until(lambda: {one.port for one in kernel.sync.values()} == {9999})
    await scene.until(lambda: len(kernel.sync) == 2)

    assert await scene.reload(config_of()) == "sync"
    await scene.until(lambda: kernel.sync == {})


async def next_of(talker: Talker, kind: type[Message]) -> Message:
    while not isinstance(message := await talker.hear(), kind):
        assert message is not None
    return message


async def test_a_router_that_is_another_is_handed_over_first(
    nursery: trio.Nursery, told: socket.socket, tmp_path: Path
) -> None:
    """Another VRID: vrrp hears of it once the peer has the VIPs. A priority: at once."""
    config = msgspec.structs.replace(config_of(), routers=(ROUTER,))
    scene = await begin(nursery, told, tmp_path, config)
    async with await trio.open_unix_socket(tmp_path / paths.WORKERS_SOCKET) as stream:
        vrrp = Talker(stream)
        await vrrp.say(Hello("vrrp", "vrrp", 1))
        assert await next_of(vrrp, Snapshot) == Snapshot("lb1", "digest", (ROUTER,))
        await vrrp.say(Roles((Role("web", 51, "active", 150, 1.0, ()),)))
        lighter = msgspec.structs.replace(ROUTER, priority=90)
        other = msgspec.structs.replace(lighter, vrid=52)

        assert await scene.reload(msgspec.structs.replace(config, routers=(lighter,)))
        assert await next_of(vrrp, Snapshot) == Snapshot("lb1", "digest", (lighter,))

        async with trio.open_nursery() as inner:
            inner.start_soon(scene.reload, msgspec.structs.replace(config, routers=(other,)))
            assert await next_of(vrrp, HandOver) == HandOver("web")
            await vrrp.say(Roles((Role("web", 51, "backup", 90, 2.0, ()),)))
            assert await next_of(vrrp, Snapshot) == Snapshot("lb1", "digest", (other,))
    written = msgspec.json.decode((tmp_path / paths.SNAPSHOT).read_bytes(), type=Snapshot)
    assert written.routers == (other,)
