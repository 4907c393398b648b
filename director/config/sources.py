# One document out of several files, and the way back from a key to its file and line.
#
# An included file adds to three tables of the main one and to nothing else, so the first two parts
# of a key (`services`, `web`) tell which file it stands in.
"""Files merged into one document; faults placed at file and line."""

from collections.abc import Iterable

import msgspec

from director.config.faults import Findings, Found, Key, show_key
from director.config.locate import locate
from director.errors import Fault

INCLUDABLE = ("services", "checks", "real_servers")


class Source(msgspec.Struct, frozen=True):
    """A file: its name as faults tell it, its text, and the tables that the parser made of it."""

    name: str
    text: str
    raw: dict[str, object]


class Document:
    """The main file with what it includes, as one tree of tables."""

    def __init__(self, main: Source, included: Iterable[Source], found: Findings) -> None:
        self.main = main
        self.sources = {main.name: main}
        self.origin: dict[Key, str] = {}
        self.raw: dict[str, object] = dict(main.raw)
        for section in INCLUDABLE:
            table = main.raw.get(section)
            if isinstance(table, dict):
                self.raw[section] = dict(table)
        main.raw.clear()  # one owner of the tables: see `take`
        for source in included:
            self.sources[source.name] = source
            self._merge(source, found)
            source.raw.clear()

    def take(self) -> dict[str, object]:
        """The tables, which are not kept: they are most of what a large file costs in memory, and
        what is made of them then has their place."""
        raw, self.raw = self.raw, {}
        return raw

    def _merge(self, source: Source, found: Findings) -> None:
        for section, table in source.raw.items():
            ours = self.raw.setdefault(section, {}) if section in INCLUDABLE else None
            if section not in INCLUDABLE:
                found.add(
                    (section,),
                    f"{section} may not stand in an included file",
                    f"move it to {self.main.name}; here may be only [services.*], [checks.*] "
                    "and [real_servers]",
                    file=source.name,
                )
            elif not isinstance(table, dict):
                found.add((section,), "is not a table", f"write [{section}]", file=source.name)
            elif isinstance(ours, dict):
                self._merge_table(section, ours, table, source, found)

    def _merge_table(
        self,
        section: str,
        ours: dict[str, object],
        theirs: dict[str, object],
        source: Source,
        found: Findings,
    ) -> None:
        for name, value in theirs.items():
            key = (section, name)
            if name in ours:
                found.add(
                    key,
                    f"{show_key(key)} is named twice",
                    "rename or remove one of the two",
                    file=source.name,
                    also=key,
                    also_file=self.file_of(key),
                )
            else:
                ours[name] = value
                self.origin[key] = source.name

    def file_of(self, key: Key) -> str:
        """The name of the file that a key stands in, or would stand in."""
        return self.origin.get(key[:2], self.main.name)

    def place(self, findings: Iterable[Found]) -> tuple[Fault, ...]:
        """Faults with file and line, in the order of the files and their lines."""
        findings = list(findings)
        wanted: dict[str, set[Key]] = {}
        for found in findings:
            wanted.setdefault(found.file or self.file_of(found.key), set()).add(found.key)
            if found.also is not None:
                file = found.also_file or self.file_of(found.also)
                wanted.setdefault(file, set()).add(found.also)
        lines = {file: locate(self.sources[file].text, keys) for file, keys in wanted.items()}
        order = {file: number for number, file in enumerate(self.sources)}
        faults = [self._placed(found, lines) for found in findings]
        return tuple(sorted(faults, key=lambda fault: (order[fault.file], fault.line)))

    def _placed(self, found: Found, lines: dict[str, dict[Key, int]]) -> Fault:
        file = found.file or self.file_of(found.key)
        also = ""
        if found.also is not None:
            other = found.also_file or self.file_of(found.also)
            also = f"; the other is at {other}:{lines[other][found.also]}"
        return Fault(
            fault=found.fault + also,
            mend=found.mend,
            key=show_key(found.key),
            file=file,
            line=lines[file][found.key],
        )
