"""The drills that there are, and how they are played."""

import itertools
import time
from collections.abc import Sequence

import msgspec

from director.drill import steps
from director.drill.doubles import freeze_active, one_way_split, pause_active
from director.drill.engines import EngineName
from director.drill.handshakes import half_open, half_open_stale, wrong_neighbour
from director.drill.host import run_folder
from director.drill.machines import need_engine
from director.drill.reloads import reload_file
from director.drill.report import Display, summary
from director.drill.stage import BUSY_EVERY, HELD, SLOW_EVERY, Result, Stage, set_stage
from director.errors import DirectorError, Exit, Fault


class Drill(msgspec.Struct, frozen=True):
    """Steps that belong together, and lead back to where they began."""

    text: str
    steps: tuple[steps.Step, ...]
    engine: EngineName = "uml"


DRILLS = {
    "steady": Drill("all is well", (steps.steady,)),
    "real-server": Drill(
        "a real server is killed and comes back",
        (steps.real_server_dies, steps.real_server_returns),
    ),
    "quiesce": Drill("an operator quiesces a real server and undoes it", (steps.quiesce,)),
    "hand-over": Drill("the active director hands over to its peer", (steps.hand_over,)),
    "reload": Drill("the file changes under load, once to a wrong one", (reload_file,)),
    "power": Drill(
        "the active director loses its power and comes back",
        (steps.power_cut, steps.power_returns),
    ),
    "pause": Drill("the active director's machine stands still for a while", (pause_active,)),
    "freeze": Drill(
        "the same, and its clock stands still with it (QEMU)", (freeze_active,), engine="qemu"
    ),
    "handshakes": Drill(
        "handshakes are half open when the VIP moves (QEMU)", (half_open,), engine="qemu"
    ),
    "stale": Drill("clients go on asking the old director", (half_open_stale, wrong_neighbour)),
    "split": Drill("the backup does not hear the active director", (one_way_split,)),
    "stop": Drill("the active director is stopped, and started again", (steps.clean_stop,)),
}
DEMO = ("steady", "real-server", "quiesce", "hand-over", "power")


def run(names: Sequence[str]) -> int:
    """0: every step did what it should. 1: one did not. Raises SystemLacks, NoRight."""
    unknown = [name for name in names if name not in DRILLS]
    if unknown:
        fault = f"there is no drill {', '.join(unknown)}"
        raise DirectorError(Exit.USAGE, Fault(fault=fault, mend=f"one of: {', '.join(DRILLS)}"))
    began = time.monotonic()
    results = []
    for engine, some in itertools.groupby(names or DEMO, lambda name: DRILLS[name].engine):
        results += _play_on(engine, list(some))
    failed = [one.name for one in results if one.faults]
    verdict = f"FAILED: {', '.join(failed)}" if failed else "every step did what it should"
    print(f"\n{summary(results)}\n\n{verdict}; {time.monotonic() - began:.0f} s in all")
    return Exit.NO if failed else Exit.DONE


def _play_on(engine: EngineName, names: Sequence[str]) -> list[Result]:
    """On a stage of their own."""
    need_engine(engine)
    began = time.monotonic()
    print("starting two directors, a client and real servers, each with a network of its own")
    with run_folder() as folder, set_stage(folder, engine=engine) as stage:
        print(f"ready after {time.monotonic() - began:.1f} s")
        stage.held = [stage.hold(HELD, BUSY_EVERY), stage.hold(HELD, SLOW_EVERY)]
        return _play(stage, names)


def _play(stage: Stage, names: Sequence[str]) -> list[Result]:
    results = []
    with Display(stage) as display:
        for name in names:
            display.say(f"* {name}: {DRILLS[name].text}")
            for step in DRILLS[name].steps:
                stage.step = step.__name__.replace("_", " ")
                results.append(step(stage))
    return results
