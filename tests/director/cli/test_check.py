"""cli/check: the file as this machine sees it."""

import json
from pathlib import Path

import pytest

from director.cli import check
from director.cli.main import main
from director.errors import DirectorError, Exit

NODE = """
format = 1
[interfaces]
front = "lo"
[nodes.lb1]
addresses = {{ front = "127.0.0.2" }}
[vrrp.web]
interface = "front"
vrid = 51
addresses = ["{vip}"]
"""
NAT = """
[services.web]
virtual = "192.0.2.10:80"
forwarding = "nat"
real_servers = ["10.0.8.11"]
"""


@pytest.fixture(autouse=True)
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    """This machine is lb1, and has a loopback."""
    monkeypatch.setattr("socket.gethostname", lambda: "lb1")


def written(folder: Path, text: str) -> str:
    path = folder / "director.toml"
    path.write_text(text)
    return str(path)


def test_a_vip_that_has_its_length(tmp_path: Path) -> None:
    """It is in a network of its own."""
    assert main(["check", written(tmp_path, NODE.format(vip="192.0.2.10/32"))]) == Exit.DONE


def test_a_vip_in_no_network_of_its_interface(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Known on the node itself, and not asked where --node plays another."""
    path = written(tmp_path, NODE.format(vip="192.0.2.10"))

    assert main(["check", path]) == Exit.CONFIG
    said = capsys.readouterr().err
    assert "192.0.2.10 is in no network of lo" in said
    assert "  mend: write its length" in said

    assert main(["check", path, "--node", "lb1"]) == Exit.DONE


def test_what_may_change_while_a_machine_boots_is_tried_again(tmp_path: Path) -> None:
    """The engine ends with 71, and not with the 78 after which systemd gives up for good."""
    path = Path(written(tmp_path, NODE.format(vip="192.0.2.10")))

    with pytest.raises(DirectorError) as refused:
        check.load_config(path, None)

    assert refused.value.status == Exit.SYSTEM
    assert "192.0.2.10 is in no network of lo" in str(refused.value)


def test_a_warning_is_said_and_the_file_is_good(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """On stderr with its mend, and in the JSON."""
    path = written(tmp_path, NODE.format(vip="192.0.2.10/32") + NAT)

    assert main(["check", path, "--json"]) == Exit.DONE

    said = capsys.readouterr()
    assert said.err.startswith("warning: ")
    assert "  mend: " in said.err
    assert len(json.loads(said.out)["warnings"]) == 1


def test_a_process_loads_what_is_checked(tmp_path: Path) -> None:
    """The same reading, without the warnings."""
    path = tmp_path / "director.toml"
    path.write_text(NODE.format(vip="192.0.2.10/32"))

    assert check.load_config(path, None).node == "lb1"


MOVING = """
[nodes.lb2]
addresses = { front = "127.0.0.3" }
runs = "keepalived"
"""


def test_what_keepalived_must_say_on_the_other_node(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Printed to be pasted; in the JSON by node."""
    path = written(tmp_path, NODE.format(vip="192.0.2.10/32") + MOVING)

    assert main(["check", path]) == Exit.DONE
    said = capsys.readouterr().out
    assert "# keepalived.conf of lb2 must say, beside its virtual servers:\nglobal_defs {" in said
    assert "  mcast_src_ip 127.0.0.3\n" in said

    assert main(["check", path, "--json"]) == Exit.DONE
    assert list(json.loads(capsys.readouterr().out)["keepalived"]) == ["lb2"]


def test_no_director_where_the_file_has_keepalived(tmp_path: Path) -> None:
    """The engine refuses to start there (78), and says what to take out; on lb1 it starts."""
    path = Path(written(tmp_path, NODE.format(vip="192.0.2.10/32") + MOVING))

    with pytest.raises(DirectorError) as refused:
        check.need_director(check.load_config(path, "lb2"))
    check.need_director(check.load_config(path, "lb1"))

    assert refused.value.status == Exit.CONFIG
    assert "nodes.lb2.runs: the file says that lb2 runs keepalived" in str(refused.value)
