"""docs/vrrp.md claims no test that there is not, and no clause without two."""

import ast
import re
from pathlib import Path
from typing import NamedTuple

import pytest

TESTS = Path(__file__).parents[2]
LEDGER = TESTS.parent / "docs" / "vrrp.md"
CLAIM = re.compile(r"(\w+)::(test_\w+)(?:\[(.+)\])?")
CLAUSE = re.compile(r"(9568|3768|2338)-[\d.]+")


class Row(NamedTuple):
    """One clause."""

    clause: str
    asks: str
    does: str
    positive: str
    negative: str


def ledger() -> list[Row]:
    """The rows of the first table."""
    lines = LEDGER.read_text().partition("## The ledger")[2].partition("\n## ")[0].splitlines()
    cells = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in lines if line[:1] == "|"
    ]
    assert cells[0] == ["clause", "it asks", "we", "+", "-"]
    return [Row(*row) for row in cells[2:]]


ROWS = ledger()


class Module(NamedTuple):
    """The test functions of a file, and the texts in it that can name a row."""

    functions: frozenset[str]
    texts: frozenset[str]


def modules() -> dict[str, Module]:
    """The test modules of these folders by name, without `test_`; the first folder counts."""
    found: dict[str, Module] = {}
    folders = ("director/vrrp", "sim", "kernel")
    for path in [path for folder in folders for path in sorted((TESTS / folder).glob("test_*.py"))]:
        name = path.stem.removeprefix("test_")
        if name in found:
            continue
        tree = list(ast.walk(ast.parse(path.read_text())))
        functions = {
            node.name for node in tree if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        }
        texts = {
            node.value
            for node in tree
            if isinstance(node, ast.Constant) and isinstance(node.value, str)
        }
        found[name] = Module(frozenset(functions), frozenset(texts))
    return found


MODULES = modules()


def missing(claim: str) -> str:
    """What of a claim is not there; empty when all is."""
    match = CLAIM.fullmatch(claim)
    if match is None:
        return "it is not FILE::test_NAME or FILE::test_NAME[ROW]"
    file, function, row = match.groups()
    if file not in MODULES:
        return f"there is no test_{file}.py"
    if function not in MODULES[file].functions:
        return f"test_{file}.py has no {function}"
    if row is not None and row not in MODULES[file].texts:
        return f"test_{file}.py has no row {row}"
    return ""


def test_no_test_is_claimed_that_does_not_exist() -> None:
    """
    Each claim is a function, and its row a text, of the file that it names.
    """
    wrong = [
        f"{row.clause}: {claim}: {why}"
        for row in ROWS
        for claim in (row.positive, row.negative)
        if (why := missing(claim))
    ]

    assert wrong == []


def test_every_clause_is_tested_both_ways() -> None:
    """
    A number of an RFC, what it asks, what we do, and two tests that are not the same.
    """
    thin = [
        row.clause
        for row in ROWS
        if not (CLAUSE.fullmatch(row.clause) and row.asks and row.does)
        or row.positive == row.negative
    ]

    assert thin == []
    assert len(ROWS) > 60


@pytest.mark.parametrize(
    ("claim", "why"),
    [
        ("machine::test_hear[6.4.3 weaker: answer]", ""),
        ("machine::test_start_with_vips_in_place", ""),
        (
            "machine::test_hear[6.4.3 weaker: sleep]",
            "test_machine.py has no row 6.4.3 weaker: sleep",
        ),
        ("machine::test_nothing", "test_machine.py has no test_nothing"),
        ("nowhere::test_hear", "there is no test_nowhere.py"),
        ("test_hear", "it is not FILE::test_NAME or FILE::test_NAME[ROW]"),
    ],
)
def test_the_ledger_is_read(claim: str, why: str) -> None:
    """
    What is not there is said.
    """
    assert missing(claim) == why


def test_every_row_that_bears_a_clause_is_in_the_ledger() -> None:
    """
    The tables of the machine name their rows by clause; the ledger has each of these clauses.
    """
    bearing = re.compile(r"((?:3768-)?6\.[14](?:\.\d)?) ")
    named = {
        match[1] for text in MODULES["machine"].texts if (match := bearing.match(text)) is not None
    }
    clauses = {row.clause.removeprefix("9568-") for row in ROWS}

    assert named
    assert {one for one in named if not any(one.startswith(clause) for clause in clauses)} == set()
