"""`make demo`: the main job, for a person to watch."""

import time

from director.drill import steps
from director.drill.host import run_folder
from director.drill.report import Display, summary
from director.drill.stage import BUSY_EVERY, HELD, SLOW_EVERY, Result, Stage, set_stage
from director.errors import Exit

PROGRAMME: tuple[tuple[str, steps.Step], ...] = (
    ("all is well", steps.steady),
    ("kill the real server web1", steps.real_server_dies),
    ("bring web1 back", steps.real_server_returns),
    ("quiesce web2 and undo it", steps.quiesce),
    ("hand over to the peer", steps.hand_over),
    ("cut the power of the active director", steps.power_cut),
    ("bring it back", steps.power_returns),
)


def demo() -> int:
    """0: every step did what it should. 1: one did not."""
    began = time.monotonic()
    print("starting two directors, a client and real servers, each with a network of its own")
    with run_folder() as folder, set_stage(folder) as stage:
        print(f"ready after {time.monotonic() - began:.1f} s")
        stage.held = [stage.hold(HELD, BUSY_EVERY), stage.hold(HELD, SLOW_EVERY)]
        results = play(stage)
    print(f"\n{summary(results)}\n\n{time.monotonic() - began:.0f} s in all")
    return Exit.NO if any(one.faults for one in results) else Exit.DONE


def play(stage: Stage) -> list[Result]:
    """All steps of the programme."""
    results = []
    with Display(stage) as display:
        for text, step in PROGRAMME:
            stage.step = text
            display.say(f"* {text}")
            results.append(step(stage))
    return results
