"""The pulse: enough records to push out what lies in an open message, and no flow used too soon."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from director.model.config import Config, SyncSettings
from director.policy.pulse import (
    ADDRESS,
    DATAGRAMS_MAX,
    EVERY,
    HEADER,
    MAXLEN,
    PORTS_MAX,
    RECORD,
    pulse_of,
    pulse_table,
)

SYNC = SyncSettings(interface="eth2", id=51, maxlen=MAXLEN, pulse=True)


def config(node: str = "lb1", **settings: object) -> Config:
    sync = msgspec.convert({**msgspec.to_builtins(SYNC), **settings}, SyncSettings)
    return Config(node=node, interfaces={}, sync=sync)


@given(maxlen=st.integers(0, 65507), refresh=st.floats(0.0, 300.0))
def test_a_beat_fills_a_message_and_ports_rest(maxlen: int, refresh: float) -> None:
    """
    As many datagrams as records fit; a port rests for the refresh period (a flow is not reported
    again before that) unless there are not enough; and it is never a flood.
    """
    pulse = pulse_of(config(maxlen=maxlen, refresh=refresh))

    assert pulse is not None
    assert pulse.count * RECORD + HEADER > maxlen - RECORD
    assert pulse.count / pulse.every <= DATAGRAMS_MAX * (1 + 1e-9)
    assert pulse.every >= EVERY
    rests = pulse.ports / pulse.count * pulse.every
    assert rests > refresh or pulse.ports == PORTS_MAX
    ports = {pulse.port(number) for number in range(2 * pulse.ports)}
    assert len(ports) == pulse.ports
    assert max(ports) < 65536


def test_the_default_beats_twenty_times_a_second() -> None:
    """Four datagrams each: what a quiet director costs."""
    pulse = pulse_of(config())

    assert pulse is not None
    assert (pulse.count, pulse.every, pulse.ports) == (4, 0.05, 960)


def test_two_nodes_never_share_a_flow() -> None:
    """Each has a source of its own, which is no address of the service."""
    sources = {pulse.source for name in ("lb1", "lb2") if (pulse := pulse_of(config(name)))}

    assert len(sources) == 2
    assert not any(source.startswith(ADDRESS.rpartition(".")[0] + ".") for source in sources)


@pytest.mark.parametrize(
    "plain", [Config(node="lb1", interfaces={}), config(pulse=False)], ids=["no sync", "off"]
)
def test_where_nothing_is_pushed_there_is_no_service(plain: Config) -> None:
    """Not synced, or switched off."""
    assert pulse_of(plain) is None
    assert pulse_table(plain) == {}
