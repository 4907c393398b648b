"""Which check worker probes which target."""

import hashlib
from collections.abc import Iterable

from director.model.check import Target


def deal(targets: Iterable[Target], workers: Iterable[str]) -> dict[str, tuple[Target, ...]]:
    """Rendezvous hashing: a worker that comes or goes moves only its own share."""
    hands: dict[str, list[Target]] = {worker: [] for worker in workers}
    if not hands:
        return {}
    for target in targets:
        hands[max(hands, key=lambda worker: _score(worker, target.key))].append(target)
    return {worker: tuple(dealt) for worker, dealt in hands.items()}


def _score(worker: str, key: str) -> bytes:
    return hashlib.blake2b(f"{worker}\0{key}".encode(), digest_size=8).digest()
