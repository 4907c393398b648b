# Tests marked `kernel` need IPVS, and so a kernel of their own. The first of them boots a test machine
# and runs all that were collected in one go, inside; each then reports here what it reported there.
# A machine that cannot be booted fails them: they are never skipped.
"""Runs the tests marked `kernel` inside a test machine."""

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

INSIDE = "DIRECTOR_TESTS_INSIDE"
WITHIN = 480.0
REPORTS = pytest.StashKey[dict[str, list[pytest.TestReport]]]()

# How long an example takes is the machine's business: a busy one must not fail a property.
settings.register_profile("director", deadline=None)
settings.load_profile("director")


def needs_machine(item: pytest.Item) -> bool:
    return item.get_closest_marker("kernel") is not None and INSIDE not in os.environ


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> bool | None:
    """Report what the test reported inside."""
    if not needs_machine(item):
        return None
    config = item.config
    if REPORTS not in config.stash:
        ids = [one.nodeid for one in item.session.items if needs_machine(one)]
        config.stash[REPORTS] = dict(run_inside(config, ids))
    item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
    for report in config.stash[REPORTS].get(item.nodeid) or [silent(item, config)]:
        item.ihook.pytest_runtest_logreport(report=report)
    item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
    # The runner's own protocol does this: fixtures of what ran before end here.
    item.session._setupstate.teardown_exact(nextitem)
    return True


def silent(item: pytest.Item, config: pytest.Config) -> pytest.TestReport:
    """A failure for a test of which nothing was heard."""
    said = "".join(str(report.longrepr) for report in config.stash[REPORTS].get("", []))
    return pytest.TestReport(
        item.nodeid,
        item.location,
        {},
        "failed",
        f"the test machine said nothing of it\n{said}",
        "call",
    )


def run_inside(
    config: pytest.Config, ids: list[str]
) -> Iterator[tuple[str, list[pytest.TestReport]]]:
    """Run these in a test machine; their reports by id, and under "" what went wrong as a whole."""
    from director.drill.engines import MachineSpec
    from director.drill.host import run_folder
    from director.drill.machines import Machine
    from director.errors import DirectorError

    try:
        with run_folder() as folder, Machine(MachineSpec(name="tests"), folder) as machine:
            machine.boot()
            machine.wait()
            reports = folder / "reports"
            argv = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *ids]
            done = machine.run(argv, timeout=WITHIN, check=False, env={INSIDE: str(reports)})
            lines = reports.read_text().splitlines() if reports.exists() else []
            whole = done.stdout + done.stderr
    except DirectorError as error:
        lines = []
        whole = "".join(f"{fault}\n  mend: {fault.mend}\n" for fault in error.faults)
    found: dict[str, list[pytest.TestReport]] = {}
    for line in lines:
        data = json.loads(line)
        report = config.hook.pytest_report_from_serializable(config=config, data=data)
        found.setdefault(report.nodeid, []).append(report)
    yield from found.items()
    yield "", [pytest.TestReport("", ("", None, ""), {}, "failed", whole[-20000:], "call")]


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Inside: write each report where the run outside reads it."""
    if INSIDE in os.environ and _config is not None:
        data = _config.hook.pytest_report_to_serializable(config=_config, report=report)
        with Path(os.environ[INSIDE]).open("a") as file:
            file.write(json.dumps(data, default=str) + "\n")


_config: Any = None


def pytest_configure(config: pytest.Config) -> None:
    """Keep the configuration for the hook that is not given it."""
    global _config  # noqa: PLW0603  (pytest hands it to no report hook)
    _config = config
