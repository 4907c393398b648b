"""policy/saved: the words of ipvsadm(8). tests/kernel/test_export.py has ipvsadm itself read them."""

from hypothesis import given

from director.model.service import Table
from director.policy.saved import restorable
from tests.kernel.saved import saved
from tests.kernel.tables import sensible_tables


def words(line: str) -> set[str]:
    """Options with their values, in any order; no threshold is one of 0."""
    return {" ".join(option.split()) for option in f" {line}".split(" -")} - {"x 0", "y 0"}


@given(table=sensible_tables())
def test_it_says_what_the_manual_says(table: Table) -> None:
    """
    Against a second writer, made from the manual and not from this code.
    """
    said = [line for key, there in table.items() for line in restorable(key, there)]

    assert [words(line) for line in said] == [words(line) for line in saved(table, thresholds=True)]
