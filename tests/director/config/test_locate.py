"""Tests of director.config.locate."""

import re

import pytest
import tomli
from hypothesis import given
from hypothesis import strategies as st

from director.config.locate import Key, locate

TEXT = '''\
# comment = 1
format = 1
"quoted key" = 2
a.b.c = 3
a.b.d = 4

[services.web]   # [services.not]
virtual = [
  "1.2.3.4:80",  # "x", ]
  "]#,",
  { server = "web2", weight = 50 },
  [1979-05-27 07:32:00, [ { deep = 1 } ]],
]
text = """
[services.fake]
weight = 1 ""\\""" """
literal = \'\'\'
it's [[no]] table\'\'\'
after = { x = 1, "y.z" = { k = [1,
  2] } }
[[hooks]]
on = 1
[[hooks]]
on = 2
[hooks.sub]
k = 1
[services."api \\u0041"]
k = 1
[services]
z = 1
'''
PLACES: dict[Key, int] = {
    ("format",): 2,
    ("quoted key",): 3,
    ("a",): 4,
    ("a", "b"): 4,
    ("a", "b", "c"): 4,
    ("a", "b", "d"): 5,
    ("services", "web"): 7,
    ("services", "web", "virtual"): 8,
    ("services", "web", "virtual", 0): 9,
    ("services", "web", "virtual", 1): 10,
    ("services", "web", "virtual", 2): 11,
    ("services", "web", "virtual", 2, "weight"): 11,
    ("services", "web", "virtual", 3, 1, 0, "deep"): 12,
    ("services", "web", "text"): 14,
    ("services", "web", "literal"): 17,
    ("services", "web", "after", "x"): 19,
    ("services", "web", "after", "y.z", "k", 1): 20,
    ("hooks",): 21,
    ("hooks", 0): 21,
    ("hooks", 0, "on"): 22,
    ("hooks", 1): 23,
    ("hooks", 1, "on"): 24,
    ("hooks", 1, "sub", "k"): 26,
    ("services", "api A", "k"): 28,
    ("services",): 29,
    ("services", "z"): 30,
    # what does not stand there: its longest part that does
    ("services", "web", "weight"): 7,
    ("services", "fake"): 29,
    ("services", "web", "virtual", 9, "x"): 8,
    ("nothing",): 1,
    (): 1,
}


@pytest.mark.parametrize(("key", "line"), PLACES.items())
def test_places(key: Key, line: int) -> None:
    """Each way to write a key is found; what only looks like one is not."""
    assert tomli.loads(TEXT)

    assert locate(TEXT, [key]) == {key: line}


def test_many_keys_in_one_walk() -> None:
    """One call serves all keys and gives what single calls give."""
    assert locate(TEXT, PLACES.keys()) == PLACES


NAMES = st.text("ab-_0é .\"\\#'=[]\t", min_size=1, max_size=4) | st.sampled_from(["a", "b", "c"])
SCALARS = st.integers(-9, 9) | st.booleans() | st.text("ab\"'\\#[]{},=\n é", max_size=6)
TREES = st.dictionaries(
    NAMES,
    st.recursive(
        SCALARS,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
        max_leaves=12,
    ),
    max_size=4,
)


class Renderer:
    """Writes a tree as TOML in varied styles and notes the line of every key as it goes."""

    def __init__(self, draw: st.DataObject) -> None:
        self.draw = draw
        self.text = ""
        self.lines: dict[Key, int] = {}

    def choose(self, *options: str) -> str:
        return self.draw.draw(st.sampled_from(options))

    def note(self, key: Key) -> None:
        self.lines.setdefault(key, self.text.count("\n") + 1)

    def name(self, name: str) -> str:
        if re.fullmatch(r"[A-Za-z0-9_-]+", name) and self.choose("bare", "quoted") == "bare":
            return name
        if not set(name) & {"'", "\t"} and self.choose("basic", "literal") == "literal":
            return f"'{name}'"
        return self.basic(name)

    def basic(self, text: str) -> str:
        escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
        return '"' + escaped.replace("é", self.choose("é", "\\u00e9")).replace("\t", "\\t") + '"'

    def string(self, text: str) -> str:
        if self.choose("one", "many") == "many":
            return '"""\n' + text.replace("\\", "\\\\").replace('"', '\\"') + '"""'
        if self.choose("basic", "literal") == "literal" and "'" not in text and "\n" not in text:
            return f"'{text}'"
        return self.basic(text)

    def table(self, tree: dict[str, object], key: Key) -> None:
        """Plain keys first, then the tables under headers of their own."""
        later: list[str] = []
        for name, value in tree.items():
            headed = isinstance(value, dict) or self.is_tables(value)
            if headed and self.choose("headed", "inline") == "headed":
                later.append(name)
                continue
            self.blank()
            self.note((*key, name))
            self.text += f"{self.name(name)}{self.choose('=', ' = ')}"
            self.value(value, (*key, name))
            self.text += self.choose("", " # x = [", "\t") + "\n"
        for name in later:
            self.under_headers(tree[name], (*key, name))

    def is_tables(self, value: object) -> bool:
        return isinstance(value, list) and bool(value) and all(isinstance(v, dict) for v in value)

    def under_headers(self, value: object, key: Key) -> None:
        dotted = ".".join(self.name(part) for part in key if isinstance(part, str))
        if isinstance(value, dict):
            self.blank()
            self.note(key)
            self.text += f"[{self.choose('', ' ')}{dotted}]\n"
            self.table(value, key)
        elif isinstance(value, list):
            for index, one in enumerate(value):
                self.blank()
                self.note(key)
                self.note((*key, index))
                self.text += f"[[{dotted}]]\n"
                self.table(one, (*key, index))

    def value(self, value: object, key: Key) -> None:
        match value:
            case dict():
                self.text += "{"
                for number, (name, inner) in enumerate(value.items()):
                    self.text += ", " if number else " "
                    self.note((*key, name))
                    self.text += f"{self.name(name)} = "
                    self.value(inner, (*key, name))
                self.text += "}"
            case list():
                self.text += "["
                for index, inner in enumerate(value):
                    self.text += ("," if index else "") + self.choose("", " ", "\n  ", " # ],\n")
                    self.note((*key, index))
                    self.value(inner, (*key, index))
                self.text += self.choose("", "\n") + "]"
            case bool():
                self.text += str(value).lower()
            case str():
                self.text += self.string(value)
            case _:
                self.text += str(value)

    def blank(self) -> None:
        self.text += self.choose("", "\n", "# [a] = 1\n", "  ")


@given(tree=TREES, draw=st.data())
def test_every_key_is_found_however_it_is_written(
    tree: dict[str, object], draw: st.DataObject
) -> None:
    """Nested data in any style: each key, table and element is found on the line it began on."""
    renderer = Renderer(draw)
    renderer.table(tree, ())
    assert tomli.loads(renderer.text) == tree

    assert locate(renderer.text, renderer.lines.keys()) == renderer.lines


@given(text=st.text() | st.text("[]{}=\"'.,#\n a1"))
def test_any_text_ends(text: str) -> None:
    """Text that no parser accepts ends the walk; it neither raises nor hangs."""
    assert 1 <= locate(text, [("a", 0, "b")])[("a", 0, "b")] <= text.count("\n") + 1
