"""One stage for all drills of a module: booted once, settled before each."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from director.drill.host import run_folder
from director.drill.stage import BUSY_EVERY, HELD, SLOW_EVERY, Stage, set_stage


@pytest.fixture(scope="module")
def the_stage() -> Iterator[Stage]:
    """Network, real servers, two directors, clients at work."""
    with run_folder(Path(".build", "drill")) as folder, set_stage(folder) as stage:
        yield stage


@pytest.fixture
def stage(the_stage: Stage) -> Iterator[Stage]:
    """The stage, settled, with connections that are held during this drill alone."""
    the_stage.settle()
    the_stage.held = [the_stage.hold(HELD, BUSY_EVERY), the_stage.hold(HELD, SLOW_EVERY)]
    yield the_stage
    for group in the_stage.held:
        group.stop()
    the_stage.held = []
