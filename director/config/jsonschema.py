# Made of the very types that the file is read with, so it cannot lag behind them. A key that is not
# built yet has a type that nothing fits: an editor refuses it, as `director check` does.
"""JSON Schema of the configuration file, for editors."""

from typing import Any

import msgspec

from director.config.descriptions import DESCRIPTIONS
from director.config.schema import FileTable

DIALECT = "https://json-schema.org/draft/2020-12/schema"
LATER = {"not": {}, "description": "Not built yet in this version."}


def schema() -> dict[str, Any]:
    """The whole file."""
    made = msgspec.json.schema(FileTable)
    for name, table in made["$defs"].items():
        table["description"] = _plain(table.get("description", ""))
        for key, kind in table["properties"].items():
            if kind.get("type") == "null":
                table["properties"][key] = dict(LATER)
            elif words := describe(name, key):
                kind["description"] = words
    return {"$schema": DIALECT, "title": "director.toml"} | made


def describe(table: str, key: str) -> str:
    """What is said of a key; empty when nothing is."""
    return DESCRIPTIONS.get(f"{table}.{key}", DESCRIPTIONS.get(key, ""))


def _plain(docstring: str) -> str:
    return " ".join(docstring.split())
