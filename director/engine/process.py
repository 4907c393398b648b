# The engine process. Nothing is restarted in here: a task that fails ends the process, whoever
# supervises starts it again, and the fresh engine adopts the table that is there. Stopping it
# stops no service: the table, the sync daemons and the sysctls stay.
"""Run the engine until SIGTERM."""

import gc
import logging
import signal
from collections.abc import Callable
from pathlib import Path

import trio

from director import paths
from director.engine import canary, doors, memory, pulse
from director.engine.firewall import Firewall
from director.engine.following import Following
from director.engine.journal import Journal
from director.engine.keeping import Keeper
from director.engine.news import News
from director.engine.parts import Parts
from director.engine.reader import read_file
from director.engine.reconcile import Reconciler
from director.engine.reload import Read, Reload
from director.engine.snapshot import leave_snapshot
from director.engine.verbs import Verbs
from director.engine.workers import Workers
from director.errors import DirectorError, Exit, NoRight
from director.kernel.hands import Hands, KernelHands
from director.kernel.seat import Taken, take_seat
from director.model.config import Config
from director.policy.events import config_changes
from director.policy.facts import Facts
from director.policy.ownership import Ownership
from director.policy.pulse import pulse_of
from director.systemd import Systemd

log = logging.getLogger("director.engine")

COLLECT = 700, 10, 1000  # Python's own, but that the oldest are looked at a hundredth as often


def run(file: Path, node: str | None, runtime: Path, state: Path) -> None:
    """Blocks until SIGTERM or SIGINT.

    Raises DirectorError when the file is wrong, or the system lacks something.
    """
    # A full collection walks a million objects of a large table, for a second in which no verdict
    # is acted on. Reference counts free what a round leaves behind; cycles are of faults alone.
    gc.set_threshold(*COLLECT)
    config = trio.run(read_file, file, node)
    for folder, mode in ((runtime, 0o755), (state, 0o750)):
        try:
            folder.mkdir(mode=mode, parents=True, exist_ok=True)
        except PermissionError as error:
            raise NoRight(f"{folder} cannot be made", mend="run it as root") from error
    try:
        seat = take_seat()  # a second writer must fail before it has touched anything
    except Taken as error:
        raise DirectorError(Exit.SYSTEM, *error.faults) from error
    gc.freeze()
    try:
        trio.run(_main, config, runtime, state / paths.STATE_FILE, lambda: read_file(file, node))
    finally:
        seat.close()


async def _main(
    config: Config,
    runtime: Path,
    state_file: Path,
    read: Read,
    _make_hands: Callable[[], Hands] = KernelHands,  # a test has no kernel
    _make_firewall: Callable[[Config], Firewall] = Firewall,
) -> None:
    # Opened first: a second engine must fail before it has touched anything.
    opened = [
        await doors.open_door(runtime / name, group)
        for name, group in (
            (paths.WORKERS_SOCKET, "director"),
            (paths.VIEW_SOCKET, "director-view"),
            (paths.CONTROL_SOCKET, "director-admin"),
        )
    ]
    engine = Engine(
        config,
        runtime,
        state_file,
        read,
        hands=_make_hands(),
        firewall=_make_firewall(config),
    )
    await engine.run(*opened)


class Engine:
    """All that the engine is made of, and the loop that it turns in."""

    def __init__(
        self,
        config: Config,
        runtime: Path,
        state_file: Path,
        read: Read,
        *,
        hands: Hands,
        firewall: Firewall,
    ) -> None:
        remembered, trouble = memory.recall(state_file)
        facts = Facts(config)
        facts.overrides.update(memory.to_overrides(remembered, trio.current_time()))
        news = News()
        ownership = Ownership(config, memory.to_owned(remembered))
        keeper = Keeper(config, ownership, remembered, state_file)
        self._facts, self._firewall, self._pulse = facts, firewall, trio.CancelScope()
        self._hands = hands
        self._workers = Workers(facts, news, leave_snapshot(config, runtime))
        self._reconciler = Reconciler(
            facts, hands, news, ownership=ownership, remember=keeper.note, lost=self._lost
        )
        self._following = Following(facts, news, self._workers.deal_anew)
        journal = _keep_journal(config, self._reconciler, self._workers, trouble)
        self._verbs = Verbs(
            facts=facts,
            reconciler=self._reconciler,
            workers=self._workers,
            firewall=firewall,
            journal=journal,
            news=news,
            remembered=remembered,
            state_file=state_file,
        )
        self._parts = Parts(
            facts=facts,
            news=news,
            reconciler=self._reconciler,
            keeper=keeper,
            firewall=firewall,
            workers=self._workers,
            following=self._following,
            journal=journal,
            verbs=self._verbs,
            runtime=runtime,
            pulse_changed=self._pulse_anew,
        )
        self._read = read

    async def run(
        self,
        workers_door: trio.SocketListener,
        view_door: trio.SocketListener,
        control_door: trio.SocketListener,
    ) -> None:
        """Until SIGTERM or SIGINT; SIGHUP has the file read again."""
        systemd, workers = Systemd(), self._workers
        reload = Reload(self._read, self._parts, systemd)
        self._verbs.add("reload", reload.answer)
        with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT, signal.SIGHUP) as signals:
            async with trio.open_nursery() as nursery:
                await self._firewall.start(nursery)
                await nursery.start(self._following.run)
                await nursery.start(self._reconciler.run)
                nursery.start_soon(
                    canary.watch, self._reconciler, self._hands, self._firewall.shield
                )
                nursery.start_soon(doors.serve, workers_door, workers.converse)
                nursery.start_soon(doors.serve, view_door, self._verbs.view)
                nursery.start_soon(doors.serve, control_door, self._verbs.control)
                nursery.start_soon(_tell_ready, self._reconciler, self._firewall, workers)
                nursery.start_soon(workers.beat)
                nursery.start_soon(workers.movers.run)
                nursery.start_soon(self._beat)
                nursery.start_soon(reload.run)
                nursery.start_soon(_feed_watchdog, systemd)
                systemd.say("READY=1")
                log.info("ready: %d services", len(self._facts.services))
                async for number in signals:
                    if number != signal.SIGHUP:
                        break
                    reload.call()
                systemd.say("STOPPING=1")
                nursery.cancel_scope.cancel()

    def _lost(self) -> None:
        self._workers.save_connections()

    def _pulse_anew(self) -> None:
        self._pulse.cancel()

    async def _beat(self) -> None:
        """For ever the pulse that the file in force asks for."""
        while True:
            with trio.CancelScope() as self._pulse:
                await pulse.beat(pulse_of(self._facts.config), self._workers.is_active)
                await trio.sleep_forever()


def _keep_journal(
    config: Config, reconciler: Reconciler, workers: Workers, trouble: str
) -> Journal:
    """Where events go; the first says which file is in force."""
    journal = Journal(config.node, config.hooks, workers.programs.ask)
    reconciler.tell = workers.tell = journal.tell
    journal.tell(config_changes(config, trouble))
    return journal


async def _tell_ready(reconciler: Reconciler, firewall: Firewall, workers: Workers) -> None:
    """A VIP before what marks its packets would answer RST to them."""
    await reconciler.table_ready.wait()
    await firewall.looked.wait()
    workers.table_ready()
    # What stands by now stays: at 20,000 services a full collection would walk a million objects,
    # and hold up the loop for it.
    gc.freeze()


async def _feed_watchdog(systemd: Systemd) -> None:
    """Fed from the loop that does the work, so that a hung loop starves it."""
    while systemd.watchdog_every:
        systemd.say("WATCHDOG=1")
        await trio.sleep(systemd.watchdog_every)
