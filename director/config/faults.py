# What is wrong with a file, collected on the way through it.
#
# Rules of this room:
# 1. A fault stands at a key path; the line is looked up at the end, and only when there is a fault.
# 2. One fault a key. A value that was refused is dropped and the rest is read on, so a later
#    reader may miss it: what it says about the same key is an echo and is not kept. Two faults of
#    one key that are no echoes cannot be, since the first one takes the value away.
"""Key paths, and faults collected by key path."""

import difflib
import re
from collections.abc import Iterable

import msgspec

Key = tuple[str | int, ...]

# A comparison with 20,000 names takes 0.1 s or more; who mistyped more often has learnt by then.
SUGGESTIONS_MAX = 50

BARE = re.compile(r"[A-Za-z0-9_-]+")


def show_key(key: Key) -> str:
    """`services.web.real_servers[1].weight`: how the operator reads a path."""
    text = ""
    for part in key:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            quoted = part if BARE.fullmatch(part) else f'"{part}"'
            text += f".{quoted}" if text else quoted
    return text


class Found(msgspec.Struct, frozen=True):
    """A fault at a key path, not yet at a line.

    `file` is empty where the key alone tells the file. `also` is a second place that the fault is
    about, in `also_file`.
    """

    key: Key
    fault: str
    mend: str
    file: str = ""
    also: Key | None = None
    also_file: str = ""


class Findings:
    """Faults, one a key, and warnings."""

    def __init__(self) -> None:
        self.faults: dict[tuple[str, Key], Found] = {}
        self.warnings: dict[Key, Found] = {}
        self.touched: set[Key] = set()
        self.suggestions = 0

    def add(
        self,
        key: Key,
        fault: str,
        mend: str,
        *,
        file: str = "",
        also: Key | None = None,
        also_file: str = "",
    ) -> None:
        """Keep a fault; `also` names a second place, which is told with its line."""
        self.faults.setdefault((file, key), Found(key, fault, mend, file, also, also_file))
        self.touched.update(key[:end] for end in range(len(key) + 1))

    def warn(self, key: Key, fault: str, mend: str) -> None:
        """Keep what is allowed and probably not meant."""
        self.warnings.setdefault(key, Found(key, fault, mend))

    def within(self, *key: str | int) -> bool:
        """Is this key at fault, or one below it?"""
        return key in self.touched

    def suggest(self, word: str, known: Iterable[str], otherwise: str) -> str:
        """A mend for a word that is not known: the known word that was probably meant."""
        self.suggestions += 1
        if self.suggestions > SUGGESTIONS_MAX:
            return otherwise
        close = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
        return f'did you mean "{close[0]}"?' if close else otherwise
