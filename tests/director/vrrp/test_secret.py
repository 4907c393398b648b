"""Tests of director.vrrp.secret."""

import os
from pathlib import Path

import pytest

from director.model.vip import Auth
from director.vrrp.advert import NO_SECRET, Method, Secret
from director.vrrp.secret import read_secret

WORDS = {
    "a line": (b"secret\n", b"secret"),
    "without its end": (b"secret", b"secret"),
    "from Windows": (b"secret\r\n", b"secret"),
    "the first line": (b"secret\n# of 2024\n", b"secret"),
    "spaces count": (b" secret \n", b" secret "),
}


@pytest.mark.parametrize(("data", "word"), WORDS.values(), ids=WORDS)
def test_the_first_line(tmp_path: Path, data: bytes, word: bytes) -> None:
    """
    As keepalived's auth_pass would have it.
    """
    path = written(tmp_path, data)

    assert read_secret(Auth("pass", str(path))) == Secret(Method.PASS, word)
    assert read_secret(Auth("ah", str(path))) == Secret(Method.AH, word)


def written(folder: Path, data: bytes, mode: int = 0o640) -> Path:
    path = folder / "vrrp.secret"
    path.write_bytes(data)
    path.chmod(mode)
    return path


def test_without_authentication_no_file_is_read() -> None:
    """
    There is none.
    """
    assert read_secret(None) is NO_SECRET


@pytest.mark.parametrize("mode", [0o644, 0o641, 0o642])
def test_what_others_may_touch_is_refused(tmp_path: Path, mode: int) -> None:
    """
    To read, to write, to run: with the command that mends it.
    """
    path = written(tmp_path, b"secret\n", mode)

    with pytest.raises(ValueError, match=f"can be read by others: chmod 0640 {path}"):
        read_secret(Auth("pass", str(path)))


@pytest.mark.parametrize("data", [b"", b"\nsecret\n", b"\0\0\n"])
def test_an_empty_secret_is_none(tmp_path: Path, data: bytes) -> None:
    """
    Eight zero bytes would be what everybody knows.
    """
    with pytest.raises(ValueError, match="empty first line"):
        read_secret(Auth("ah", str(written(tmp_path, data))))


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    """
    A pipe is not waited for; what is not there is said by its name.
    """
    os.mkfifo(tmp_path / "pipe", 0o640)
    with pytest.raises(ValueError, match="is no file"):
        read_secret(Auth("pass", str(tmp_path / "pipe")))
    with pytest.raises(FileNotFoundError, match="nothing"):
        read_secret(Auth("pass", str(tmp_path / "nothing")))
