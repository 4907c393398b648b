"""Which figures of checks miss their must."""

import pytest

from bench.checks import Row, missed

COST: Row = {"what": "cost", "kind": "http", "targets": 1000}
CASES: dict[str, tuple[Row, list[str]]] = {
    "cheap enough": (COST | {"times_c": 1.3}, []),
    "too dear": (
        COST | {"times_c": 1.31},
        ["cost http 1000: 1.31 times the C loop, must be 1.3 at most"],
    ),
    "a kept connection has no must": (COST | {"kind": "keep", "times_c": 9.0}, []),
    "no compiler, no verdict": (COST | {"c_us": None}, []),
    "on time and small": (
        {"what": "scale", "targets": 5, "p99_late_ms": 50.0, "rss_mib": 60.0},
        [],
    ),
    "late and large": (
        {"what": "scale", "targets": 5, "p99_late_ms": 50.1, "rss_mib": 60.1},
        [
            "scale  5: p99 50.1 ms late, must be 50 at most",
            "scale  5: 60.1 MiB, must be 60 at most",
        ],
    ),
    "late beside the hung": (
        {"what": "hanging", "targets": 5, "p99_late_ms": 51.0, "rss_mib": 99.0},
        ["hanging  5: p99 51.0 ms late, must be 50 at most"],
    ),
}


@pytest.mark.parametrize(("row", "said"), CASES.values(), ids=CASES)
def test_what_was_missed(row: Row, said: list[str]) -> None:
    assert list(missed([row])) == said
