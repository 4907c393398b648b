# The engine process. Nothing is restarted in here: a task that fails ends the process, whoever
# supervises starts it again, and the fresh engine adopts the table that is there. Stopping it
# stops no service: the table, the sync daemons and the sysctls stay.
"""Run the engine until SIGTERM."""

import logging
import signal
from collections.abc import Callable
from pathlib import Path

import msgspec
import trio

from director import paths
from director.engine import doors, memory, pulse
from director.engine.firewall import Firewall
from director.engine.reader import read_file
from director.engine.reconcile import News, Reconciler
from director.engine.verbs import Verbs
from director.engine.workers import Workers
from director.errors import NoRight
from director.kernel.hands import Hands, KernelHands
from director.model.config import Config
from director.policy.facts import Facts
from director.policy.pulse import pulse_of
from director.policy.strangers import strangers
from director.policy.upkeep import sysctls_wanted
from director.systemd import Systemd
from director.wire.messages import Snapshot

log = logging.getLogger("director.engine")


def run(file: Path, node: str | None, runtime: Path, state: Path) -> None:
    """Blocks until SIGTERM or SIGINT.

    Raises DirectorError when the file is wrong, or the system lacks something.
    """
    config = trio.run(read_file, file, node)
    for folder, mode in ((runtime, 0o755), (state, 0o750)):
        try:
            folder.mkdir(mode=mode, parents=True, exist_ok=True)
        except PermissionError as error:
            raise NoRight(f"{folder} cannot be made", mend="run it as root") from error
    trio.run(_main, config, runtime, state / paths.STATE_FILE)


async def _main(
    config: Config,
    runtime: Path,
    state_file: Path,
    _make_hands: Callable[[], Hands] = KernelHands,  # a test has no kernel
    _make_firewall: Callable[[Config], Firewall] = Firewall,
) -> None:
    # Opened first: a second engine must fail before it has touched anything.
    workers_door = await doors.open_door(runtime / paths.WORKERS_SOCKET, "director")
    view_door = await doors.open_door(runtime / paths.VIEW_SOCKET, "director-view")
    control_door = await doors.open_door(runtime / paths.CONTROL_SOCKET, "director-admin")
    systemd = Systemd()
    remembered, trouble = memory.recall(state_file)
    if trouble:
        log.warning("%s", trouble)
    hands = _make_hands()
    facts = Facts(config)
    facts.overrides.update(memory.to_overrides(remembered, trio.current_time()))
    _remember_sysctls(hands, config, remembered, state_file)
    news = News()
    reconciler = Reconciler(facts, hands, news)
    workers = Workers(facts, news, _leave_snapshot(config, runtime))
    firewall = _make_firewall(config)
    verbs = Verbs(
        facts=facts,
        reconciler=reconciler,
        workers=workers,
        firewall=firewall,
        news=news,
        remembered=remembered,
        state_file=state_file,
    )
    with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        async with trio.open_nursery() as nursery:
            await firewall.start(nursery)
            await nursery.start(reconciler.run)
            nursery.start_soon(doors.serve, workers_door, workers.converse)
            nursery.start_soon(doors.serve, view_door, verbs.view)
            nursery.start_soon(doors.serve, control_door, verbs.control)
            nursery.start_soon(_tell_ready, reconciler, workers)
            nursery.start_soon(workers.beat)
            nursery.start_soon(pulse.beat, pulse_of(config), workers.is_active)
            nursery.start_soon(_feed_watchdog, systemd)
            systemd.say("READY=1")
            log.info("ready: %d services", len(config.services))
            async for _ in signals:
                break
            systemd.say("STOPPING=1")
            nursery.cancel_scope.cancel()


def _leave_snapshot(config: Config, runtime: Path) -> Snapshot:
    """What vrrp plays, also after a start without us."""
    before = memory.last_snapshot(runtime / paths.SNAPSHOT)
    left = strangers(before.routers if before else (), config.routers)
    snapshot = Snapshot(config.node, config.digest, config.routers, left)
    memory.write_whole(runtime / paths.SNAPSHOT, msgspec.json.encode(snapshot))
    return snapshot


def _remember_sysctls(
    hands: Hands, config: Config, remembered: memory.Memory, state_file: Path
) -> None:
    """Record what stood before the first change, so that `clear` can put it back one day."""
    if config.kernel.sysctls == "report":
        return
    names = tuple(name for name in sysctls_wanted(config) if name not in remembered.sysctls_before)
    if found := hands.observe(names).sysctls:
        remembered.sysctls_before |= found
        try:
            memory.store(state_file, remembered)
        except OSError as error:
            log.warning("%s: cannot be written: %s", state_file, error.strerror)


async def _tell_ready(reconciler: Reconciler, workers: Workers) -> None:
    await reconciler.table_ready.wait()
    workers.table_ready()


async def _feed_watchdog(systemd: Systemd) -> None:
    """Fed from the loop that does the work, so that a hung loop starves it."""
    while systemd.watchdog_every:
        systemd.say("WATCHDOG=1")
        await trio.sleep(systemd.watchdog_every)
