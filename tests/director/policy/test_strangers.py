"""policy/strangers: what a change of the file leaves behind."""

import msgspec

from director.model.address import Prefix
from director.model.vip import Vip
from director.policy.strangers import strangers
from tests.director.vrrp.fakes import ROUTER, US, VIPS


def test_only_what_nobody_names_is_left_behind() -> None:
    """One that another router has now is not, nor a fixed address; one that moved to another
    interface is, on the old one."""
    fixed = Vip(Prefix(US, 24), "eth0")
    moved, kept, gone = VIPS[0], VIPS[1], Vip(Prefix("192.0.2.102", 24), "eth0")
    before = msgspec.structs.replace(ROUTER, vips=(moved, kept, gone, fixed))
    elsewhere = msgspec.structs.replace(moved, interface="eth1")
    now = [
        msgspec.structs.replace(ROUTER, vips=(elsewhere,)),
        msgspec.structs.replace(ROUTER, name="mail", vips=(kept,)),
    ]

    assert strangers([before, before], now) == (moved, gone)
    assert strangers([before], [before]) == ()
