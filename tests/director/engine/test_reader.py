"""engine/reader: the file by a child that may do nothing."""

import sys
from pathlib import Path

import pytest
import trio

from director.config.load import check_text
from director.engine import reader
from director.engine.reader import read_file
from director.errors import DirectorError, Exit

pytestmark = pytest.mark.trio
PAIR = (Path(__file__).parents[1] / "config" / "pair.toml").read_text()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "director.toml"
    path.write_text(PAIR)
    return path


def a_child(folder: Path, text: str) -> str:
    """A program in the interpreter's place."""
    program = folder / "child"
    program.write_text(f"#!/bin/sh\n{text}\n")
    program.chmod(0o755)
    return str(program)


async def test_the_file_is_as_if_read_here(path: Path) -> None:
    """Every value of it, and its name."""
    here = check_text(PAIR, node="lb2", file=str(path)).config

    assert await read_file(path, "lb2") == here


@pytest.mark.parametrize(
    ("old", "new", "key"),
    [("vrid = 51", "vrid = 0", "vrrp.web.vrid"), ("priority = 100", 'priority = 100\nruns = "keepalived"', "nodes.lb2.runs")],
)  # fmt: skip
async def test_a_wrong_file_is_told_with_place_and_mend(
    path: Path, old: str, new: str, key: str
) -> None:
    """As `director check` tells it; and a file that gives this node to somebody else."""
    await trio.Path(path).write_text(PAIR.replace(old, new, 1))

    with pytest.raises(DirectorError) as caught:
        await read_file(path, "lb2")

    assert caught.value.status == Exit.CONFIG
    assert [fault.key for fault in caught.value.faults] == [key]


BROKEN = {
    "dies": ("exit 1", "before it had said all"),
    "is killed": ("kill -9 $$", "before it had said all"),
    "talks nonsense": ("echo nonsense and more of it", "above the limit"),
    "never ends": ("exec sleep 1000", "not read within"),
}


@pytest.mark.parametrize(("text", "fault"), BROKEN.values(), ids=BROKEN)
async def test_a_child_that_fails_is_a_fault_of_ours(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, fault: str
) -> None:
    """Said, and bounded in time; nothing else happens."""
    monkeypatch.setattr(sys, "executable", a_child(tmp_path, text))
    monkeypatch.setattr(reader, "READ_WITHIN", 1.0)

    with pytest.raises(DirectorError, match=fault) as caught:
        await read_file(path, "lb1")

    assert caught.value.status == Exit.BUG


async def test_the_child_may_do_nothing(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No capability, in no set, and no way to gain one."""
    seen = tmp_path / "seen"
    monkeypatch.setattr(
        sys, "executable", a_child(tmp_path, f"cp /proc/self/status {seen}; exit 1")
    )

    with pytest.raises(DirectorError):
        await read_file(path, "lb1")

    status = dict(line.split(":\t") for line in seen.read_text().splitlines() if ":\t" in line)
    assert {
        int(status[name], 16) for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")
    } == {0}
    assert status["NoNewPrivs"] == "1"
