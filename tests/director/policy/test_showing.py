"""policy/showing: nothing of the table is lost on its way to a command."""

import msgspec
import pytest
from hypothesis import given

from director.model.ops import Observed
from director.model.pool import Place
from director.model.service import Counters, Table
from director.model.shown import ShownService
from director.policy.showing import enter_shown, override_of, show_destination, show_service
from director.policy.weight import Override
from tests.director.engine.scene import ONE, TWO, WEB, Scene, config_of
from tests.kernel.tables import tables


@given(table=tables())
def test_a_table_goes_through_json_and_back(table: Table) -> None:
    """
    Every virtual service and destination that the kernel takes, with its counters.
    """
    observed = Observed()
    counters = Counters(3, 2, 1)

    for key, there in table.items():
        each = [show_destination(at, one, counters) for at, one in there.destinations.items()]
        shown = show_service(key, there.settings, each)
        read = msgspec.json.decode(msgspec.json.encode(shown), type=ShownService)
        assert [place for place, _ in enter_shown(observed, read)] == [
            Place(key, at) for at in there.destinations
        ]

    assert observed.table == table
    assert set(observed.counters.values()) <= {counters}


@pytest.mark.trio
async def test_what_the_engine_knows_stands_beside_it() -> None:
    """Name, health, the weight that is wanted, and an operator's word that can be read back."""
    scene = Scene(config_of())
    word = Override("weight", 50, percent=True)
    scene.facts.learn_override("s0", "web1", word)
    scene.all_up()
    await scene.reconciler.round()
    rows = {row.place: row for row in scene.reconciler.desired["s0"].rows}
    one = scene.kernel.table[WEB].destinations[ONE]

    shown = show_destination(ONE, one, row=rows[Place(WEB, ONE)])
    other = show_destination(TWO, one, row=rows[Place(WEB, TWO)])

    assert (shown.real_server, shown.health, shown.wanted) == ("web1", "up", 50)
    assert (shown.operator, shown.operator_weight) == ("weight", "50%")
    assert (override_of(shown), override_of(other)) == (word, None)
