"""policy/once: what the file wants where no engine decides, and where one tells what it knows."""

import msgspec
import pytest

from director.model.check import Health
from director.model.config import Config, SyncSettings
from director.model.ops import Observed
from director.model.pool import Place
from director.model.service import (
    Counters,
    Destination,
    Forwarding,
    Protocol,
    Table,
    Tunnel,
)
from director.policy.once import wanted
from director.policy.weight import Override
from tests.director.engine.scene import ONE, TWO, WEB, Scene, config_of, standing, table


def with_service(config: Config, **changes: object) -> Config:
    return msgspec.structs.replace(
        config,
        services=tuple(msgspec.structs.replace(one, **changes) for one in config.services),
    )


def weights(found: Table) -> dict[str, int]:
    return {at.address: one.weight for at, one in found[WEB].destinations.items()}


def test_nobody_checks_so_the_file_counts() -> None:
    """Also over a weight that an engine had set to 0."""
    there = Observed(table={WEB: table(web1=0)})

    assert weights(wanted(config_of(), there, {})) == {ONE.address: 100, TWO.address: 100}


def test_an_operator_counts_without_an_engine_too() -> None:
    """A server in maintenance does not come back because a script ran."""
    words = {("s0", "web1"): Override("maintenance"), ("s0", "web2"): Override("weight", 7)}

    found = wanted(config_of(), Observed(), words)

    assert weights(found) == {ONE.address: 0, TWO.address: 7}


LEFT = {
    # weight, connections              what becomes of it
    "it serves":      (50, Counters(0, 0), 0),
    "it has clients": (0, Counters(1, 0), 0),
    "some are quiet": (0, Counters(0, 1), 0),
    "it has a template": (0, Counters(0, 0, 1), 0),
    "it is empty":    (0, Counters(0, 0), None),
}  # fmt: skip


@pytest.mark.parametrize(("weight", "counters", "then"), LEFT.values(), ids=LEFT)
def test_what_the_file_does_not_name_leaves(
    weight: int, counters: Counters, then: int | None
) -> None:
    """Quiesced, and removed once nobody is on it: never cut."""
    config = with_service(config_of(), members=config_of().services[0].members[:1])
    there = Observed(
        table={WEB: table(web1=100, web2=weight)}, counters={Place(WEB, TWO): counters}
    )

    assert weights(wanted(config, there, {})).get(TWO.address) == then


@pytest.mark.trio
@pytest.mark.parametrize("protocol", [Protocol.TCP, Protocol.UDP])
@pytest.mark.parametrize(
    "word", [None, Override("maintenance"), Override("drain"), Override("weight", 9)]
)
@pytest.mark.parametrize("health", ["unknown", "up", "down"])
async def test_with_what_an_engine_knows_it_wants_the_same(
    health: Health, word: Override | None, protocol: Protocol
) -> None:
    """
    `plan` with an engine is what the engine itself would do with the file.
    """
    virtual = msgspec.structs.replace(WEB, protocol=protocol)
    config = with_service(config_of(), virtuals=(virtual,))
    scene = Scene(config)
    scene.facts.learn_override("s0", "web1", word) if word else None
    scene.learn(standing(ONE, health), standing(TWO, "up"))
    await scene.reconciler.round()
    rows = scene.reconciler.desired["s0"].rows
    healths = {row.place: row.verdict.health for row in rows}
    overrides = {("s0", "web1"): word} if word else {}
    assert scene.facts.observed is not None

    found = wanted(config, scene.facts.observed, overrides, healths)

    assert found == scene.reconciler.desired["s0"].table


@pytest.mark.parametrize("word", [{}, {("s0", "web2"): Override("drain")}])
def test_a_tunnel_stays_while_connections_are_synced(
    word: dict[tuple[str, str], Override],
) -> None:
    """
    Empty or not: the peer may know a connection that needs it, and nobody stays here to wait.
    """
    config = config_of()
    if not word:
        config = with_service(config, members=config.services[0].members[:1])
    there = Observed(table={WEB: table(web1=100)}, counters={Place(WEB, TWO): Counters()})
    there.table[WEB].destinations[TWO] = Destination(
        weight=0, forwarding=Forwarding.TUN, tunnel=Tunnel()
    )
    assert weights(wanted(config, there, word)) == {ONE.address: 100}

    there.sync["master"] = SyncSettings(interface="lo")

    assert weights(wanted(config, there, word)) == {ONE.address: 100, TWO.address: 0}


def test_an_engine_that_never_heard_of_it_has_no_verdict() -> None:
    """A new real server starts at 0 and waits for its first check."""
    found = wanted(config_of(), Observed(), {}, {Place(WEB, ONE): "up"})

    assert weights(found) == {ONE.address: 100, TWO.address: 0}


def test_a_destination_that_was_cut_stays_cut() -> None:
    """`cut_after` has passed, or it would still be there."""
    config = with_service(config_of(), cut_after=60.0)
    down: dict[Place, Health] = {Place(WEB, ONE): "down", Place(WEB, TWO): "down"}

    found = wanted(config, Observed(table={WEB: table(web1=0)}), {}, down)

    assert found[WEB].destinations == {ONE: Destination(weight=0)}
