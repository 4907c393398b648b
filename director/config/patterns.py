# Patterns of the file are matched against what a real server sends, in a process with deadlines.
# Python's matcher goes back and tries again; so what a pattern may cost is bounded by its form:
#
# - only single characters are repeated: what is repeated has one length, and one way to match;
# - either one repetition without a bound (*, +, {2,}) or several whose bounds multiply to
#   REPEATS_MAX at most, so that a search is at worst quadratic in the bytes that are searched;
# - no reference back, no look-around.
"""Regular expressions of bounded cost."""

import re
import warnings
from math import prod

REPEATS_MAX = 4096
PATTERN_MAX = 200

# One character or class, or a group's edge, and how often it is repeated.
ATOM = re.compile(
    r"(?P<item>\\[^0-9]|\[\^?\]?(?:\\.|[^\]\\])*\]|\((?!\?)|\(\?:|\)|[^\\\[\](){}*+?])"
    r"(?P<repeat>[*+?]|\{(?P<low>[0-9]*)(?P<comma>,?)(?P<high>[0-9]*)\})?"
)


def complain(pattern: str) -> tuple[str, str] | None:
    """What is wrong with a pattern, and its mend; None where it is cheap to match."""
    if len(pattern) > PATTERN_MAX:
        return f"the pattern is longer than {PATTERN_MAX} characters", "write a shorter one"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # "[[" may mean something else one day
            re.compile(pattern.encode())
    except (re.error, Warning) as error:
        return f"not a regular expression: {error}", 'mend it, or write "\\\\" before a character'
    bounds: list[int] = []
    endless = at = 0
    while at < len(pattern):
        match = ATOM.match(pattern, at)
        if match is None or pattern[match.end() : match.end() + 1] in ("*", "+", "?"):
            fault = f'"{pattern[at : at + 8]}" is more than checks match'
            return (
                fault,
                "write characters, classes, groups, | and repeated characters",
            )
        at = match.end()
        repeat = match["repeat"]
        if repeat is None:
            continue
        if match["item"] == ")":
            return "a group is repeated", "repeat single characters or classes alone"
        if repeat in ("*", "+") or (match["comma"] and not match["high"]):
            endless += 1
        else:
            bounds.append(2 if repeat == "?" else int(match["high"] or match["low"] or 1) + 1)
    if endless > 1 or (endless and bounds) or prod(bounds) > REPEATS_MAX:
        mend = 'bound them, as in "[0-9]{1,4}", or keep one of them'
        return "several repetitions multiply the cost of a search", mend
    return None
