"""Two directors in a cloud that has no ARP: a command moves the address, and it follows."""

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from director.drill.host import run_folder
from director.drill.pair import CONFIG, Node, Pair
from director.drill.places import eventually
from director.drill.spec import pair_spec
from director.drill.stage import VIP
from director.drill.topology import Lab
from director.model.vip import DUMMY

pytestmark = pytest.mark.drill

WITHIN = 60.0
# A cloud that is a folder of claims, each a file of its own: the newest says where the address is.
# What releases looks first whether the address still points here. Each run leaves a line, too.
MOVE = """
import json, sys, time
from pathlib import Path

move = json.load(sys.stdin)
cloud = Path(sys.argv[1])
claims = sorted(one.name.split("-", 1) for one in (cloud / "claims").iterdir())
holder = claims[-1][1] if claims else ""
now = time.time_ns()
(cloud / "said" / f"{now}-{move['node']}-{move['from']}-{move['to']}").touch()
if move["to"] == "active":
    (cloud / "claims" / f"{now}-{move['node']}").touch()
elif holder == move["node"]:
    (cloud / "claims" / f"{now}-nobody").touch()
print(move["addresses"][0], "was at", holder)
"""


class Cloud:
    """What the commands have made of it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.program = folder / "move.py"
        self.program.write_text(MOVE)
        self.program.chmod(0o644)
        for name in ("claims", "said"):
            (folder / name).mkdir()
            (folder / name).chmod(0o777)

    def holders(self) -> list[str]:
        """Who held the address, one after the other."""
        claims = sorted(one.name for one in (self.folder / "claims").iterdir())
        return [one.split("-", 1)[1] for one in claims]

    def said(self, node: str) -> list[str]:
        """What a node's command was told: from and to."""
        names = sorted(one.name for one in (self.folder / "said").iterdir())
        every = [one.split("-", 1)[1] for one in names]
        return [one.removeprefix(f"{node}-") for one in every if one.startswith(f"{node}-")]


class Stage:
    """The pair, and its cloud."""

    def __init__(self, pair: Pair, cloud: Cloud) -> None:
        self.pair = pair
        self.cloud = cloud

    def active(self) -> Node:
        """Where the address is and the VIPs are, once both are one."""

        def find() -> Node | None:
            node = self.pair.active()
            held = self.cloud.holders()
            return node if node is not None and held and held[-1] == node.name else None

        return eventually(find, WITHIN, "the address at the active director")

    def other(self, node: Node) -> Node:
        return next(one for one in self.pair.nodes.values() if one is not node)


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    """Both directors and nothing else."""
    spec = msgspec.structs.replace(pair_spec(), field=())
    with run_folder() as folder:
        # Before a machine looks at them: commands are run as nobody.
        for one in (folder, folder.parent, folder.parent.parent):
            one.chmod(one.stat().st_mode | 0o111)
        cloud = Cloud(folder)
        run = f'["/usr/bin/python3", "{cloud.program}", "{folder}"]'
        mode = f'vrid = 51\nmode = "hook"\nhook = {{ run = {run}, timeout = "20s" }}\n'
        text = CONFIG.read_text().partition("[real_servers]")[0].replace("vrid = 51\n", mode)
        text = text.replace('"100ms"', '"500ms"')  # no drill of speed: a busy host moves nothing
        with Lab(spec, folder) as lab:
            pair = Pair(lab, text)
            pair.start()
            yield Stage(pair, cloud)


def held(node: Node) -> bool:
    return VIP in node.place.run(["ip", "-br", "addr", "show", "dev", DUMMY], check=False).stdout


def test_the_address_follows_the_active_director(stage: Stage) -> None:
    """It takes packets for the VIP on its dummy; the other one does not, and has claimed nothing."""
    active = stage.active()

    assert held(active)
    assert not held(stage.other(active))
    assert stage.cloud.holders()[-1] == active.name


def test_a_hand_over_moves_it(stage: Stage) -> None:
    """The old one is told last, and does not undo what the new one did."""
    before = stage.active()

    eventually(
        lambda: "unknown-backup" in stage.cloud.said(stage.other(before).name),
        WITHIN,
        "the peer listening",
    )
    before.command("failover")
    eventually(
        lambda: "active-backup" in stage.cloud.said(before.name), WITHIN, "the release's end"
    )

    assert stage.active() is stage.other(before)
    assert stage.cloud.holders()[-1] == stage.other(before).name
    assert "nobody" not in stage.cloud.holders()


@pytest.mark.full
def test_an_engine_that_starts_again_tells_the_state_again(stage: Stage) -> None:
    """
    The command is told what holds, as coming from `unknown`. On a busy host that takes longer than
    vrrp waits for its engine; then the peer is active, and has the address.
    """
    active = stage.active()
    stood = len(stage.cloud.said(active.name))

    engine = active.place.run(["pgrep", "-f", "director engine"]).stdout.split()
    active.place.run(["kill", "-KILL", *engine])
    eventually(lambda: len(stage.cloud.said(active.name)) > stood, WITHIN, "the state told again")

    now = "active" if stage.active() is active else "backup"
    assert stage.cloud.said(active.name)[stood:] == [f"unknown-{now}"]


@pytest.mark.full
def test_a_power_cut_moves_it(stage: Stage) -> None:
    """Nobody is there to release it: the other claims it."""
    before = stage.active()
    after = stage.other(before)

    before.place.cut_power()

    eventually(lambda: stage.cloud.holders()[-1] == after.name, WITHIN, "the address at the other")
    assert held(after)
