"""README's first pair by hand, typed as it stands into test machines."""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from director.drill.clients import Requests
from director.drill.host import run_folder
from director.drill.places import Place, eventually
from director.drill.servers import start_servers
from director.drill.spec import pair_spec
from director.drill.topology import Lab

pytestmark = pytest.mark.drill

README = Path(__file__).parents[2] / "README.md"
FILE = re.compile(r"<!-- file: (\S+) -->\n```toml\n(.*?)^```$", re.MULTILINE | re.DOTALL)
STEP = re.compile(r"<!-- on: ([\w ]+) -->\n```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PATH = f"{Path(sys.executable).parent}:/usr/sbin:/usr/bin:/sbin:/bin"


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    """Machines as the README has them: directors, real servers with a web server, a client."""
    with (
        run_folder(Path(".build", "drill")) as folder,
        Lab(pair_spec(), folder, field="machine") as lab,
    ):
        start_servers([lab[name] for name in ("web1", "web2", "web3")])
        yield lab


def type_in(place: Place, line: str) -> None:
    """One line of a shell, in a place whose own /etc and host name are those of its name."""
    line = line.split("#", maxsplit=1)[0].replace("$(hostname)", place.name).strip()
    if "real-server" in line:
        line += f" --root /run/{place.name}"  # namespaces of one machine share its /etc
    words = line.rstrip("& ").split()
    if line.endswith("&"):
        place.start(words, name="readme", env={"PATH": PATH})
        return
    if words[1] == "status":
        ready = lambda: place.run(words, check=False, env={"PATH": PATH}).status == 0  # noqa: E731
        eventually(ready, 30.0, f"{place.name}: {line}")
    place.run(words, env={"PATH": PATH})


def test_the_first_pair_by_hand(lab: Lab) -> None:
    """Every file and every command of the section, in order; then a client is served."""
    text = README.read_text()
    (path, config) = FILE.findall(text)[0]
    for place in lab.places.values():
        place.write(path, config)

    for names, lines in STEP.findall(text):
        for name in names.split():
            for line in lines.splitlines():
                type_in(lab[name], line)

    requests = Requests(lab["client"], "192.0.2.10")
    requests.wait_for(20)
    since = requests.snapshot()
    requests.wait_for(60)
    tally = requests.between(since, requests.snapshot())
    requests.stop()
    assert tally.failed == 0
    assert set(tally.servers) == {"web1", "web2", "web3"}
