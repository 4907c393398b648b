"""A director pair that runs this project on a lab's machines."""

import re
import sys
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from director.drill.machines import Machine
from director.drill.places import DrillError, Job, eventually
from director.drill.topology import Lab
from director.model.state import DestinationState, State

CONFIG = Path(__file__).with_name("pair.toml")
CONFIG_PATH = "/etc/director/director.toml"
RUNTIME = "/run/director"
WATCH_EVERY = 0.1
DIRECTOR = (sys.executable, "-m", "director")


class Node:
    """One director: the processes of `director up` in a place, and its state as last seen."""

    def __init__(self, place: Machine, config: str) -> None:
        self.place = place
        self.name = place.name
        self._config = config
        self._up: Job | None = None
        self._watch: Job | None = None
        self._offset = 0
        self._state: State | None = None

    def start(self) -> None:
        """Start the director; `wait_for` its state."""
        self.place.write(CONFIG_PATH, self._config)
        self._up = self.place.start([*DIRECTOR, "up"], name="up")
        watch = [sys.executable, "-m", "director.drill.watch", RUNTIME, str(WATCH_EVERY)]
        self._watch = self.place.start(watch, name="watch")
        self._offset, self._state = 0, None

    @property
    def file(self) -> str:
        """What it was started with."""
        return self._config

    def write(self, text: str) -> None:
        """Another file, of which nobody is told."""
        self.place.write(CONFIG_PATH, text)

    def reload(self, text: str) -> None:
        """Another file, and `director reload`."""
        self.write(text)
        self.command("reload")

    def stop(self, number: int) -> None:
        """Send a signal to the supervisor."""
        assert self._up is not None
        self._up.signal(number)

    @property
    def up(self) -> Job:
        """The supervisor's job."""
        assert self._up is not None
        return self._up

    def state(self) -> State | None:
        """The newest state that the engine told; None before the first, and without power."""
        if self._watch is None or not self.place.alive:
            return None
        with self._watch.log.open("rb") as file:
            file.seek(self._offset)
            data = file.read()
        whole, newline, _ = data.rpartition(b"\n")
        self._offset += len(whole) + len(newline)
        lines = [line for line in whole.split(b"\n") if line.startswith(b"{")]
        if lines:
            self._state = msgspec.json.decode(lines[-1], type=State)
        return self._state

    def command(self, *words: str, check: bool = True) -> str:
        """Run a director command; what it printed."""
        return self.place.run([*DIRECTOR, *words], check=check).stdout

    def is_active(self) -> bool:
        """Is it active in every virtual router?"""
        state = self.state()
        return (
            state is not None
            and bool(state.virtual_routers)
            and all(router.role == "active" for router in state.virtual_routers)
        )

    def destination(self, service: str, real_server: str) -> DestinationState | None:
        """One destination as the engine sees it."""
        state = self.state()
        for one in state.services if state else ():
            if one.name == service:
                return next((d for d in one.destinations if d.real_server == real_server), None)
        return None

    def weight(self, service: str, real_server: str) -> int | None:
        """The weight in the kernel."""
        found = self.destination(service, real_server)
        return found.weight.kernel if found else None


def slow_config(slower: float) -> str:
    """CONFIG for machines in which everything takes that much longer."""
    return re.sub(
        r'"(\d+)ms"', lambda found: f'"{round(int(found[1]) * slower)}ms"', CONFIG.read_text()
    )


class Pair:
    """Both directors of a lab."""

    def __init__(self, lab: Lab, config: str | None = None) -> None:
        text = config if config is not None else slow_config(lab.slower)
        self.nodes = {
            director.name: Node(lab.machines[director.name], text)
            for director in lab.spec.directors
        }

    def start(self) -> None:
        """Start both."""
        for node in self.nodes.values():
            node.start()

    def active(self) -> Node | None:
        """The one that is active; None while nobody or both are."""
        active = [node for node in self.nodes.values() if node.is_active()]
        return active[0] if len(active) == 1 else None

    def wait_for(self, what: str, true: Callable[[], bool], within: float) -> float:
        """Seconds until it was true. Raises DrillError with the nodes' logs' ends."""
        began = time.monotonic()
        try:
            eventually(true, within, what)
        except DrillError as error:
            ends = [f"{node.name}: {node.up.log}" for node in self.nodes.values()]
            raise DrillError(str(error), f"see {', '.join(ends)}") from error
        return time.monotonic() - began

    def settled(self) -> bool:
        """One active, one not, both with every check decided and every weight in the kernel."""
        states = [node.state() for node in self.nodes.values()]
        return self.active() is not None and all(
            state is not None
            and state.sync.master
            and state.sync.backup
            and all(
                one.health != "unknown" and one.weight.kernel == one.weight.wanted
                for service in state.services
                for one in service.destinations
            )
            for state in states
        )
