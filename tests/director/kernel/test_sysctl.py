"""Tests of director.kernel.sysctl, on a tree of files."""

import errno
import os
from pathlib import Path

import pytest

from director.kernel import sysctl
from director.model.ops import Refused, SetSysctl

PATHS = {
    "net.ipv4.ip_forward": "net/ipv4/ip_forward",
    "net.ipv4.conf.eth0/100.rp_filter": "net/ipv4/conf/eth0.100/rp_filter",
    "net/ipv4/conf/eth0.100/rp_filter": "net/ipv4/conf/eth0.100/rp_filter",
    "single": "single",
}


@pytest.mark.parametrize(("name", "path"), PATHS.items())
def test_the_separator_that_comes_first_separates(name: str, path: str) -> None:
    """
    As sysctl(8) reads names; an interface may have a dot.
    """
    assert sysctl.path_of(name) == Path("/proc/sys") / path


@pytest.mark.parametrize("name", ["", "net..x", "net.//.x", "../etc/passwd", "/etc/x", "a.\0"])
def test_a_name_never_leaves_the_root(name: str) -> None:
    """
    What can be no name is refused as one that is not there, and not read.
    """
    op = SetSysctl(name, "1")

    with pytest.raises(ValueError, match="is no sysctl"):
        sysctl.path_of(name)
    assert sysctl.read([name]) == {}
    assert [(one.op, one.errno) for one in sysctl.write(op)] == [(op, errno.ENOENT)]


def test_what_is_written_is_read(tmp_path: Path) -> None:
    """
    Tabs between numbers read as spaces; what is not there is not read.
    """
    (tmp_path / "vs").mkdir()
    there = tmp_path / "vs" / "sync_threshold"
    there.write_text("3\t50\n")

    before = sysctl.read(["vs.sync_threshold", "vs.nosuch"], tmp_path)
    refused = sysctl.write(SetSysctl("vs.sync_threshold", "0 0"), tmp_path)

    assert before == {"vs.sync_threshold": "3 50"}
    assert refused == []
    assert there.read_text().startswith("0 0\n")


def test_a_sysctl_is_never_created(tmp_path: Path) -> None:
    """
    What is missing is refused, and still missing.
    """
    op = SetSysctl("nosuch", "1")

    assert sysctl.write(op, tmp_path) == [Refused(op, errno.ENOENT)]
    assert list(tmp_path.iterdir()) == []


def test_what_we_may_not_write_is_closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Found without writing; what is not there, or is no name, is not among them.
    """
    codes = {"closed": errno.EACCES, "read_only": errno.EROFS, "odd": errno.EIO}
    for name in ("open", *codes):
        (tmp_path / name).write_text("1\n")
    really = os.open

    def opened(path: Path, flags: int) -> int:
        if code := codes.get(path.name):
            raise OSError(code, os.strerror(code))
        return really(path, flags)

    monkeypatch.setattr(os, "open", opened)

    assert sysctl.closed(["open", *codes, "nosuch", "../x"], tmp_path) == {"closed", "read_only"}
    assert (tmp_path / "open").read_text() == "1\n"
