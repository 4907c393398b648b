# Read where it stands, by the worker, on a local file system: a file that hangs would hold up every
# other probe. Opened so that a FIFO or a device does not.
"""file: what a number in a file says; 0 takes the server out, any other lets it serve."""

import os
import re
import stat

from checks.outcome import Outcome
from director.model.check import FileCheck, Target

SIZE_MAX = 64
NUMBER = re.compile(rb"\s*(-?[0-9]{1,18})\s*")
FLAGS = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY


class FileProber:
    """Reads files."""

    async def probe(self, target: Target) -> Outcome:
        """One look. A file that is missing or says no number is ours: it takes nobody out."""
        assert isinstance(target.check, FileCheck)
        path = target.check.path
        try:
            descriptor = os.open(path, FLAGS)
            try:
                regular = stat.S_ISREG(os.fstat(descriptor).st_mode)
                text = os.read(descriptor, SIZE_MAX) if regular else b""
            finally:
                os.close(descriptor)
        except OSError as error:
            return Outcome(ok=False, text=f"{path}: {_why(error)}", ours=True)
        number = NUMBER.fullmatch(text)
        if number is None:
            return Outcome(ok=False, text=f"{path}: no number", ours=True)
        value = int(number[1])
        return Outcome(ok=value != 0, text=f"file says {value}")

    async def close(self) -> None:
        """Nothing is shared."""


def _why(error: OSError) -> str:
    return (error.strerror or str(error)).lower()


def open_prober() -> FileProber:
    """The prober for FileCheck."""
    return FileProber()
