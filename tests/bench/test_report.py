"""What a run says of its trials, and in which order it plays them."""

import io
import json

import msgspec
import pytest
from rich.console import Console

from bench.events import EVENTS
from bench.failover import schedule
from bench.report import ORDER, groups, line, table
from bench.trial import HALF_OPEN_MAX, Trial, half_open

TRIAL = Trial(
    event="power",
    interval=0.1,
    peer="director",
    down=0.361,
    lease=2.0,
    gap_ms=310.0,
    failed=150,
    failures={"timeout": 150},
    held=25,
    lost=0,
    lost_why=(),
    young=20,
    young_lost=1,
)


def trial(**changed: object) -> Trial:
    return msgspec.structs.replace(TRIAL, **changed)


def test_a_line_is_json_with_minimum_median_and_maximum() -> None:
    """One object for one event, interval and peer; counts are summed up, times spread."""
    said = json.loads(line([trial(gap_ms=300.0), trial(), trial(gap_ms=350.0, young_lost=0)]))

    assert (said["event"], said["interval"], said["peer"]) == ("power", 0.1, "director")
    assert said["gap_ms"] == {
        "min": 300.0,
        "median": 310.0,
        "max": 350.0,
        "raw": [300.0, 310.0, 350.0],
    }
    assert (said["repeats"], said["young"], said["held"]) == (3, 60, 75)
    assert "gone_ms" not in said


def test_what_never_happened_is_in_the_line_and_in_the_table() -> None:
    """A VIP that never left and a process that was never replaced are no number and no gap."""
    killed = [trial(event="kill", gone_ms=1800.0), trial(event="kill", gone_ms=None)]
    hung = [trial(event="kill-checks", replaced_ms=None, moved=True)]
    page = io.StringIO()

    Console(width=200, file=page).print(table([*killed, *hung]))
    text = page.getvalue()

    assert json.loads(line(killed))["gone_ms"]["raw"] == [1800.0, None]
    assert "1800 / 1800 / 1800, never in 1 of 2" in text
    assert "never in 1 of 1, moved in 1" in text


def test_groups_are_by_event_then_slowest_interval_then_peer() -> None:
    """Whatever the order in which trials were played."""
    played = [
        trial(event="stop", peer="keepalived"),
        trial(interval=0.02),
        trial(event="stop"),
        trial(interval=1.0),
        trial(),
        trial(),
    ]

    found = [(one[0].event, one[0].interval, one[0].peer, len(one)) for one in groups(played)]

    assert found == [
        ("power", 1.0, "director", 1),
        ("power", 0.1, "director", 2),
        ("power", 0.02, "director", 1),
        ("stop", 0.1, "director", 1),
        ("stop", 0.1, "keepalived", 1),
    ]


def test_every_event_has_its_place_in_the_report() -> None:
    """A new event cannot be forgotten there."""
    assert sorted(ORDER) == sorted(EVENTS)


def test_single_processes_die_in_turn() -> None:
    """All repeats of each event, and no process twice in a row where there are several."""
    played = list(schedule(["kill-vrrp", "power", "kill-engine"], 2))

    assert played == [
        ("power", 0),
        ("power", 1),
        ("kill-vrrp", 0),
        ("kill-engine", 0),
        ("kill-vrrp", 1),
        ("kill-engine", 1),
    ]


@pytest.mark.parametrize(
    ("event", "resets", "second_chance", "want"),
    [
        ("stop", 1, False, 1),
        ("switch", HALF_OPEN_MAX + 5, False, HALF_OPEN_MAX),
        ("kill-vrrp", 1, False, 1),
        ("stop", 1, True, 0),
        ("power", 1, False, 0),
        ("kill", 1, False, 0),
    ],
)
def test_half_open_resets(event: str, resets: int, second_chance: bool, want: int) -> None:
    """Few, of a move, and only where the kernel has no second chance for them."""
    failures = {"ECONNRESET": resets, "timeout": 3}

    assert half_open(event, failures, second_chance=second_chance) == want
