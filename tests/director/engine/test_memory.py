"""engine/memory: what outlives the engine, and what is done about a file that cannot be read."""

import time
from pathlib import Path

import pytest

from director.engine.memory import (
    Memory,
    Remembered,
    from_overrides,
    recall,
    store,
    to_overrides,
    to_owned,
    write_whole,
)
from director.policy.weight import Override

MEMORY = Memory(
    overrides=[Remembered("web", "web1", "maintenance")],
    sysctls_before={"net.ipv4.ip_forward": "0"},
)
PLACE = ("web", "web1")


def test_what_is_stored_is_recalled(tmp_path: Path) -> None:
    """Whole, with nothing beside it left behind, and not for everybody to read."""
    path = tmp_path / "state.json"

    store(path, MEMORY)

    assert recall(path) == (MEMORY, "")
    assert [one.name for one in tmp_path.iterdir()] == ["state.json"]
    assert path.stat().st_mode & 0o007 == 0


def test_no_file_is_an_empty_memory(tmp_path: Path) -> None:
    """The first start is no fault."""
    assert recall(tmp_path / "state.json") == (Memory(), "")


UNREADABLE = {
    "empty": b"",
    "torn": b'{"format": 1, "overrides": [{"servi',
    "not JSON": b"\0\0\0\0",
    "of another type": b'{"format": 1, "overrides": 3}',
    "a weight that no kernel takes": b'{"format": 1, "overrides": [{"service": "s", "server": "w", "kind": "weight", "weight": -5}]}',
    "an unknown word": b'{"format": 1, "overrides": [{"service": "s", "server": "w", "kind": "off"}]}',
    "a newer format": b'{"format": 2, "overrides": []}',
}  # fmt: skip


@pytest.mark.parametrize("data", UNREADABLE.values(), ids=UNREADABLE)
def test_what_cannot_be_read_is_set_aside_and_said(tmp_path: Path, data: bytes) -> None:
    """The engine goes on with nothing, and the next change does not destroy what was there."""
    path = tmp_path / "state.json"
    path.write_bytes(data)

    memory, trouble = recall(path)
    store(path, memory)

    assert memory == Memory()
    assert str(path) in trouble
    assert (tmp_path / "state.json.unreadable").read_bytes() == data


def test_what_cannot_even_be_set_aside_is_said(tmp_path: Path) -> None:
    """A directory in the way of the file, and one in the way of its new name."""
    path = tmp_path / "state.json"
    path.mkdir()
    (tmp_path / "state.json.unreadable" / "full").mkdir(parents=True)

    memory, trouble = recall(path)

    assert memory == Memory()
    assert "cannot be set aside" in trouble


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    """Whole or not at all."""
    path = tmp_path / "state.json"
    store(path, MEMORY)
    (tmp_path / ".state.json.new").mkdir()

    with pytest.raises(OSError, match="directory"):
        store(path, Memory())

    assert recall(path) == (MEMORY, "")


def test_a_link_in_the_way_is_not_followed(tmp_path: Path) -> None:
    """Nobody makes us write elsewhere."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_text("mine")
    (tmp_path / ".state.json.new").symlink_to(elsewhere)

    with pytest.raises(OSError, match="symbolic"):
        write_whole(tmp_path / "state.json", b"theirs")

    assert elsewhere.read_text() == "mine"


def test_deadlines_move_between_the_clocks() -> None:
    """An hour left is an hour left for the next engine, whatever its clock reads."""
    before = {PLACE: Override("weight", 5, percent=True, until=4600.0)}

    remembered = from_overrides(before, now=1000.0)
    after = to_overrides(Memory(overrides=remembered), now=50.0)

    assert remembered[0].until == pytest.approx(time.time() + 3600, abs=60)
    assert after[PLACE].until == pytest.approx(3650.0, abs=60)
    assert (after[PLACE].kind, after[PLACE].weight, after[PLACE].percent) == ("weight", 5, True)


def test_until_revoked_stays_until_revoked() -> None:
    """0 is no instant, on neither clock."""
    forever = {PLACE: Override("maintenance")}

    remembered = from_overrides(forever, now=1000.0)

    assert remembered[0].until == 0
    assert to_overrides(Memory(overrides=remembered), now=5.0) == forever


def test_a_drain_outlives_its_deadline() -> None:
    """The destination is gone then, and has to stay so."""
    drained = {PLACE: Override("drain", until=9.0, lasts=5.0)}

    remembered = from_overrides(drained, now=60.0)
    after = to_overrides(Memory(overrides=remembered), now=5000.0)

    assert after[PLACE].kind == "drain"
    assert after[PLACE].until < 5000.0


def test_a_clock_that_is_set_back_makes_no_drain_longer() -> None:
    """A deadline is never further away than it was when it was said."""
    meant = Remembered("web", "web1", "drain", until=time.time() + 86400, lasts=60.0)

    assert to_overrides(Memory(overrides=[meant]), now=10.0)[PLACE].until == 70.0


def test_what_is_over_is_neither_recorded_nor_recalled() -> None:
    """It ended while the engine ran, or while none did."""
    over = Remembered("web", "web1", "weight", until=time.time() - 1)

    assert from_overrides({PLACE: Override("weight", until=9.0)}, now=9.0) == []
    assert to_overrides(Memory(overrides=[over]), now=5000.0) == {}


def test_what_is_no_service_is_nobodys() -> None:
    """A line that somebody spoiled removes nothing, and hides no other."""
    spoiled = Memory(services=["tcp/192.0.2.10:80", "tcp/nonsense", "fwmark/7 ipv6"])

    assert list(map(str, to_owned(spoiled))) == ["tcp/192.0.2.10:80", "fwmark/7 ipv6"]
