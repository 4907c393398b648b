"""From an event in the engine to a program that has read it: engine and exec, over their socket."""

import json
from pathlib import Path

import msgspec
import pytest
import trio

from director import paths
from director.ask import ask_engine
from director.drill.places import eventually
from director.engine.process import _main
from director.exec.process import Exec
from director.exec.program import Identity
from director.model.event import Event, Events, Hook
from director.model.state import State
from tests.director.engine.running import never
from tests.director.engine.scene import WatchedKernel, config_of, no_firewall

pytestmark = pytest.mark.trio
WITHIN = 30.0


def lines(path: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


async def test_a_hook_reads_what_happened_in_order(nursery: trio.Nursery, tmp_path: Path) -> None:
    """
    The file in force, then an operator's words about one real server, one after the other; the same
    that `director events` shows. `status` says how the program ended.
    """
    told = tmp_path / "told"
    run = ("/bin/sh", "-c", f"cat >> {told}; echo noted; exit 3")
    hook = Hook(("config", "destination"), run)
    config = msgspec.structs.replace(config_of(), hooks=(hook,))
    nursery.start_soon(
        lambda: _main(
            config, tmp_path, tmp_path / paths.STATE_FILE, never, WatchedKernel, no_firewall
        )
    )
    nursery.start_soon(Exec(tmp_path, Identity()).main)

    def ask(verb: str, *, change: bool = False, **args: str) -> str:
        return ask_engine(tmp_path, WITHIN, verb, change=change, **args).body

    def until_told(number: int) -> None:
        eventually(lambda: len(lines(told)) == number, WITHIN, f"event {number}")

    def story() -> None:
        until_told(1)
        for number, switch in enumerate(("on", "off", "on"), 2):
            ask("maintenance", change=True, server="s0/web1", switch=switch)
            until_told(number)  # two words at once may be one change of the table
        eventually(
            lambda: [one.runs for one in state().programs] == [4], WITHIN, "the ends of all four"
        )

    def state() -> State:
        return msgspec.json.decode(ask("status"), type=State)

    await trio.to_thread.run_sync(story)
    shown = await trio.to_thread.run_sync(ask, "events")
    (program,) = (await trio.to_thread.run_sync(state)).programs

    assert [(one["kind"], one["to"]) for one in lines(told)] == [
        ("config.loaded", "digest"),
        ("destination.maintenance", "maintenance"),
        ("destination.maintenance", "none"),
        ("destination.maintenance", "maintenance"),
    ]
    events = msgspec.json.decode(shown, type=Events).events
    assert [msgspec.convert(one, Event) for one in lines(told)] == list(events)
    assert (program.name, program.failed) == ("hook /bin/sh", 4)
    assert program.last == "exit status 3: noted"
