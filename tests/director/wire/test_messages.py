"""wire/messages: every message comes out as it went in; nonsense is a BrokenFrame."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from director.errors import Fault
from director.model.address import Endpoint, Prefix
from director.model.check import HttpCheck, Standing, Target, TcpCheck
from director.model.vip import Router, Vip
from director.wire.framing import BrokenFrame, Unframer
from director.wire.messages import (
    Answer,
    Ask,
    Beat,
    Cancel,
    HandOver,
    Hello,
    Levels,
    Message,
    Ran,
    Role,
    Roles,
    Run,
    Snapshot,
    TableReady,
    Targets,
    Transition,
    decode,
    encode,
)

STANDING = Standing("tcp:10.0.8.11:80:00", "up", "layer4 ok", 5.0, ("layer4 ok",))
WEB = Endpoint("10.0.8.11", 80)
ROUTER = Router(
    name="web",
    vrid=51,
    interface="eth0",
    source="192.0.2.2",
    priority=150,
    interval=0.1,
    vips=(Vip(Prefix("192.0.2.10", 32), "eth0"),),
)
MESSAGES: list[Message] = [
    Hello("vrrp", "vrrp", 1),
    Beat(0.25),
    Targets(1, (Target("a", WEB, TcpCheck()), Target("b", WEB, HttpCheck())), (STANDING,)),
    Transition(1, STANDING),
    Levels(1, (STANDING,)),
    Snapshot("lb1", "digest", (ROUTER,)),
    TableReady(),
    HandOver("web"),
    Roles((Role("web", 51, "active", 150, 5.0, ("192.0.2.10/32",)),), {"bad-ttl": 3}),
    Run(7, ("/usr/local/lib/director/notify",), '{"kind": "role.active"}', 10.0),
    Cancel(7),
    Ran(7, 1, 0, 0.5, "no such address"),
    Ask("weight", {"server": "web1"}),
    Answer(78, "[]", (Fault(fault="wrong", mend="mend it"),)),
]


@pytest.mark.parametrize("message", MESSAGES, ids=lambda one: type(one).__name__)
def test_a_message_comes_out_as_it_went_in(message: Message) -> None:
    """Encode, frame, unframe, decode: the same value."""
    (payload,) = Unframer().feed(encode(message))

    assert decode(payload) == message


@given(st.binary(max_size=100))
def test_nonsense_is_a_broken_frame_and_nothing_else(payload: bytes) -> None:
    """What strangers send can end a conversation, never a process."""
    try:
        decode(payload)
    except BrokenFrame:
        return
