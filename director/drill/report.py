"""What a person sees of a drill: a table that redraws, or plain lines; and the summary."""

import sys
import time
from collections.abc import Sequence
from typing import Self

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table

from director.drill.stage import Result, Stage

REDRAW_EVERY = 0.25
LINE_EVERY = 1.0


class Display:
    """Shows a stage while it plays. A context manager."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._console = Console(highlight=False)
        self._live = Live(console=self._console, auto_refresh=False) if self._is_tty() else None
        self._next_at = 0.0
        self._sent_before, self._at_before = 0, time.monotonic()
        self._rate = 0.0
        stage.on_tick = self.tick

    def __enter__(self) -> Self:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.stop()

    def say(self, text: str) -> None:
        """A line that stays."""
        self._console.print(text)

    def tick(self) -> None:
        """Redraw, when it is time."""
        now = time.monotonic()
        if now < self._next_at:
            return
        self._next_at = now + (REDRAW_EVERY if self._live is not None else LINE_EVERY)
        snapshot = self._stage.requests.snapshot()
        if now - self._at_before >= LINE_EVERY:
            self._rate = (snapshot.sent - self._sent_before) / (now - self._at_before)
            self._sent_before, self._at_before = snapshot.sent, now
        head = f"{self._stage.step}: {self._rate:.0f} requests/s, {snapshot.failed} failed so far"
        if self._live is not None:
            self._live.update(Group(head, self._table()), refresh=True)
        else:
            self._console.print(f"  {head}; {self._line()}", soft_wrap=True)

    def _is_tty(self) -> bool:
        return sys.stdout.isatty()

    def _roles(self) -> dict[str, str]:
        roles = {}
        for name, node in self._stage.pair.nodes.items():
            state = node.state()
            routers = state.virtual_routers if state else ()
            roles[name] = (
                routers[0].role if routers else "silent" if node.place.alive else "no power"
            )
        return roles

    def _servers(self) -> list[tuple[str, str, str, str]]:
        """Of the service web, as the active director sees it: name, health, weight, connections."""
        node = self._stage.pair.active() or next(iter(self._stage.pair.nodes.values()))
        state = node.state()
        return [
            (one.real_server, one.health, str(one.weight.kernel), str(one.active))
            for service in (state.services if state else ())
            if service.name == "web"
            for one in service.destinations
        ]

    def _line(self) -> str:
        roles = " ".join(f"{name} {role}" for name, role in self._roles().items())
        servers = " ".join(
            f"{name} {health}:{weight}" for name, health, weight, _ in self._servers()
        )
        return f"{roles}; {servers}"

    def _table(self) -> Table:
        table = Table(title=" ".join(f"{name}: {role}" for name, role in self._roles().items()))
        for heading in ("real server", "health", "weight", "active connections"):
            table.add_column(heading)
        colours = {"up": "green", "down": "red"}
        for name, health, weight, active in self._servers():
            colour = colours.get(health, "yellow")
            table.add_row(name, f"[{colour}]{health}[/]", weight, active)
        return table


def summary(results: Sequence[Result]) -> str:
    """The end of a drill as text."""
    head = f"{'step':<22}{'sent':>7}{'lost':>6}{'without answer':>16}  {'kept':>9}  "
    lines = [head.rstrip()]
    for one in results:
        kept = f"{one.kept} of {one.held}" if one.held else "-"
        gap = f"{one.gap_ms:.0f} ms"
        notes = "; ".join(one.notes)
        lines.append(
            f"{one.name:<22}{one.sent:>7}{one.lost:>6}{gap:>16}  {kept:>9}  {notes}".rstrip()
        )
        lines += [f"  FAULT: {fault}" for fault in one.faults]
    return "\n".join(lines)
