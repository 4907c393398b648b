"""config/jsonschema: what an editor knows of the file."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
import tomli

from director.config.jsonschema import LATER, describe, schema
from tests.director.config.test_contract import PAIR, contract_block

SCHEMA: Any = schema()


def misfits(value: object, node: Any, key: str = "") -> Iterator[str]:
    """The keys at which `value` does not fit: the part of JSON Schema that msgspec makes."""
    if "$ref" in node:
        yield from misfits(value, SCHEMA["$defs"][node["$ref"].rsplit("/", 1)[1]], key)
        return
    if "anyOf" in node:
        tried = [list(misfits(value, one, key)) for one in node["anyOf"]]
        if all(tried):
            yield from max(tried, key=lambda found: max(map(len, found)))
        return
    if not _fits(value, node):
        yield key
    elif isinstance(value, dict):
        yield from _table_misfits(value, node, key)
    elif isinstance(value, list):
        for index, one in enumerate(value):
            yield from misfits(one, node.get("items", {}), f"{key}[{index}]")


def _table_misfits(value: dict[str, object], node: Any, key: str) -> Iterator[str]:
    yield from (f"{key}.{name}" for name in node.get("required", []) if name not in value)
    for name, one in value.items():
        below = node.get("properties", {}).get(name, node.get("additionalProperties", {}))
        if below is False:
            yield f"{key}.{name}"
        else:
            yield from misfits(one, below, f"{key}.{name}")


TYPES = {
    "object": dict,
    "array": list,
    "string": str,
    "integer": int,
    "boolean": bool,
}


def _fits(value: object, node: Any) -> bool:
    if "not" in node:
        return False
    wanted = node.get("type")
    if wanted and (
        not isinstance(value, TYPES[wanted]) or isinstance(value, bool) != (wanted == "boolean")
    ):
        return False
    if "enum" in node and value not in node["enum"]:
        return False
    if isinstance(value, int) and not node.get("minimum", value) <= value <= node.get(
        "maximum", value
    ):
        return False
    return not (
        isinstance(value, str) and "pattern" in node and not re.search(node["pattern"], value)
    )


def strip_later(value: Any, node: Any) -> Any:
    """Without the keys that are not built yet."""
    if "$ref" in node:
        node = SCHEMA["$defs"][node["$ref"].rsplit("/", 1)[1]]
    if isinstance(value, dict):
        below = node.get("properties", {})
        other = node.get("additionalProperties") or {}
        return {
            name: strip_later(one, below.get(name, other))
            for name, one in value.items()
            if "not" not in below.get(name, {})
        }
    return value


def test_the_contracts_block_fits() -> None:
    """
    All of it that is built; what is not is refused by an editor, too.
    """
    block = tomli.loads(contract_block())
    found = list(misfits(strip_later(block, SCHEMA), SCHEMA))

    # Values that are not built, of keys that are: director/config/schema.py, `later`.
    assert [key for key in found if not re.search(UNBUILT_VALUES, key)] == []
    assert [one for one in misfits(block, SCHEMA) if one in (".api", ".hooks", ".link")]


UNBUILT_VALUES = r"failback|check|checks|real_servers|tunnel|virtual"


def test_a_pairs_file_fits() -> None:
    """The whole of one that this version takes."""
    assert list(misfits(tomli.loads(PAIR), SCHEMA)) == []


WRONG = {
    "services.web.wieght = 3":                ".services.web.wieght",
    "services.web.weight = 70000":            ".services.web.weight",
    'services.web.weight = "3"':              ".services.web.weight",
    'services.web.scheduler = "fastest"':     ".services.web.scheduler",
    'services.web.drain = "5 minutes"':       ".services.web.drain",
    "link = {}":                              ".link",
}  # fmt: skip


@pytest.mark.parametrize(("line", "key"), WRONG.items(), ids=WRONG)
def test_what_check_refuses_an_editor_marks(line: str, key: str) -> None:
    """At the same key."""
    file = tomli.loads(f"format = 1\n{line}")

    assert list(misfits(file, SCHEMA)) == [key]


def test_every_key_has_a_description() -> None:
    """An editor shows it; whoever adds a key writes a sentence in config/descriptions.py."""
    mute = [
        f"{table}.{key}"
        for table, node in SCHEMA["$defs"].items()
        for key, kind in node["properties"].items()
        if kind != LATER and not describe(table, key)
    ]

    assert mute == []


def test_the_example_names_the_schema() -> None:
    """So that an editor completes it at once."""
    assert contract_block().startswith("#:schema /usr/share/director/director.schema.json\n")
