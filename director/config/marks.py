# Marks of our own, for ranges that are one service each.
#
# A connection that the peer tells of bears the mark (ip_vs_sync.c), and so does a service that a
# fresh engine finds: a mark has to be the same on both nodes, and after a change of the file. So it
# comes from what the range says, and not from its place in the file.
"""Which mark a range gets."""

import hashlib
from collections.abc import Iterable

from director.model.match import Match

SPACE = 2**24


def marks_for(ranges: Iterable[Match], base: int) -> dict[Match, int]:
    """A mark from `base` on for each; where two would have the same one, the next that is free."""
    marks: dict[Match, int] = {}
    taken: set[int] = set()
    for one in sorted(set(ranges)):
        at = _wished(one)
        while at in taken:
            at = (at + 1) % SPACE
        taken.add(at)
        marks[one] = base + at
    return marks


def _wished(one: Match) -> int:
    text = f"{one.protocol.name} {one.first} {one.last} {one.low} {one.high}"
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest()) % SPACE
