"""What is made of the load generator's lines."""

import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from director.drill.clients import HeldConnections, Requests, Tally
from director.drill.host import run_folder
from director.drill.places import DrillError, Job, Place
from director.drill.spec import pair_spec

AHEAD = 1000.0  # how far our clock is ahead of that place's


class WrittenJob(Job):
    """A load generator that says what a test has written, and then has ended so."""

    status: int | None = None

    def poll(self) -> int | None:
        return self.status

    def signal(self, number: int, *, group: bool = False) -> None:  # noqa: ARG002
        self.status = -number

    def wait(self, timeout: float = 15.0) -> int:  # noqa: ARG002
        assert self.status is not None
        return self.status


class WrittenPlace(Place):
    """A place where a load generator has already spoken."""

    def __init__(self, folder: Path, *lines: Mapping[str, object]) -> None:
        super().__init__("client", folder)
        self._text = "".join(json.dumps(line) + "\n" for line in lines)
        self.job: WrittenJob

    def spawn(
        self,
        argv: Sequence[str],  # noqa: ARG002
        name: str,
        env: Mapping[str, str],  # noqa: ARG002
        out: Path,
        err: Path,  # noqa: ARG002
    ) -> Job:
        out.write_text(self._text + '{"now": 9')  # the last line is not whole yet
        self.job = WrittenJob(name, 1, out)
        return self.job

    def write(self, path: str | Path, text: str, mode: int = 0o644) -> None:
        raise NotImplementedError

    def read(self, path: str | Path) -> str:
        raise NotImplementedError

    def clock_offset(self) -> float:
        return AHEAD


def report(now: float, *rows: list[object]) -> dict[str, object]:
    return {"now": now, "settled": now, "rows": rows}


def test_a_window_counts_what_began_in_it_and_the_longest_wait_in_it() -> None:
    """Windows are half open, in our clock; the gap goes by answers, with the window's edges."""
    lines = (
        report(2.0, [1.0, 0.01, "web1", ""], [1.5, 0.02, "web2", ""]),
        report(4.0, [1.6, 1.0, "", "timeout"], [2.5, 0.03, "web2", ""], [3.0, 0.1, "web1", ""]),
    )
    with run_folder() as folder:
        load = Requests(WrittenPlace(folder, *lines), "192.0.2.10")

        tally = load.between(AHEAD + 1.5, AHEAD + 3.0)

    assert tally == Tally(
        sent=3, ok=2, failed=1, gap_ms=1010.0, servers={"web2": 2}, failures={"timeout": 1}
    )


def test_a_window_without_an_answer_is_one_gap() -> None:
    """Nothing answered: the gap is the window."""
    with run_folder() as folder:
        load = Requests(WrittenPlace(folder, report(3.0, [1.0, 0.5, "", "timeout"])), "192.0.2.10")

        tally = load.between(AHEAD + 1.0, AHEAD + 2.0)

    assert (tally.sent, tally.ok, tally.gap_ms) == (1, 0, 1000.0)


def test_a_connection_is_kept_when_a_byte_sent_after_the_fault_came_back() -> None:
    """An echo of what was sent before proves nothing; neither does silence."""
    lines = (
        report(
            2.0,
            [0, "web1", 1.0, 1.9, 0.0, "", 0.5, 4001],
            [1, "web2", 1.0, 1.9, 0.0, "", 0.5, 4001],
        ),
        report(
            3.0,
            [0, "web1", 1.0, 2.5, 0.0, "", 0.5, 4001],
            [2, "web3", 1.0, 1.8, 2.25, "ECONNRESET", 0.5, 4002],
        ),
    )
    with run_folder() as folder:
        held = HeldConnections(WrittenPlace(folder, *lines), "192.0.2.10", count=4)

        kept = held.kept(AHEAD + 2.0, timeout=0.0)

    assert kept.alive == 1
    assert [(one.number, one.server, one.age, one.why) for one in kept.lost] == [
        (1, "web2", 0.9, "silent"),
        (2, "web3", 1.25, "ECONNRESET"),
        (3, "", 0.0, "silent"),
    ]


def test_connections_can_be_counted_by_when_they_were_open() -> None:
    """Those that opened later, or never did, are neither kept nor lost."""
    line = report(
        3.0,
        [0, "web1", 1.0, 2.5, 0.0, "", 0.5, 4001],
        [1, "web2", 1.5, 1.6, 2.25, "ECONNRESET", 1.4, 4002],
        [2, "web3", 2.0, 2.0, 2.5, "ECONNRESET", 1.9, 4003],
        [3, "", 0.0, 0.0, 2.9, "timeout", 1.9, 0],
    )
    with run_folder() as folder:
        held = HeldConnections(WrittenPlace(folder, line), "192.0.2.10", count=9)

        kept = held.kept(AHEAD + 2.0, timeout=0.0, opened_before=AHEAD + 2.0)
        ports = held.ports()

    assert (kept.alive, [one.number for one in kept.lost]) == (1, [1])
    assert ports == {4001}


def test_a_generator_that_died_is_an_error() -> None:
    """A fault of the generator is not taken for a fault of the director."""
    with run_folder() as folder:
        place = WrittenPlace(folder, report(3.0))
        load = Requests(place, "192.0.2.10")
        place.job.status = 1

        with pytest.raises(DrillError, match="requests ended with 1"):
            load.snapshot()


def test_a_snapshot_counts_seconds_since_the_last_answer() -> None:
    """`waiting` goes by our own clock."""
    now = time.monotonic()
    line = report(now - AHEAD, [now - AHEAD - 6.0, 1.0, "web1", ""])
    with run_folder() as folder:
        load = Requests(WrittenPlace(folder, line), "192.0.2.10")

        snapshot = load.snapshot()

    assert (snapshot.sent, snapshot.ok, snapshot.failed) == (1, 1, 0)
    assert snapshot.waiting == pytest.approx(5.0, abs=1.0)


def test_the_tunnels_server_is_there_only_when_asked_for() -> None:
    """TUN needs a field of its own kernel, so the spec says whether it is wanted."""
    assert "far1" not in [member.name for member in pair_spec().members]
    assert "far1" in [member.name for member in pair_spec(needs_tunnel=True).members]
