"""wire/parsed: a file in frames is the file."""

from pathlib import Path

import msgspec
import pytest

from director.config.load import check_text
from director.errors import ConfigError, DirectorError, Exit, Fault
from director.model.config import Config
from director.wire.framing import BrokenFrame, Unframer
from director.wire.parsed import SLICE, Assembly, encode_parsed, encode_refused

PAIR = (Path(__file__).parents[1] / "config" / "pair.toml").read_text()
CONFIG = check_text(PAIR, node="lb1").config


def many(count: int) -> Config:
    """The pair with so many services."""
    named = (msgspec.structs.replace(CONFIG.services[0], name=f"s{at}") for at in range(count))
    return msgspec.structs.replace(CONFIG, services=tuple(named))


def assembled(payloads: list[bytes]) -> Config:
    assembly = Assembly()
    for payload in payloads:
        assembly.take(payload)
    return assembly.config()


def payloads_of(config: Config) -> list[bytes]:
    return Unframer().feed(b"".join(encode_parsed(config)))


@pytest.mark.parametrize("count", [0, 1, SLICE, SLICE + 1, 3 * SLICE])
def test_what_was_parsed_arrives(count: int) -> None:
    """Whole, in order, in slices that hold nobody up."""
    payloads = payloads_of(many(count))

    assert assembled(payloads) == many(count)
    assert len(payloads) == 1 + -(-count // SLICE)


@pytest.mark.parametrize("kept", range(3))
def test_a_child_that_ends_early_has_said_nothing(kept: int) -> None:
    """Half a table is none."""
    with pytest.raises(BrokenFrame, match="before it had said all"):
        assembled(payloads_of(many(2 * SLICE + 1))[:kept])


@pytest.mark.parametrize("at", [0, 1])
def test_nonsense_is_no_file(at: int) -> None:
    """Wherever it comes."""
    payloads = payloads_of(CONFIG)
    payloads[at] = b"\xc1"

    with pytest.raises(BrokenFrame):
        assembled(payloads)


def test_faults_arrive_with_their_status() -> None:
    """As the child found them."""
    fault = Fault(fault="f", mend="m", key="k", file="d.toml", line=3)

    with pytest.raises(DirectorError) as caught:
        assembled(Unframer().feed(encode_refused(ConfigError(fault))))

    assert (caught.value.status, caught.value.faults) == (Exit.CONFIG, (fault,))
