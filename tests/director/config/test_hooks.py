"""config/hooks: programs that the file names."""

from pathlib import Path

import pytest

from director.config.load import check_text
from director.errors import ConfigError
from director.model.event import Hook

PAIR = (Path(__file__).parent / "pair.toml").read_text()


def test_hooks_in_the_order_of_the_file() -> None:
    """One word or several, each once; ten seconds where nothing is written."""
    text = PAIR + (
        '[[hooks]]\non = "role"\nrun = ["/bin/a", "with spaces", ""]\n'
        '[[hooks]]\non = ["kernel", "sync", "kernel"]\nrun = ["/bin/b"]\ntimeout = "1m"\n'
    )

    config = check_text(text, node="lb1").config

    assert config.hooks == (
        Hook(("role",), ("/bin/a", "with spaces", ""), 10.0),
        Hook(("kernel", "sync"), ("/bin/b",), 60.0),
    )


FAULTS = {
    # what is written                                            key                 fault
    'on = "role"':                                               ("hooks[0].run",    "run is missing"),
    'run = ["/bin/a"]':                                          ("hooks[0].on",     "on is missing"),
    'on = []\nrun = ["/bin/a"]':                                 ("hooks[0].on",     "on is empty: this hook would never run"),
    'on = "roles"\nrun = ["/bin/a"]':                            ("hooks[0].on",     '"roles" is none of: config, destination, kernel, role, service, sync'),
    'on = "role"\nrun = []':                                     ("hooks[0].run",    "run is empty"),
    'on = "role"\nrun = "/bin/a -v"':                            ("hooks[0].run",    '"/bin/a -v" is not a list'),
    'on = "role"\nrun = ["notify"]':                             ("hooks[0].run[0]", '"notify" is not the whole path of a program'),
    'on = "role"\nrun = ["/bin/a", "b\\u0000"]':                ("hooks[0].run[1]", "holds a zero byte"),
    'on = "role"\nrun = ["/bin/a"]\ntimeout = "2h"':             ("hooks[0].timeout", "2h is not between 100ms and 10m"),
    'on = "role"\nrun = ["/bin/a"]\ntimeout = 5':                ("hooks[0].timeout", "5 is a bare number where a duration is meant"),
    'on = "role"\nrun = ["/bin/a"]\nuser = "root"':              ("hooks[0].user",   '"user" is no key here'),
}  # fmt: skip


@pytest.mark.parametrize(("text", "fault"), FAULTS.items(), ids=FAULTS)
def test_what_cannot_be_run_is_refused(text: str, fault: tuple[str, str]) -> None:
    """Where it is, and why."""
    with pytest.raises(ConfigError) as caught:
        check_text(f"{PAIR}[[hooks]]\n{text}\n", node="lb1")

    (found,) = caught.value.faults
    assert (found.key, found.fault) == fault
    assert found.line > 0
    assert found.mend
