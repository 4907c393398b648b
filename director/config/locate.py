# Where in a TOML text a key stands.
#
# A lenient walker over text that a parser already accepted: it knows how values nest and end, and
# nothing of what they mean. It costs a walk over the whole text, so it runs only when there is
# something to report, and once for all paths.
"""Line numbers of key paths in TOML text."""

import re
from bisect import bisect_left
from collections.abc import Collection

Key = tuple[str | int, ...]

BLANK = re.compile(r"(?:[ \t\r\n]+|#[^\n]*)*")
STRING = re.compile(
    r'"""(?:[^"\\]|\\.|"(?!""))*"""(?:"(?!"")){0,2}'
    r"|'''(?:[^']|'(?!''))*'''(?:'(?!'')){0,2}"
    r'|"(?:[^"\\\n]|\\.)*"'
    r"|'[^'\n]*'",
    re.DOTALL,
)
SCALAR = re.compile(r"[^,\]}#\r\n]*")
KEY_PART = re.compile(r"""[ \t]*(?:([A-Za-z0-9_-]+)|"((?:[^"\\\n]|\\.)*)"|'([^'\n]*)')[ \t]*""")
ESCAPE = re.compile(r"\\(?:u([0-9A-Fa-f]{4})|U([0-9A-Fa-f]{8})|x([0-9A-Fa-f]{2})|(.))")
SHORT = {"b": "\b", "t": "\t", "n": "\n", "f": "\f", "r": "\r", "e": "\x1b"}


def locate(text: str, keys: Collection[Key]) -> dict[Key, int]:
    """The line of each key, from 1.

    Where a key does not stand in the text the line of its longest part that does is told, and line
    1 when not even the first part stands there. A table's line is that of its own header; a table
    that only others imply (`[a.b]` implies `a`) has the line of the first that does.
    """
    walker = _Walker(text, {key[:end] for key in keys for end in range(1, len(key) + 1)})
    walker.walk()
    return {key: walker.line_of(key) for key in keys}


def _unescape(text: str) -> str:
    def one(match: re.Match[str]) -> str:
        code = match[1] or match[2] or match[3]
        return chr(int(code, 16)) if code else SHORT.get(match[4], match[4])

    return ESCAPE.sub(one, text)


class _Open:
    """An array or an inline table that has not ended yet."""

    def __init__(self, key: Key, *, array: bool) -> None:
        self.key = key
        self.array = array
        self.index = -1


class _Walker:
    def __init__(self, text: str, wanted: set[Key]) -> None:
        self.text = text
        self.wanted = wanted
        self.at = 0
        self.line_ends = [match.start() for match in re.finditer("\n", text)]
        self.said: dict[Key, int] = {}
        self.implied: dict[Key, int] = {}
        self.arrays: dict[Key, int] = {}

    def line_of(self, key: Key) -> int:
        for end in range(len(key), 0, -1):
            offset = self.said.get(key[:end], self.implied.get(key[:end]))
            if offset is not None:
                return bisect_left(self.line_ends, offset) + 1
        return 1

    def walk(self) -> None:
        table: Key = ()
        self._blank()
        while self.at < len(self.text):
            start = self.at
            if self.text[self.at] == "[":
                table = self._header()
            else:
                key = self._key(table)
                self._expect("=")
                self._value(key)
            self._blank()
            if self.at == start:
                return  # text that no parser accepts; what was found so far counts

    def _header(self) -> Key:
        start = self.at
        doubled = self.text.startswith("[[", self.at)
        self.at += 2 if doubled else 1
        parts = self._parts()
        self.at += 2 if doubled else 1
        key: Key = ()
        for part in parts[:-1]:
            key = self._inside((*key, part))
            self._imply(key, start)
        key = (*key, *parts[-1:])
        if not doubled:
            self._say(key, start)
            return key
        if key not in self.arrays:
            self._say(key, start)
        self.arrays[key] = self.arrays.get(key, -1) + 1
        self._say((*key, self.arrays[key]), start)
        return (*key, self.arrays[key])

    def _inside(self, key: Key) -> Key:
        """A table's key, or that of the newest table where it is an array of them."""
        return (*key, self.arrays[key]) if key in self.arrays else key

    def _key(self, table: Key) -> Key:
        start = self.at
        key = table
        parts = self._parts()
        for number, part in enumerate(parts, start=1):
            key = (*key, part)
            if number == len(parts):
                self._say(key, start)
            else:
                self._imply(key, start)
        return key

    def _parts(self) -> list[str]:
        parts: list[str] = []
        while match := KEY_PART.match(self.text, self.at):
            self.at = match.end()
            bare, basic, literal = match.groups()
            parts.append(bare or literal or _unescape(basic or ""))
            if not self.text.startswith(".", self.at):
                break
            self.at += 1
        return parts

    def _value(self, key: Key) -> None:
        """Step over a value and record what stands inside it; depth is held in a list."""
        nested: list[_Open] = []
        self._item(key, nested)
        while nested:
            start = self.at
            self._blank()
            around = nested[-1]
            if self.at >= len(self.text):
                return
            if self.text[self.at] in "]}":
                self.at += 1
                nested.pop()
            elif self.text[self.at] == ",":
                self.at += 1
            elif around.array:
                around.index += 1
                element = (*around.key, around.index)
                self._say(element, self.at)
                self._item(element, nested)
            else:
                inner = self._key(around.key)
                self._expect("=")
                self._item(inner, nested)
            if self.at == start:
                return

    def _item(self, key: Key, nested: list[_Open]) -> None:
        """A scalar whole, or the opening bracket of what holds more."""
        self._blank()
        mark = self.text[self.at : self.at + 1]
        if mark in ("[", "{"):
            self.at += 1
            nested.append(_Open(key, array=mark == "["))
            return
        match = STRING.match(self.text, self.at) or SCALAR.match(self.text, self.at)
        if match is not None:
            self.at = match.end()

    def _blank(self) -> None:
        match = BLANK.match(self.text, self.at)
        if match is not None:
            self.at = match.end()

    def _expect(self, mark: str) -> None:
        if self.text.startswith(mark, self.at):
            self.at += 1

    def _say(self, key: Key, offset: int) -> None:
        if key in self.wanted:
            self.said.setdefault(key, offset)

    def _imply(self, key: Key, offset: int) -> None:
        if key in self.wanted:
            self.implied.setdefault(key, offset)
