"""bench/table: which musts are missed, and one quick run of everything."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from bench.table_files import director_file, ipvsadm_file, keepalived_file
from bench.table_verdict import Figures, rows
from director.config.load import check_text
from director.model.ops import Observed
from director.policy.once import wanted
from director.policy.saved import restorable

ROOT = Path(__file__).parents[2]
GOOD: Figures = {
    "director": {"program_s": 1.0, "cpu_s": 1.0},
    "keepalived": {"program_s": 8.0, "cpu_s": 8.0},
    "ipvsadm": {"program_s": 20.0, "cpu_s": 20.0},
    "floor": {"program_s": 0.5, "cpu_s": 0.5},
    "standing": {"change_s": 1.0, "read_s": 1.0, "ipvsadm_read_s": 3.0, "add_one_s": 0.01},
    "keepalived_reload": {"change_s": 2.0, "rss_mib": 50.0, "rss_after_mib": 100.0},
    "engine": {
        "program_s": 2.0, "transition_s": 0.003, "transition_max_s": 0.009, "beside_show": 9.0,
        "transition_beside_show_max_s": 0.05, "rss_mib": 150.0, "rss_after_mib": 200.0,
    },
}  # fmt: skip
FEW = {"transition_s": 0.001}
BROKEN = {
    # what is a little more than it may be      which must is missed
    ("director", "program_s", 1.01):            "program_s",
    ("standing", "change_s", 1.01):             "change_s",
    ("standing", "read_s", 1.01):               "read_s",
    ("standing", "add_one_s", 0.0101):          "add_one_s",
    ("engine", "transition_s", 0.0031):         "transition_s",
    ("engine", "transition_beside_show_max_s", 0.051): "transition_beside_show_s",
    ("engine", "rss_after_mib", 201.0):         "rss_mib",
}  # fmt: skip


def test_what_just_holds() -> None:
    """At every bound; the slowest transition is said and no must."""
    assert [row.what for row in rows(1000, GOOD, FEW) if row.missed] == []


@pytest.mark.parametrize(("change", "what"), BROKEN.items(), ids=BROKEN.values())
def test_what_is_missed(change: tuple[str, str, float], what: str) -> None:
    """Each must by itself."""
    peer, figure, value = change
    found = {**GOOD, peer: {**GOOD[peer], figure: value}}

    assert [row.what for row in rows(1000, found, FEW) if row.missed] == [what]


def test_all_peers_are_told_the_same() -> None:
    """Our file, resolved, is line by line what ipvsadm restores; keepalived has as many servers."""
    config = check_text(director_file(30, (29, 777)), node="lb1").config
    table = wanted(config, Observed(), {})

    lines = [line for key, there in table.items() for line in restorable(key, there)]

    assert lines[:-1] == ipvsadm_file(30).splitlines()[:-1]
    assert lines[-1].endswith("-w 777")
    assert keepalived_file(30).count("real_server ") == 240


@pytest.mark.full
@pytest.mark.drill
def test_a_quick_run() -> None:
    """Every measure once at 200 services: it ends, and says a line for each row."""
    argv = [sys.executable, "-m", "bench.table", "--services", "200"]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False)

    said = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    assert done.returncode in (0, 1), done.stderr
    assert [one["what"] for one in said] == [row.what for row in rows(1, GOOD, FEW)]
