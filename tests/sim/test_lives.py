# Ten thousand lives, on two cores at a time. To see one again, line by line:
# .venv/bin/python -m tests.sim.soak --show SEED
"""Whatever befalls some directors, the invariants of tests/sim/world.py hold."""

from collections import Counter
from collections.abc import Iterator

import pytest

from director.vrrp.machine import Active, Adopting, Backup, Leaving, Off
from tests.sim import soak
from tests.sim.lives import LIFE, play
from tests.sim.world import World

SEEDS = 10_000
WORKERS = 2
PART = 1000


@pytest.fixture(scope="module")
def played() -> Iterator[list[str]]:
    """The violations of each chunk of seeds, as they come."""
    return soak.in_parallel(0, SEEDS, WORKERS, chunk=PART)


@pytest.mark.parametrize("first", range(0, SEEDS, PART))
def test_lives(played: Iterator[list[str]], first: int) -> None:
    """
    In calm exactly one is active; who is not holds nothing beyond its lease; two never both yield.
    """
    del first  # the parts come in order
    broken = next(played)

    assert broken == [], broken[0]


def test_lives_are_what_they_claim_to_be() -> None:
    """
    Half a minute each; all states, versions, numbers of nodes and kinds of trouble come up.
    """
    seen: Counter[object] = Counter()
    for seed in range(200):
        world = play(seed)
        assert world.now == LIFE
        seen[len(world.nodes)] += 1
        seen["version", world.nodes[0].routers[0].rules.version] += 1
        seen["group"] += len(world.segments) == 2
        seen["owner"] += any(node.routers[0].rules.owner for node in world.nodes)
        seen["interval", world.nodes[0].routers[0].rules.interval] += 1
        for line in world.timeline:
            seen[line.why.split()[0] if line.who != "-" else line.why.split()[1]] += 1
            if line.step:
                seen[type(line.step.state)] += 1

    wanted = [
        *(2, 3, 4, "group", "owner", ("version", 2), ("version", 3)),
        *(("interval", 0.01), ("interval", 0.1), ("interval", 1.0)),
        *(Active, Adopting, Backup, Leaving, Off),
        *("boots", "crashes", "pauses:", "resumes", "resumes,", "hears", "has", "stays", "stops"),
    ]
    assert [one for one in wanted if not seen[one]] == []


def test_a_seed_decides_everything() -> None:
    """
    The same seed is the same life, to the last digit.
    """
    assert play(7).story() == play(7).story()
    assert play(7).story() != play(8).story()


def test_one_life_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    """
    The command that plays a seed again prints its timeline.
    """
    assert soak.main(["--show", "7"]) == 0

    told = capsys.readouterr().out
    assert told.startswith("seed 7\n")
    assert "boots" in told
    assert told.endswith("all invariants hold\n")


def test_a_violation_ends_the_soak_with_its_timeline(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    Exit status 1, and each violation as it was told, three at most.
    """
    chunks = [["seed 3 at 1.0: two\n  timeline"], [], ["seed 600"] * 4, ["seed 999"]]
    monkeypatch.setattr(soak, "in_parallel", lambda *_: iter(chunks))

    assert soak.main(["--seeds", "1000"]) == 1

    told = capsys.readouterr().out
    assert told.startswith("seed 3 at 1.0: two\n  timeline\nseed 600\nseed 600\nseeds 0 to 999")
    assert "999:" in told


def test_a_life_that_breaks_is_told_to_its_end(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    The whole timeline, and the violation in the last line; exit status 1.
    """

    def broken(world: World) -> None:
        world.run(LIFE / 2)
        world.fail("it broke")

    monkeypatch.setattr(soak, "run_life", broken)

    assert soak.main(["--show", "7"]) == 1

    told = capsys.readouterr().out.splitlines()
    assert told[0] == "seed 7"
    assert any("boots" in line for line in told)
    assert told[-1] == "seed 7 at 15.00000: it broke"
