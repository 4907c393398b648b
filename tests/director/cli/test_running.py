"""cli/running: which of our processes run here."""

from pathlib import Path

import pytest

from director.cli.running import running

COMMANDS = {
    # argv, namespace ("" may not be looked at), found
    "a module":          ("/opt/director/bin/python -m director vrrp --runtime /run/director", "net:[1]", "vrrp (pid 812)"),
    "the script":        ("/usr/bin/python3 /opt/director/bin/director engine", "net:[1]", "engine (pid 812)"),
    "the supervisor":    ("/opt/director/bin/director up", "net:[1]", "up (pid 812)"),
    "elsewhere":         ("python -m director vrrp", "net:[2]", None),
    "nobody may look":   ("python -m director vrrp", "", "vrrp (pid 812)"),
    "another verb":      ("python -m director clear --yes", "net:[1]", None),
    "another program":   ("/usr/sbin/keepalived vrrp", "net:[1]", None),
    "nothing":           ("", "net:[1]", None),
}  # fmt: skip


@pytest.mark.parametrize(("command", "namespace", "found"), COMMANDS.values(), ids=COMMANDS)
def test_what_runs_here(tmp_path: Path, command: str, namespace: str, found: str | None) -> None:
    """Known by its command line, and by the namespace that it is in."""
    for name, where in (("self", "net:[1]"), ("812", namespace)):
        ns = tmp_path / name / "ns"
        ns.mkdir(parents=True)
        if where:
            (ns / "net").symlink_to(where)
    (tmp_path / "812" / "cmdline").write_text("\0".join(command.split()) + "\0")
    (tmp_path / "900").mkdir()  # ended while we look

    assert running(tmp_path) == ([found] if found else [])
