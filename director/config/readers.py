"""Small readers that every part of the file needs: a value or a fault at its key."""

import re
from collections.abc import Collection
from typing import TypeVar

from msgspec import UnsetType

from director.config.faults import Findings, Key
from director.model.address import Prefix, canonical, parse_prefix
from director.units import DURATION, is_name, parse_duration, parse_share, show_duration

Value = TypeVar("Value")
LONGEST = 10 * 365 * 86400.0
HOST_NAME = re.compile(r"(?=.*[A-Za-z])[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*\.?")


def pick(default: Value, *written: Value | UnsetType) -> Value:
    """The first that is written, from the innermost out; else the default."""
    for value in written:
        if not isinstance(value, UnsetType):
            return value
    return default


def listed(value: Value | list[Value] | UnsetType) -> list[Value]:
    """`X` or `[X, …]` where a list is meant."""
    if isinstance(value, UnsetType):
        return []
    return value if isinstance(value, list) else [value]


def element(key: Key, value: object, index: int) -> Key:
    """The key of one element of what `listed` gives."""
    return (*key, index) if isinstance(value, list) else key


def read_duration(
    text: str,
    key: Key,
    found: Findings,
    *,
    low: float = 0.0,
    high: float = LONGEST,
    whole: bool = False,
) -> float | None:
    """Seconds between `low` and `high`; `whole` where the kernel counts in seconds."""
    if DURATION.fullmatch(text) is None:
        mend = 'write one number and one unit of ms, s, m, h, d, as in "2s"'
        found.add(key, f'"{text}" is not a duration', mend)
        return None
    seconds = parse_duration(text)
    if not low <= seconds <= high:
        between = f"{show_duration(low)} and {show_duration(high)}"
        found.add(key, f"{text} is not between {between}", f"write a duration between {between}")
        return None
    if whole and seconds % 1:
        found.add(key, f"{text} is not whole seconds", 'write whole seconds, as in "2s"')
        return None
    return seconds


def read_share(text: str, key: Key, found: Findings) -> float | None:
    """A share of one."""
    try:
        return parse_share(text)
    except ValueError as error:
        found.add(key, str(error), 'write a share, as in "30%"')
        return None


def read_address(text: str, key: Key, found: Findings) -> str | None:
    """A literal address in its one spelling."""
    try:
        return canonical(text)
    except ValueError:
        found.add(key, *no_address(text))
        return None


def no_address(text: str) -> tuple[str, str]:
    """Fault and mend for what should have been an address."""
    if HOST_NAME.fullmatch(text):
        fault = f'"{text}" is not an address'
        return fault, "write the address itself; host names are not looked up"
    return f'"{text}" is not an address', 'write it as in "192.0.2.10" or "2001:db8::10"'


def read_prefix(text: str, key: Key, found: Findings) -> Prefix | None:
    """An address, with or without the length of its network."""
    host = text.partition("/")[0]
    if read_address(host, key, found) is None:
        return None
    try:
        return parse_prefix(text)
    except ValueError as error:
        found.add(key, str(error), 'write a length, as in "10.0.8.1/24"')
        return None


def read_role(role: str, known: Collection[str], key: Key, found: Findings) -> bool:
    """Is this a role of [interfaces]?"""
    if role in known:
        return True
    if found.within("interfaces", role):
        return False  # its device was refused: told there
    roles = ", ".join(known) or "there are none yet"
    mend = found.suggest(role, known, f"add it to [interfaces], or write one of its roles: {roles}")
    found.add(key, f'[interfaces] has no role "{role}"', mend)
    return False


def check_names(names: Collection[str], key: Key, found: Findings) -> None:
    """Names that logs and commands can say."""
    for name in names:
        if not is_name(name):
            found.add(
                (*key, name),
                f'"{name}" is not a name',
                "write at most 63 of a-z 0-9 _ . - and begin with a letter or a digit",
            )
