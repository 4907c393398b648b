"""Durations, shares and names as the file spells them: text to number and back."""

import re

DURATION = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|s|m|h|d)")
SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
NAME = re.compile(r"[a-z0-9][a-z0-9_.-]{0,62}")


def parse_duration(text: str) -> float:
    """Seconds. One number and one unit: `100ms`, `2s`, `1.5m`, `1h`, `7d`.

    Raises ValueError on anything else.
    """
    match = DURATION.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is not a duration")
    return float(match[1]) * SECONDS[match[2]]


def show_duration(seconds: float) -> str:
    """The shortest spelling that `parse_duration` reads back as the same number."""
    for unit in ("d", "h", "m", "s"):
        if seconds and seconds % SECONDS[unit] == 0:
            return f"{int(seconds / SECONDS[unit])}{unit}"
    return f"{round(seconds * 1000)}ms" if seconds else "0s"


def parse_share(text: str) -> float:
    """A share of one: `30%` is 0.3. Raises ValueError on anything outside 0%..100%."""
    match = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)%", text)
    if match is None or float(match[1]) > 100:
        raise ValueError(f"{text!r} is not a share between 0% and 100%")
    return float(match[1]) / 100


def is_name(text: str) -> bool:
    """May this be the name of a service, a check, a node, a real server?"""
    return NAME.fullmatch(text) is not None
