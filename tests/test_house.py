"""The house keeps its own plan: floors, purity, size (docs/architecture.md)."""

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent
SOURCES = sorted([*ROOT.glob("director/**/*.py"), *ROOT.glob("checks/**/*.py")])

# The longest prefix counts. A module may import from its own floor's room and from lower floors.
FLOORS = {
    "director.__main__": 7,
    "checks.__main__": 7,
    "director.cli": 6,
    "director.engine": 5,
    "director.vrrp.process": 5,
    "director.vrrp.player": 5,
    "director.vrrp.stage": 5,
    "director.vrrp.vips": 5,
    "director.vrrp.mute": 5,
    "director.vrrp.standing": 5,
    "director.vrrp.chance": 5,
    "director.vrrp.burst": 5,
    "director.vrrp.ground": 5,
    "director.vrrp.lookout": 5,
    "director.vrrp.moves": 5,
    "director.vrrp.veil": 3,
    "director.vrrp.sniffer": 3,
    "director.vrrp.strays": 3,
    "director.vrrp.tally": 3,
    "director.vrrp.punctuality": 2,
    "director.vrrp.filter": 3,
    "director.exec": 5,
    "director.drill": 5,
    "checks.worker": 5,
    "checks.once": 5,
    "director.link": 4,
    "director.systemd": 4,
    "director.ask": 4,
    "checks.link": 4,
    "checks.lane": 4,
    "checks.attempt": 3,
    "checks.route": 3,
    "checks.kept": 3,
    "checks.talk": 2,
    "checks.http1": 2,
    "checks.dns_wire": 2,
    "checks.deadlines": 2,
    "checks.roster": 2,
    "checks.probes": 4,
    "checks.outcome": 2,
    "director.kernel": 3,
    "director.config.load": 3,
    "director.vrrp.socket": 3,
    "director.vrrp.advert_socket": 3,
    "director.vrrp.secret": 3,
    "director.log": 3,
    "director.paths": 3,
    "director.policy": 2,
    "director.wire": 2,
    "director.config": 2,
    "director.vrrp": 2,
    "checks.rise_fall": 2,
    "checks.timetable": 2,
    "director.model": 1,
    "director.errors": 0,
    "director.units": 0,
    "director": 0,
    "checks": 0,
}
PURE = 2
# Processes never import each other; the command line may start any of them.
PROCESSES = (
    "director.engine",
    "director.vrrp.process",
    "director.exec",
    "director.drill",
    "checks.worker",
)
IMPURE = {
    *("time", "os", "socket", "random", "threading", "logging", "trio", "asyncio", "subprocess"),
    *("pyroute2", "aiohttp", "tomli", "selectors", "signal", "pathlib"),
}
LINES_MAX = 350
FUNCTION_MAX = 50


def name_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def floor_of(module: str) -> int:
    return FLOORS[max((p for p in FLOORS if f"{module}.".startswith(f"{p}.")), key=len)]


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            assert node.module is not None
            submodules = [f"{node.module}.{alias.name}" for alias in node.names]
            here = [one for one in submodules if (ROOT / Path(*one.split("."))).exists()
                    or (ROOT / Path(*one.split("."))).with_suffix(".py").exists()]  # fmt: skip
            yield from here or [node.module]


def ours(module: str) -> bool:
    return module.split(".", maxsplit=1)[0] in ("director", "checks")


def test_no_import_goes_up() -> None:
    """A module imports from its own floor and from lower ones."""
    up = [
        f"{name_of(path)} ({floor_of(name_of(path))}) imports {there} ({floor_of(there)})"
        for path in SOURCES
        for there in imports(path)
        if ours(there) and floor_of(there) > floor_of(name_of(path))
    ]

    assert up == []


def test_the_pure_floors_are_pure() -> None:
    """Floors 0 to 2 know no clock, no socket, no loop."""
    impure = [
        f"{name_of(path)} imports {there}"
        for path in SOURCES
        for there in imports(path)
        if floor_of(name_of(path)) <= PURE and there.split(".")[0] in IMPURE
    ]

    assert impure == []


def test_processes_do_not_import_each_other() -> None:
    """What crosses between processes are messages."""
    crossing = [
        f"{here} imports {there}"
        for path in SOURCES
        for there in imports(path)
        for own in PROCESSES
        for other in PROCESSES
        if own != other and (here := name_of(path)).startswith(own) and there.startswith(other)
    ]

    assert crossing == []


def test_checks_and_director_keep_to_their_sides() -> None:
    """`director` never imports `checks`, which uses of it only the common vocabulary."""
    allowed = ("errors", "units", "paths", "model", "wire", "log")
    wrong = [
        f"{name_of(path)} imports {there}"
        for path in SOURCES
        for there in imports(path)
        if (name_of(path).startswith("director") and there.split(".")[0] == "checks")
        or (
            name_of(path).startswith("checks")
            and there.startswith("director.")
            and there.split(".")[1] not in allowed
        )
    ]

    assert wrong == []


def test_modules_and_functions_are_small() -> None:
    """What does not fit a screen or two is two things."""
    sources = [*SOURCES, *sorted(ROOT.glob("bench/**/*.py"))]
    large = [
        f"{path.relative_to(ROOT)}: {count} lines"
        for path in sources
        if (count := len(path.read_text().splitlines())) > LINES_MAX
    ]
    long = [
        f"{path.relative_to(ROOT)}:{node.lineno} {node.name}"
        for path in sources
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (node.end_lineno or 0) - node.lineno + 1 > FUNCTION_MAX
    ]

    assert large + long == []


def test_no_test_sleeps() -> None:
    """A test waits on events; only virtual time may pass by itself."""
    sleeping = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in sorted(ROOT.glob("tests/**/*.py"))
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and ast.unparse(node.func) in ("time.sleep", "sleep")
    ]

    assert sleeping == []
