# From tables as the parser gives them to the Structs of schema.py, and every misfit on the way.
#
# msgspec's convert is fast and stops at the first error, so it has the first try: a right file
# costs one call. When it refuses, the walk below goes through the same types, collects every
# misfit by its key, takes the misfits out, and converts what is left, so that the readers after
# this one can still say what they know about the rest.
"""Tables to Structs, with all misfits."""

import re
from functools import cache
from typing import TypeVar, cast

import msgspec
import msgspec.inspect as mi

from director.config.check_tables import LATER_KINDS
from director.config.faults import Findings, Key
from director.config.spellings import Table

NOT_BUILT = "is not built yet"
LEAVE_OUT = "leave it out; this version does not have it"

Shaped = TypeVar("Shaped", bound=Table)
type_info = cache(mi.type_info)


class _Misfit:
    """Stands for a value that was taken out."""


MISFIT = _Misfit()

SPELLINGS = {
    "duration": ("a duration", 'write one number and one unit of ms, s, m, h, d, as in "2s"'),
    "path": ("a path", 'write it from the root, without spaces, as in "/healthz"'),
    "host": ("a value for the Host header", "write a host name or an address, without spaces"),
    "header": ("a value for a header", "write printable ASCII on one line"),
    "label": ("a label", 'write at most 15 characters, as in ":web"'),
    "share": ("a share", 'write a number of percent, as in "30%"'),
    "device": ("the name of a network device", 'write it as "ip link" shows it, as in "eth0"'),
}


def shape(raw: dict[str, object], kind: type[Shaped], found: Findings) -> Shaped | None:
    """`raw` as a `kind`, without what does not fit; None when what is left is too little."""
    try:
        return msgspec.convert(raw, kind)
    except msgspec.ValidationError:
        clean = _fit(type_info(kind), raw, (), found)
    return None if clean is MISFIT else msgspec.convert(clean, kind)


def show(value: object) -> str:
    """A value as the file spells it, cut where it is long."""
    match value:
        case bool():
            text = "true" if value else "false"
        case int() if abs(value) >= 2**64:
            text = "a number beyond 64 bits"  # Python refuses to spell very long ones
        case str():
            text = f'"{value}"'
        case dict():
            text = "a table"
        case list():
            text = "a list"
        case _:
            text = str(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _fit(node: mi.Type, raw: object, key: Key, found: Findings) -> object:
    if is_later(node):
        found.add(key, f"{show_name(key)} {NOT_BUILT}", LEAVE_OUT)
        return MISFIT
    node, extra = _bare(node)
    match node:
        case mi.UnionType():
            return _fit_one_of(node, raw, key, found)
        case mi.StructType() if isinstance(raw, dict):
            return _fit_struct(node, raw, key, found)
        case mi.DictType() if isinstance(raw, dict):
            return _fit_dict(node, raw, key, found)
        case mi.ListType() if isinstance(raw, list):
            return _fit_list(node, raw, key, found)
        case mi.LiteralType():
            return _fit_literal(node, raw, key, found, extra)
        case mi.IntType() if isinstance(raw, int) and not isinstance(raw, bool):
            return _fit_int(node, raw, key, found)
        case mi.BoolType() if isinstance(raw, bool):
            return raw
        case mi.StrType() if isinstance(raw, str):
            return _fit_str(node, raw, key, found, str(extra.get("kind", "")))
    _wrong_type(node, raw, key, found, str(extra.get("kind", "")))
    return MISFIT


def _bare(node: mi.Type) -> tuple[mi.Type, dict[str, object]]:
    """A type without its marks, and the marks."""
    if isinstance(node, mi.Metadata):
        return node.type, node.extra or {}
    return node, {}


def is_later(node: mi.Type) -> bool:
    """Is this the type of a key that this version does not have?"""
    return _bare(node)[1].get("later") is True


def _fit_dict(node: mi.DictType, raw: dict[str, object], key: Key, found: Findings) -> object:
    fitted = {
        name: _fit(node.value_type, value, (*key, name), found) for name, value in raw.items()
    }
    return {name: value for name, value in fitted.items() if value is not MISFIT}


def show_name(key: Key) -> str:
    """The last name in a path: what the operator wrote."""
    return next((part for part in reversed(key) if isinstance(part, str)), "the file")


def _fit_struct(node: mi.StructType, raw: dict[str, object], key: Key, found: Findings) -> object:
    fields = {field.encode_name: field for field in node.fields}
    tag = {node.tag_field} if node.tag_field else set()
    clean: dict[str, object] = {}
    for name, value in raw.items():
        if name in tag:
            clean[name] = value
        elif name not in fields:
            known = sorted(fields.keys() | tag)
            built = [one for one in known if one in tag or not is_later(fields[one].type)]
            others = f"known here: {', '.join(built)}"
            found.add((*key, name), f'"{name}" is no key here', found.suggest(name, known, others))
        else:
            fitted = _fit(fields[name].type, value, (*key, name), found)
            if fitted is not MISFIT:
                clean[name] = fitted
    for field in node.fields:
        if field.required and field.encode_name not in raw:
            absent = (*key, field.encode_name)
            found.add(absent, f"{field.encode_name} is missing", f"add {field.encode_name} = …")
        if field.required and field.encode_name not in clean:
            return MISFIT
    return clean


def _fit_list(node: mi.ListType, raw: list[object], key: Key, found: Findings) -> object:
    fitted = [_fit(node.item_type, value, (*key, index), found) for index, value in enumerate(raw)]
    if any(value is MISFIT for value in fitted):
        return MISFIT  # whole: what is left would have other indexes
    if node.min_length is not None and len(raw) != node.min_length:
        fault = f"has {len(raw)} values, not {node.min_length}"
        found.add(key, fault, f"write {node.min_length} values")
        return MISFIT
    return fitted


def _fit_literal(
    node: mi.LiteralType, raw: object, key: Key, found: Findings, extra: dict[str, object]
) -> object:
    if raw in node.values and not isinstance(raw, bool):
        return raw
    later = cast("list[object]", extra.get("later", []))
    if raw in later or (later == ["*"] and isinstance(raw, str)):
        written = ", ".join(show(value) for value in node.values)
        mend = f"{LEAVE_OUT}; it has {written}"
        found.add(key, f"{show_name(key)} = {show(raw)} {NOT_BUILT}", mend)
        return MISFIT
    words = ", ".join(str(value) for value in node.values)
    known = [value for value in node.values if isinstance(value, str)]
    mend = f"write one of: {words}"
    if isinstance(raw, str):
        mend = found.suggest(raw, known, mend)
    found.add(key, f"{show(raw)} is none of: {words}", mend)
    return MISFIT


def _fit_int(node: mi.IntType, raw: int, key: Key, found: Findings) -> object:
    low, high = node.ge, node.le
    if low is not None and high is not None and not low <= raw <= high:
        found.add(key, f"{show(raw)} is outside {low}..{high}", f"write a number in {low}..{high}")
        return MISFIT
    return raw


def _fit_str(node: mi.StrType, raw: str, key: Key, found: Findings, kind: str) -> object:
    if node.pattern is None or re.search(node.pattern, raw):
        return raw
    what, mend = SPELLINGS[kind]
    found.add(key, f"{show(raw)} is not {what}", mend)
    return MISFIT


def _fit_one_of(node: mi.UnionType, raw: object, key: Key, found: Findings) -> object:
    if isinstance(raw, dict):
        return _fit_tagged(node, raw, key, found)
    fitting = [one for one in node.types if _takes(one, raw)]
    if fitting:
        return _fit(fitting[0], raw, key, found)
    kinds = {_bare(one)[1].get("kind") for one in node.types}
    if "duration" in kinds and isinstance(raw, int | float):
        _wrong_type(mi.StrType(), raw, key, found, "duration")
    else:
        words = " or ".join(dict.fromkeys(_noun(one) for one in node.types))
        found.add(key, f"{show(raw)} is not {words}", f"write {words}")
    return MISFIT


def _takes(node: mi.Type, raw: object) -> bool:
    bare, _ = _bare(node)
    match raw:
        case bool():
            return isinstance(bare, mi.BoolType)
        case int():
            return isinstance(bare, mi.IntType)
        case str():
            return isinstance(bare, mi.StrType | mi.LiteralType)
        case list():
            return isinstance(bare, mi.ListType)
    return False


def _fit_tagged(node: mi.UnionType, raw: dict[str, object], key: Key, found: Findings) -> object:
    """A table where a table of one of several kinds may stand."""
    structs = [one for one in node.types if isinstance(one, mi.StructType)]
    if not structs:
        words = " or ".join(dict.fromkeys(_noun(one) for one in node.types))
        found.add(key, f"a table is not {words}", f"write {words}")
        return MISFIT
    if structs[0].tag_field is None:
        return _fit_struct(structs[0], raw, key, found)
    tags = {str(one.tag): one for one in structs}
    field = structs[0].tag_field
    written = raw.get(field)
    if isinstance(written, str) and written in tags:
        return _fit_struct(tags[written], raw, key, found)
    words = ", ".join(tags)
    if field not in raw:
        found.add((*key, field), f"{field} is missing", f"write {field} = one of: {words}")
    elif written in LATER_KINDS:
        mend = f"{LEAVE_OUT}; it has {words}"
        found.add((*key, field), f"{field} = {show(written)} {NOT_BUILT}", mend)
    else:
        mend = found.suggest(str(written), tags, f"write one of: {words}")
        found.add((*key, field), f"{show(written)} is none of: {words}", mend)
    return MISFIT


def _noun(node: mi.Type) -> str:
    bare, _ = _bare(node)
    match bare:
        case mi.StrType() | mi.LiteralType():
            return "a string"
        case mi.IntType():
            return "a whole number"
        case mi.BoolType():
            return "true or false"
        case mi.ListType():
            return "a list"
    return "a table"


def _wrong_type(node: mi.Type, raw: object, key: Key, found: Findings, kind: str) -> None:
    noun = _noun(node)
    if kind == "duration" and isinstance(raw, int | float) and not isinstance(raw, bool):
        fault = f"{show(raw)} is a bare number where a duration is meant"
        found.add(key, fault, f'write "{show(raw)}s"')
    elif isinstance(node, mi.StrType) and isinstance(raw, int | float):
        found.add(key, f"{show(raw)} is not {noun}", f'put it in quotes: write "{show(raw)}"')
    elif isinstance(node, mi.IntType) and isinstance(raw, str) and raw.isdecimal():
        found.add(key, f"{show(raw)} is not {noun}", f"write {raw}, without quotes")
    elif isinstance(node, mi.IntType) and node.ge is not None and node.le is not None:
        mend = f"write a number in {node.ge}..{node.le}"
        found.add(key, f"{show(raw)} is not {noun}", mend)
    else:
        found.add(key, f"{show(raw)} is not {noun}", f"write {noun}")
