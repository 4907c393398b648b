"""cli/main: what a wrong word, a fault, a bug and a broken pipe come to."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from director import __version__
from director.cli import main as cli
from director.cli import version
from director.cli.main import build_parser, main, show_faults
from director.errors import ConfigError, Exit, Fault, SystemLacks

ROOT = Path(__file__).parents[3]
WITH_PLACE = Fault(
    fault="70000 is outside 0..65535",
    mend="give a weight in that range",
    key="services.web.real_servers[1].weight",
    file="director.toml",
    line=41,
)
BAD_FILE = """
format = 1
[interfaces]
front = "eth0"
[nodes.lb1]
addresses = { front = "192.0.2.2" }
[services.web]
virtual = "192.0.2.10:80"
shceduler = "rr"
weight = 70000
real_servers = ["10.0.8.11"]
"""
GOOD_FILE = """
format = 1
[interfaces]
front = "eth0"
[nodes.lb1]
addresses = { front = "192.0.2.2" }
"""


@pytest.fixture
def files(tmp_path: Path) -> Path:
    (tmp_path / "good.toml").write_text(GOOD_FILE)
    (tmp_path / "bad.toml").write_text(BAD_FILE)
    return tmp_path


def run(words: str, files: Path) -> int:
    """As the shell would; argparse leaves by SystemExit."""
    try:
        return main([word.format(at=files) for word in words.split()])
    except SystemExit as left:
        return int(left.code or 0)


STATUSES = {
    # what is typed                                     status
    "":                                                 64,
    "fly":                                              64,
    "status --fast":                                    64,
    "status --timeout 5":                               64,
    "status --timeout soon":                            64,
    "weight web1":                                      64,
    "maintenance of web1":                              64,
    "drill dance":                                      64,
    "clear --config {at}/good.toml":                    64,
    "up --workers some":                                64,
    "--help":                                           0,
    "status --help":                                    0,
    "version":                                          0,
    "check {at}/good.toml --node lb1":                  0,
    "check --config {at}/good.toml --node lb1":         0,
    "check {at}/good.toml --node lb9":                  78,
    "check {at}/bad.toml --node lb1":                   78,
    "check {at}/gone.toml --node lb1":                  78,
    "status --runtime {at}":                            69,
    "status --runtime {at} --json":                     69,
    "maintenance on web1 --runtime {at}":               69,
    "maintenance off web1 --runtime {at}":              69,
    "weight web1 50% --for 1h --runtime {at}":          69,
    "failover --runtime {at}":                          69,
    "failover web --wait --runtime {at}":               69,
}  # fmt: skip


@pytest.mark.parametrize(("words", "status"), STATUSES.items(), ids=STATUSES)
def test_exit_statuses(files: Path, words: str, status: int) -> None:
    """docs/contract.md, section 3; never argparse's own 2, which means `differs`."""
    assert run(words, files) == status


def test_every_verb_has_its_function() -> None:
    """The table of verbs names what exists."""
    from importlib import import_module

    parser = build_parser()
    verbs = next(iter(parser._subparsers._group_actions)).choices  # type: ignore[union-attr]
    named = [verb.get_default("run") for verb in verbs.values()]  # type: ignore[union-attr]

    assert len(named) >= 11
    for module, function in (name.split(":") for name in named):
        assert callable(getattr(import_module(f"director.{module}"), function))


def test_wrong_usage_is_said_on_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    """With how it is used, and what was wrong."""
    with pytest.raises(SystemExit):
        main(["status", "--timeout", "5"])

    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("usage: director status")
    assert 'write "5s"' in said.err


def test_a_fault_in_the_file_has_place_and_mend(capsys: pytest.CaptureFixture[str]) -> None:
    """The very lines that the contract shows."""
    show_faults(ConfigError(WITH_PLACE), as_json=False)

    assert capsys.readouterr().err == (
        "director.toml:41: services.web.real_servers[1].weight: 70000 is outside 0..65535\n"
        "  mend: give a weight in that range\n"
    )


def test_a_fault_without_a_place_names_the_program(capsys: pytest.CaptureFixture[str]) -> None:
    """So that a log shows who complains."""
    show_faults(SystemLacks("no ip_vs", mend="modprobe ip_vs"), as_json=False)

    assert capsys.readouterr().err == "director: no ip_vs\n  mend: modprobe ip_vs\n"


def test_faults_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    """One object with all of them, and exactly the keys of the contract."""
    show_faults(ConfigError(WITH_PLACE, WITH_PLACE), as_json=True)

    faults = json.loads(capsys.readouterr().err)["faults"]
    assert len(faults) == 2
    assert faults[0] == {
        "file": "director.toml",
        "line": 41,
        "key": "services.web.real_servers[1].weight",
        "fault": "70000 is outside 0..65535",
        "mend": "give a weight in that range",
    }


def test_all_faults_of_a_file_not_the_first(
    files: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each on its line, each with its mend."""
    assert run("check {at}/bad.toml --node lb1", files) == Exit.CONFIG

    said = capsys.readouterr().err.splitlines()
    faults = [line for line in said if line.startswith(f"{files}/bad.toml:")]
    assert len(faults) >= 2
    assert sum(line.startswith("  mend: ") for line in said) == len(faults)


def test_a_good_file(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """In words, or as JSON."""
    run("check {at}/good.toml --node lb1", files)
    assert capsys.readouterr().out == "good: node lb1, 0 services, 0 virtual routers\n"

    run("check {at}/good.toml --node lb1 --json", files)
    known = json.loads(capsys.readouterr().out)
    assert (known["faults"], known["node"]) == ([], "lb1")


@pytest.mark.parametrize(("words", "shown"), [
    ("version", f"director {__version__}\n"),
    ("version --json", f'{{"version": "{__version__}"}}\n'),
])  # fmt: skip
def test_version(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: str, shown: str
) -> None:
    """In words, or as JSON."""
    run(words, tmp_path)

    assert capsys.readouterr().out == shown


@pytest.mark.parametrize(("value", "path"), [
    ("/srv/director.toml", "/srv/director.toml"),
    ("", "/etc/director/director.toml"),
])  # fmt: skip
def test_the_file_by_the_environment(
    monkeypatch: pytest.MonkeyPatch, value: str, path: str
) -> None:
    """$DIRECTOR_CONFIG; empty is not set."""
    monkeypatch.setenv("DIRECTOR_CONFIG", value)

    assert build_parser().parse_args(["check"]).config == Path(path)


RAISED = [(KeyboardInterrupt(), 130, ""), (ValueError("ours"), 70, "ValueError: ours")]


@pytest.mark.parametrize(("raised", "status", "said"), RAISED)
def test_an_interrupt_and_a_bug(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    raised: BaseException,
    status: int,
    said: str,
) -> None:
    """130 without a word; 70 with the traceback that we need."""

    def verb(_args: object) -> int:
        raise raised

    monkeypatch.setattr(version, "version", verb)

    assert main(["version"]) == status
    assert said in capsys.readouterr().err


def test_a_reader_that_is_gone() -> None:
    """`director version | head -0`: no traceback, not even from Python's own farewell."""
    reading, writing = os.pipe()
    os.close(reading)
    buffered = {name: there for name, there in os.environ.items() if name != "PYTHONUNBUFFERED"}
    try:
        argv = [sys.executable, "-m", "director", "version"]
        done = subprocess.run(
            argv,
            cwd=ROOT,
            env=buffered,
            stdout=writing,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    finally:
        os.close(writing)

    assert (done.returncode, done.stderr) == (0, "")


HEAVY = ("trio", "aiohttp", "asyncio", "pyroute2", "tomli", "rich")


@pytest.mark.parametrize("module", ["version", "status", "operate", "show", "schema"])
def test_a_quick_verb_imports_nothing_heavy(module: str) -> None:
    """Start-up is what an operator feels."""
    code = (
        "import sys; from director.cli.main import build_parser; build_parser();"
        f"import director.cli.{module};"
        f"print(*sorted(set(sys.modules) & set({HEAVY!r})))"
    )
    argv = [sys.executable, "-c", code]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=True)

    assert done.stdout == "\n"


def test_a_duration_is_seconds() -> None:
    """As the file spells them."""
    assert build_parser().parse_args(["status", "--timeout", "100ms"]).timeout == 0.1
    assert cli.duration("2s") == 2.0
