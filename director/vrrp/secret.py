"""The secret of version 2: a file that is read when a router starts, and kept nowhere else."""

import os
import stat

from director.model.vip import Auth
from director.vrrp.advert import NO_SECRET, Method, Secret

SIZE_MAX = 4096
OTHERS = 0o007
METHODS = {"pass": Method.PASS, "ah": Method.AH}


def read_secret(auth: Auth | None) -> Secret:
    """What both nodes know: the file's first line. Raises OSError or ValueError, with the path."""
    if auth is None:
        return NO_SECRET
    path = auth.secret_file
    # Without waiting for a writer: it might be a pipe that nobody writes to.
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
        mode = os.fstat(file.fileno()).st_mode
        if not stat.S_ISREG(mode):
            raise ValueError(f"{path} is no file")
        if mode & OTHERS:
            raise ValueError(f"{path} can be read by others: chmod 0640 {path}")
        word = file.read(SIZE_MAX).partition(b"\n")[0].rstrip(b"\r")
    if not word.strip(b"\0"):
        raise ValueError(f"{path} has an empty first line: write the secret there")
    return Secret(METHODS[auth.method], word)
