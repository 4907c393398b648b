"""cli/operate: an operator's words, to an engine that says what it is told to say."""

from pathlib import Path

import msgspec
import pytest

from director import paths
from director.cli.main import main
from director.errors import Exit, Fault
from director.wire.messages import Answer, encode
from tests.director.answering import engine_that_says
from tests.director.cli.test_status import STATE, body, destination

SAID = '{"places": ["web/web1"], "seconds": %s}'


def state_with(*because: str) -> Answer:
    """What `status` says while web1 has a weight for these reasons."""
    row = destination("up", 0)
    weight = msgspec.structs.replace(row.weight, because=because)
    row = msgspec.structs.replace(row, weight=weight)
    (service,) = STATE.services
    service = msgspec.structs.replace(service, destinations=(row,))
    return Answer(Exit.NO, body(msgspec.structs.replace(STATE, services=(service,))))


@pytest.mark.parametrize("end", ["removed", "empty"])
def test_a_drain_that_is_waited_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], end: str
) -> None:
    """Until the engine says that it is gone, or empty where it has to stay."""
    seen = [state_with("drain"), state_with("drain"), state_with("drain", end)]
    with (
        engine_that_says(tmp_path, [Answer(Exit.DONE, SAID % 60)]) as asked,
        engine_that_says(tmp_path, seen, paths.VIEW_SOCKET),
    ):
        words = ["drain", "web/web1", "--deadline", "1m", "--wait", "--runtime", str(tmp_path)]
        assert main(words) == Exit.DONE

    assert asked[0].args == {"server": "web/web1", "deadline": "1m"}
    assert capsys.readouterr().out == "done: web/web1\n"


def test_a_drain_that_is_not_empty_in_time(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """75, and what to do another time."""
    with (
        engine_that_says(tmp_path, [Answer(Exit.DONE, SAID % 0)]),
        engine_that_says(tmp_path, [state_with("drain")], paths.VIEW_SOCKET),
    ):
        assert main(["drain", "web1", "--wait", "--runtime", str(tmp_path)]) == Exit.LATER

    assert "--deadline" in capsys.readouterr().err


def test_undrain(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Names the places, as the other verbs do."""
    with engine_that_says(tmp_path, [Answer(Exit.DONE, '["web/web1"]')]) as asked:
        assert main(["undrain", "web1", "--runtime", str(tmp_path), "--json"]) == Exit.DONE

    assert (asked[0].verb, capsys.readouterr().out) == ("undrain", '["web/web1"]\n')


def test_reload(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It waits as long as the engine says that it goes on, and prints what has changed."""
    said = [Answer(Exit.DONE, "", more=True), Answer(Exit.DONE, '"services: 1 new"')]
    with engine_that_says(tmp_path, [b"".join(map(encode, said))]) as asked:
        assert main(["reload", "--runtime", str(tmp_path)]) == Exit.DONE

    assert (asked[0].verb, capsys.readouterr().out) == ("reload", "done: services: 1 new\n")


def test_reload_of_a_wrong_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """78, place and mend."""
    fault = Fault(fault="is outside 0..65535", mend="write less", file="director.toml", line=41)
    with engine_that_says(tmp_path, [Answer(Exit.CONFIG, faults=(fault,))]):
        assert main(["reload", "--runtime", str(tmp_path)]) == Exit.CONFIG

    assert capsys.readouterr().err == "director.toml:41: is outside 0..65535\n  mend: write less\n"


def test_reload_without_an_engine(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """69."""
    assert main(["reload", "--runtime", str(tmp_path)]) == Exit.UNREACHABLE
    assert "no engine answers" in capsys.readouterr().err
