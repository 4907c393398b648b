"""policy/dealing: which worker probes what."""

from hypothesis import given
from hypothesis import strategies as st

from director.model.address import Endpoint
from director.model.check import Target, TcpCheck
from director.policy.dealing import deal

TARGETS = [Target(f"t{number}", Endpoint("10.0.8.11", 80), TcpCheck()) for number in range(50)]
WORKERS = st.lists(st.sampled_from(["a", "b", "c", "d"]), min_size=1, unique=True)


@given(workers=WORKERS)
def test_every_target_is_dealt_once(workers: list[str]) -> None:
    """No target is probed twice, none is forgotten."""
    hands = deal(TARGETS, workers)

    dealt = [target.key for hand in hands.values() for target in hand]
    assert sorted(dealt) == sorted(target.key for target in TARGETS)


@given(workers=WORKERS.filter(lambda names: len(names) > 1))
def test_a_worker_that_goes_moves_only_its_own_share(workers: list[str]) -> None:
    """Those that stay keep every target they had."""
    before = deal(TARGETS, workers)
    after = deal(TARGETS, workers[1:])

    assert all(set(before[one]) <= set(after[one]) for one in workers[1:])


def test_nobody_to_deal_to() -> None:
    """No worker, no hands; the last verdicts stand."""
    assert deal(TARGETS, []) == {}
