"""What lies between the nodes: one wire a segment, and what befalls an advert on it."""

import msgspec

DELAY = 0.002  # the longest that a whole wire takes, seconds
SHARE = 0.1  # of the delay at least: what is drawn between the two comes in another order

Cut = frozenset[tuple[int, int]]


class Wire(msgspec.Struct, frozen=True):
    """`lose` and `double` are probabilities, `delay` the longest one in seconds.

    `cut` are the ways that nothing takes any more, (from, to) by the numbers of the nodes: a split
    one way has one of the two directions, and any subset of nodes may be parted from the others.
    """

    lose: float = 0.0
    delay: float = DELAY
    double: float = 0.0
    cut: Cut = frozenset()


WHOLE = Wire()


def parted(some: frozenset[int], others: frozenset[int], *, both_ways: bool = True) -> Cut:
    """The cut that keeps what `some` say from the `others`, and the other way round."""
    there = {(one, other) for one in some for other in others}
    back = {(other, one) for one, other in there} if both_ways else set()
    return frozenset(there | back)
