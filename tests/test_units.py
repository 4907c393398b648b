"""The units are what systemd understands."""

import subprocess
from pathlib import Path

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
