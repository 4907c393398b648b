"""engine/process: the engine whole, over a kernel in memory."""

import errno
import os
import signal
import socket
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
import trio

from director import paths
from director.engine import memory, process
from director.engine.process import _main
from director.errors import NoRight, SystemLacks
from director.model.state import State
from director.policy.weight import Override
from director.wire.messages import Hello, Snapshot, TableReady, Targets
from tests.director.engine.running import Running, hear, never
from tests.director.engine.scene import ONE, WatchedKernel, config_of, no_firewall, virtual
from tests.director.engine.talk import Talker

WITHIN = 20.0
FILE = Path(__file__).parents[1] / "config" / "pair.toml"


@pytest.fixture
async def engine(nursery: trio.Nursery, told: socket.socket, tmp_path: Path) -> Running:
    engine = Running(nursery, config_of(), tmp_path)
    assert await hear(told) == b"READY=1"
    return engine


@pytest.mark.trio
async def test_an_engine_from_ready_to_stopping(engine: Running, told: socket.socket) -> None:
    """It answers, is told, deals probes, says that the table stands; stopping empties nothing."""
    state = msgspec.json.decode((await engine.ask("status")).body, type=State)
    assert [service.name for service in state.services] == ["s0"]

    await engine.ask("maintenance", change=True, server="web1", switch="on")
    async with await trio.open_unix_socket(engine.runtime / paths.WORKERS_SOCKET) as stream:
        checks = Talker(stream)
        await checks.say(Hello("checks", "checks@1", 1))
        assert isinstance(await checks.hear(), Targets)

    os.kill(os.getpid(), signal.SIGTERM)
    assert await hear(told) == b"STOPPING=1"
    await engine.ended.wait()
    assert engine.kernel.weights()[ONE.address] == 0
    recalled, _ = memory.recall(engine.state_file)
    assert memory.to_overrides(recalled, 0.0) == {("s0", "web1"): Override("maintenance")}
    assert recalled.sysctls_before["net.ipv4.vs.expire_nodest_conn"] == "0"
    assert memory.to_owned(recalled) == [virtual(0)]


@pytest.mark.trio
async def test_vrrp_hears_once_the_table_stands(
    nursery: trio.Nursery, told: socket.socket, tmp_path: Path
) -> None:
    """A file without checks is decided at once; the snapshot on disk is the one that is said."""
    Running(nursery, config_of(0), tmp_path)
    await hear(told)

    async with await trio.open_unix_socket(tmp_path / paths.WORKERS_SOCKET) as stream:
        vrrp = Talker(stream)
        await vrrp.say(Hello("vrrp", "vrrp", 1))
        assert [await vrrp.hear(), await vrrp.hear()] == [
            Snapshot("lb1", "digest", ()),
            TableReady(),
        ]

    written = msgspec.json.decode((tmp_path / paths.SNAPSHOT).read_bytes(), type=Snapshot)
    assert written == Snapshot("lb1", "digest", ())


@pytest.mark.trio
async def test_a_second_engine_touches_nothing(engine: Running) -> None:
    """It is refused before it opens the kernel, reads its memory, or writes the snapshot."""
    (engine.runtime / paths.SNAPSHOT).unlink()
    asked: list[bool] = []

    def hands() -> WatchedKernel:
        asked.append(True)
        return WatchedKernel()

    with pytest.raises(SystemLacks, match="another engine"):
        await _main(config_of(), engine.runtime, engine.state_file, never, hands, no_firewall)

    assert asked == []
    assert not (engine.runtime / paths.SNAPSHOT).exists()


@pytest.mark.trio
async def test_a_fresh_engine_remembers(
    nursery: trio.Nursery, told: socket.socket, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Overrides count from the first round; the sysctls before us are those of the first engine."""
    before = memory.Memory(
        overrides=[memory.Remembered("s0", "web1", "maintenance")],
        sysctls_before={"net.ipv4.vs.expire_nodest_conn": "7"},
    )
    memory.store(tmp_path / paths.STATE_FILE, before)

    engine = Running(nursery, config_of(), tmp_path)
    await hear(told)

    state = msgspec.json.decode((await engine.ask("status")).body, type=State)
    assert state.services[0].destinations[0].operator == "maintenance"
    recalled, _ = memory.recall(engine.state_file)
    assert recalled.sysctls_before["net.ipv4.vs.expire_nodest_conn"] == "7"
    assert recalled.sysctls_before["net.ipv4.vs.expire_quiescent_template"] == "0"


@pytest.mark.trio
async def test_a_memory_that_cannot_be_read_or_written_is_said(
    nursery: trio.Nursery,
    told: socket.socket,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """And the engine goes on: the table in the kernel is the better half of it."""
    (tmp_path / paths.STATE_FILE).write_bytes(b"{")

    def full(*_args: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(memory, "store", full)

    engine = Running(nursery, config_of(), tmp_path)
    await hear(told)

    assert "is unreadable" in caplog.text
    assert "cannot be written: No space left on device" in caplog.text
    assert len(engine.kernel.table) == 1


@pytest.mark.trio
async def test_report_keeps_its_hands_off(
    nursery: trio.Nursery, told: socket.socket, tmp_path: Path
) -> None:
    """`sysctls = "report"`: nothing is written, so nothing is to be put back."""
    config = config_of()
    settings = msgspec.structs.replace(config.kernel, sysctls="report")
    engine = Running(nursery, msgspec.structs.replace(config, kernel=settings), tmp_path)
    await hear(told)

    assert memory.recall(engine.state_file)[0].sysctls_before == {}
    assert engine.kernel.sysctls["net.ipv4.vs.expire_nodest_conn"] == "0"


@pytest.mark.trio
async def test_the_watchdog_is_fed(
    nursery: trio.Nursery, told: socket.socket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As often as the service manager asks."""
    monkeypatch.setenv("WATCHDOG_USEC", "20000")
    Running(nursery, config_of(), tmp_path)

    heard = {await hear(told) for _ in range(4)}

    assert heard == {b"READY=1", b"WATCHDOG=1"}


@pytest.fixture
def denied(monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], None]:
    def deny(folder: Path) -> None:
        def mkdir(path: Path, **_options: object) -> None:
            if path == folder:
                raise PermissionError

        monkeypatch.setattr(Path, "mkdir", mkdir)

    return deny


@pytest.mark.parametrize("which", ["run", "lib"])
def test_folders_that_cannot_be_made(
    tmp_path: Path, denied: Callable[[Path], None], which: str
) -> None:
    """77, with the folder's name; the loop was never started."""
    denied(tmp_path / which)

    with pytest.raises(NoRight, match=f"/{which} cannot be made"):
        process.run(FILE, "lb1", tmp_path / "run", tmp_path / "lib")
