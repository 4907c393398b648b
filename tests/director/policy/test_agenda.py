"""policy/agenda: the earliest instant, whatever was put before."""

from hypothesis import given
from hypothesis import strategies as st

from director.policy.agenda import SPARE, Agenda
from director.policy.desired import NEVER

NAMES = st.sampled_from("abcd")
INSTANTS = st.one_of(st.just(NEVER), st.integers(0, 20).map(float))


@given(puts=st.lists(st.tuples(NAMES, INSTANTS)), now=st.integers(0, 20).map(float))
def test_the_last_word_on_a_name_counts(puts: list[tuple[str, float]], now: float) -> None:
    """What is due, and when the next is, are as if only the last put of each name had been."""
    agenda = Agenda()
    for name, at in puts:
        agenda.put(name, at)
    last = dict(puts)

    assert agenda.next_at() == min(last.values(), default=NEVER)
    assert agenda.take(now) == {name for name, at in last.items() if at <= now}
    assert agenda.next_at() == min((at for at in last.values() if at > now), default=NEVER)
    assert agenda.take(now) == set()


def test_a_name_that_is_put_off_for_ever_costs_no_memory() -> None:
    """What is outdated is thrown away, also where it never becomes the earliest."""
    agenda = Agenda()
    agenda.put("first", 0.0)

    for instant in range(1, 10_000):
        agenda.put("other", float(instant))

    assert len(agenda._heap) <= 2 * 2 + SPARE + 1
    assert agenda.take(1e9) == {"first", "other"}
