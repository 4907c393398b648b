"""The units are what systemd understands."""

import subprocess
from pathlib import Path

import pytest

UNITS = Path(__file__).parent.parent / "systemd"


def test_systemd_finds_nothing_to_say(tmp_path: Path) -> None:
    """`systemd-analyze verify` ends with 0 also on unknown keys: any output is a fault."""
    units = sorted([*UNITS.glob("*.service"), *UNITS.glob("*.target")])
    for unit in units:
        # Where our programs will be installed there is nothing on this machine.
        text = unit.read_text().replace("/opt/director/bin/director", "/usr/bin/true")
        text = text.replace("/opt/director/bin/python", "/usr/bin/true")
        (tmp_path / unit.name).write_text(text)
    names = [str(tmp_path / unit.name.replace("@.", "@1.")) for unit in units]

    done = subprocess.run(
        ["systemd-analyze", "verify", *names], capture_output=True, text=True, check=False
    )

    assert done.stdout + done.stderr == ""
    assert done.returncode == 0


def test_what_would_fail_again_is_not_tried_again() -> None:
    """Wrong usage, missing rights and a wrong file end for good, in every unit."""
    for unit in UNITS.glob("*.service"):
        assert "RestartPreventExitStatus=64 77 78" in unit.read_text()


def test_a_reload_is_asked_for_and_answered() -> None:
    """`systemctl reload` fails where the file is wrong: the command waits for the engine's word.

    Not Type=notify-reload, which came with systemd 253: Debian 12 has 252.
    """
    text = (UNITS / "director-engine.service").read_text()

    assert "\nType=notify\n" in text
    assert "\nExecReload=/opt/director/bin/director reload\n" in text


def test_who_starts_foreign_programs_is_locked_in() -> None:
    """director-exec: no capability, and a bound on memory."""
    text = (UNITS / "director-exec.service").read_text()
    assert "\nUser=director-exec\n" in text
    assert "\nCapabilityBoundingSet=\n" in text
    assert "\nMemoryMax=" in text


@pytest.mark.parametrize("service", sorted(UNITS.glob("*.service")), ids=lambda path: path.name)
def test_every_unit_is_locked_in(service: Path, tmp_path: Path) -> None:
    """As systemd-analyze counts: 2.0 at most. keepalived's unit has 9.6."""
    unit = tmp_path / service.name.replace("@.", "@1.")
    unit.write_text(service.read_text())

    done = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--threshold=20", unit],
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout.splitlines()[-1]


def test_every_user_of_a_unit_is_made() -> None:
    """And reaches the engine's socket, which is the group director's."""
    made = (UNITS / "sysusers.conf").read_text().splitlines()
    for unit in UNITS.glob("*.service"):
        for line in unit.read_text().splitlines():
            if line.startswith("User="):
                user = line.removeprefix("User=")
                assert any(one.startswith(f"u {user} ") for one in made)
                assert user == "director" or f"m {user} director" in made
