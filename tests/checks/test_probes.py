"""What holds for every kind of probe: it exists, and faults have the field's words."""

import errno
import typing
from importlib.util import find_spec
from pathlib import Path

import pytest

import checks.probes
from checks.outcome import Outcome
from checks.probes import MODULES
from checks.probes.faults import fault, overdue
from director.config.check_tables import AnyCheck
from director.model.check import Check


def test_every_kind_of_check_has_a_probe() -> None:
    kinds = typing.get_args(Check)

    assert set(MODULES) == set(kinds)
    for kind in kinds:
        assert MODULES[kind] == f"checks.probes.{kind.__struct_config__.tag}"
        assert find_spec(MODULES[kind]) is not None


def test_every_kind_of_check_can_be_written_and_the_other_way_round() -> None:
    """
    A table of the file, a class of settings and a probe: the one that lacks the others is named.
    """
    tables = {str(one.__struct_config__.tag) for one in typing.get_args(AnyCheck)}
    settings = {str(one.__struct_config__.tag) for one in typing.get_args(Check)}
    folder = Path(checks.probes.__file__).parent
    files = {path.stem for path in folder.glob("*.py")} - NO_KINDS

    assert tables ^ settings == set()
    assert files ^ settings == set()


NO_KINDS = {"__init__", "faults", "http_rich", "on_lane", "over_tls", "tls"}

FAULTS = {
    # the kernel says     we say                    is it ours
    errno.ECONNREFUSED: ("connection refused", False),
    errno.ECONNRESET: ("connection reset", False),
    errno.EPIPE: ("connection reset", False),
    errno.EHOSTUNREACH: ("no route to host", False),
    errno.ENETUNREACH: ("network unreachable", False),
    errno.ETIMEDOUT: ("layer4 timeout", False),
    errno.EACCES: ("permission denied", False),
    errno.EMFILE: ("too many open files", True),
    errno.ENFILE: ("too many open files in system", True),
    errno.ENOBUFS: ("no buffer space available", True),
    errno.ENOMEM: ("cannot allocate memory", True),
    errno.EAGAIN: ("resource temporarily unavailable", True),
    errno.EADDRNOTAVAIL: ("cannot assign requested address", True),
    errno.EAFNOSUPPORT: ("address family not supported by protocol", True),
}


@pytest.mark.parametrize("number", FAULTS, ids=errno.errorcode.get)
def test_a_fault_in_the_fields_words(number: int) -> None:
    text, ours = FAULTS[number]

    got = fault(OSError(number, "whatever"), "layer4", 0.5)

    assert got == Outcome(ok=False, text=text, seconds=0.5, ours=ours)


def test_a_fault_without_a_number_still_has_words() -> None:
    assert fault(OSError("odd"), "layer4", 0.5).text != ""


def test_a_deadline_noticed_too_late_is_ours() -> None:
    """
    Up to half a timeout late the server is blamed; later, it was we who slept.
    """
    assert overdue(1.0, "layer7", 1.4) == Outcome(ok=False, text="layer7 timeout", seconds=1.4)
    assert overdue(1.0, "layer7", 1.6) == Outcome(
        ok=False, text="worker late", seconds=1.6, ours=True
    )
