"""What the documents tell to type and to write is true."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from director.cli.main import build_parser
from director.config.load import check_text

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted(ROOT.glob("docs/*.md"))]
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(language: str) -> Iterator[tuple[str, str]]:
    for page in PAGES:
        for number, (kind, text) in enumerate(BLOCK.findall(page.read_text())):
            if kind == language and page.name != "contract.md":  # a plan: test_contract reads it
                yield f"{page.name}-{number}", text


TOML = dict(blocks("toml"))
COMMANDS = [
    line.split("#")[0].rstrip(" &\n")
    for _, text in blocks("sh")
    for line in text.splitlines()
    if line.strip()
]


@pytest.mark.parametrize("text", TOML.values(), ids=TOML)
@pytest.mark.parametrize("node", ["lb1", "lb2"])
def test_every_configuration_in_the_documents_is_good(text: str, node: str) -> None:
    """For both directors, without a warning."""
    assert check_text(text, node=node).warnings == ()


@pytest.mark.parametrize("command", [one for one in COMMANDS if one.startswith("director ")])
def test_every_command_in_the_documents_parses(command: str) -> None:
    """Verb, arguments and options exist."""
    words = shlex.split(command.replace("$(hostname)", "web1"))

    assert build_parser().parse_args(words[1:]).verb == words[1]


@pytest.mark.parametrize("command", [one for one in COMMANDS if one.startswith("make ")])
def test_every_make_target_in_the_documents_exists(command: str) -> None:
    """What a newcomer types first."""
    target = command.split()[1]

    assert f"\n{target}:" in (ROOT / "Makefile").read_text()


def test_no_command_in_the_documents_is_of_another_kind() -> None:
    """Whatever else a document tells to type needs a test of its own."""
    assert [one for one in COMMANDS if not one.startswith(("director ", "make "))] == []
