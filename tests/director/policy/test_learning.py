"""policy/facts: what was heard on the way does not matter, where it ended does."""

from hypothesis import given
from hypothesis import strategies as st

from director.model.address import Endpoint
from director.model.check import Standing
from director.policy.desired import derive
from director.policy.facts import Facts
from director.policy.probing import target_of
from tests.director.policy.test_facts import CHECK, TLS, WEB, facts_of

KEYS = [target_of(CHECK, Endpoint(f"10.0.8.{host}", 80)).key for host in (11, 12)]
STANDINGS = st.builds(
    Standing,
    st.sampled_from([*KEYS, "a key that nobody asked for"]),
    st.sampled_from(["unknown", "up", "down"]),
    st.sampled_from(["", "HTTP 503", "layer4 timeout"]),
    st.floats(0, 1e9),
)
HISTORIES = st.lists(st.lists(STANDINGS, max_size=4), max_size=8)


def fresh() -> Facts:
    return facts_of(WEB, TLS)


@given(history=HISTORIES)
def test_only_the_last_level_counts(history: list[list[Standing]]) -> None:
    """Any sequence of notes, then derive: the same as hearing the final levels alone."""
    told, levels = fresh(), fresh()

    for notes in history:
        told.learn_standings(notes, now=0.0)
    last = {standing.key: standing for notes in history for standing in notes}
    levels.learn_standings(last.values(), now=0.0)

    assert derive(told, "web", 0.0) == derive(levels, "web", 0.0)
    assert told.is_decided() == levels.is_decided()


@given(history=HISTORIES)
def test_what_is_not_touched_needs_no_deriving(history: list[list[Standing]]) -> None:
    """Deriving only when told so leaves the table as deriving every time would."""
    facts = fresh()
    kept = derive(facts, "web", 0.0)

    for notes in history:
        if facts.learn_standings(notes, now=0.0):
            kept = derive(facts, "web", 0.0)

        assert kept.table == derive(facts, "web", 0.0).table
