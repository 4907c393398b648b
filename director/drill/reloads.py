"""The file changes under load: what clients see of `director reload`."""

import time

from director.drill.pair import DIRECTOR, Node
from director.drill.stage import Result, Stage
from director.drill.steps import WINDOW, result_of
from director.errors import Exit

WEB = 'virtual = "192.0.2.10:80"\nreal_servers = ["web1", "web2", "web3"]'
LESS = 'virtual = "192.0.2.10:80"\nreal_servers = ["web1", { server = "web2", weight = 50 }]'
APP = "[services.app]"
WITHIN = 10.0


def reload_file(stage: Stage) -> Result:
    """A real server and a service fewer, a weight, a wrong file, and back: nothing is lost."""
    began = time.monotonic()
    wrong: list[str] = []
    nodes = [node for node in stage.pair.nodes.values() if node.place.alive]
    text = nodes[0].file
    other = text.replace(WEB, LESS).partition(APP)[0]
    for node in nodes:
        node.reload(other)

    def weights(name: str) -> set[int | None]:
        return {node.weight("web", name) for node in nodes}

    stage.wait_for("web2 at weight 50", lambda: weights("web2") == {50}, WITHIN)
    stage.wait_for("web3 is not of the file", lambda: weights("web3") == {None}, WITHIN)
    since = time.monotonic()
    stage.go_on(WINDOW)
    if stage.window(since).servers.get("web3"):
        wrong.append("web3 got requests though the file does not name it")
    wrong += [fault for node in nodes for fault in _refuses(node, other)]
    for node in nodes:
        node.reload(text)
    stage.wait_for("web3 at weight 100", lambda: weights("web3") == {100}, WITHIN)
    stage.wait_for("both directors settled", stage.pair.settled, WITHIN)
    since = time.monotonic()
    stage.go_on(WINDOW)
    if not stage.window(since).servers.get("web3"):
        wrong.append("web3 is back in the file and got no request")
    return result_of(stage, "reload", began, wrong=wrong, may_lose=False)


def _refuses(node: Node, text: str) -> list[str]:
    """What a director did with a wrong file that it should not have."""
    before = node.state()
    node.write(text.replace("vrid = 51", "vrid = 0"))
    done = node.place.run([*DIRECTOR, "reload"], check=False)
    after = node.state()
    wrong = []
    if done.status != Exit.CONFIG or "vrrp.web.vrid" not in done.stderr:
        wrong.append(f"{node.name}: a wrong file: {done.status}, {done.stderr}")
    if before is None or after is None or before.config != after.config:
        wrong.append(f"{node.name}: a wrong file was taken")
    return wrong
