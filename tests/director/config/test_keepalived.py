"""Tests of director.config.keepalived: what the other node's file must say."""

from pathlib import Path

import pytest

from director.config.load import check_text

PAIR = (Path(__file__).parent / "pair.toml").read_text()
RUNS = ("priority = 100", 'priority = 100\nruns = "keepalived"')
INTERVAL = 'interval = "100ms"'

WHOLE = """\
global_defs {
  router_id lb2
  lvs_sync_daemon eth2 id 51 maxlen 152
}
vrrp_instance web {
  state BACKUP
  interface eth0
  virtual_router_id 51
  priority 100
  advert_int 0.1
  version 3
  mcast_src_ip 192.0.2.3
  preempt_delay 60
  virtual_ipaddress {
    192.0.2.10/32 dev eth0
    192.0.2.11/24 dev eth0
  }
  virtual_ipaddress_excluded {
    10.0.8.1/24 dev eth1
  }
}
"""


def text_of(*edits: tuple[str, str]) -> str:
    text = PAIR
    for old, new in (RUNS, *edits):
        assert text.count(old) == 1
        text = text.replace(old, new)
    loaded = check_text(text, node="lb1")
    assert loaded.config.runs == "director"
    assert list(loaded.keepalived) == ["lb2"]
    return loaded.keepalived["lb2"]


def test_the_whole_of_it() -> None:
    """As lb2 has it; the addresses that our adverts name apart from the others."""
    assert text_of() == WHOLE
    assert check_text(PAIR, node="lb1").keepalived == {}


VRID = "vrid = 51\n"
DIFFERENCES = {
    # what the file says: (edit, what keepalived's says then, what it does not)
    "unicast": ((VRID, VRID + "unicast = true\n"), "  unicast_src_ip 192.0.2.3\n  unicast_peer {\n    192.0.2.2\n  }\n", "mcast_src_ip"),
    "version 2": ((INTERVAL, "version = 2"), "  advert_int 1\n  version 2\n", "authentication"),
    "a password": ((INTERVAL, 'version = 2\nauth = { method = "pass", secret_file = "/s" }'), "    auth_type PASS\n    auth_pass ________  # the first line of /s\n", "AH"),
    "sealed": ((INTERVAL, 'version = 2\nauth = { method = "ah", secret_file = "/s" }'), "    auth_type AH\n", "PASS"),
    "IPv6": (("addresses = [\n", 'addresses = [\n"fe80::10/64",\n'), "  virtual_ipaddress {\n    fe80::10/64 dev eth0\n  }\n  virtual_ipaddress_excluded {\n    192.0.2.10/32 dev eth0\n", "mcast_src_ip"),
    "a virtual MAC": ((VRID, VRID + 'mac = "virtual"\n'), "  use_vmac vr4-51-eth0\n  mcast_src_ip 192.0.2.3\n", "dev eth0"),
    "a group": ((VRID, VRID + 'group = "edge"\n'), "vrrp_sync_group edge {\n  group {\n    web\n  }\n}\n", "nothing"),
    "never": ((VRID, VRID + 'failback = { when = "never" }\n'), "  nopreempt\n", "preempt_delay"),
    "now": ((VRID, VRID + 'failback = { when = "now" }\n'), "  virtual_ipaddress {", "preempt"),
    "plain": ((VRID, VRID + 'checksum = "plain"\n'), "  v3_checksum_as_v2 ", "nothing"),
    "sync": (('"ha"\nid = 51\n', '"ha"\nid = 52\nttl = 3\nmaxlen = 1400\n'), "  lvs_sync_daemon eth2 id 52 ttl 3 maxlen 1400\n", "port"),
}  # fmt: skip


@pytest.mark.parametrize(("edit", "there", "absent"), DIFFERENCES.values(), ids=DIFFERENCES)
def test_what_the_file_says_otherwise(edit: tuple[str, str], there: str, absent: str) -> None:
    """It says the same in keepalived's words."""
    text = text_of(edit)

    assert there in text
    assert absent not in text


def test_a_checksum_that_2_2_7_drops_is_a_warning() -> None:
    """It reads no other than the one with a pseudo-header."""
    text = PAIR.replace(*RUNS).replace(VRID, VRID + 'checksum = "plain"\n')

    (warning,) = check_text(text, node="lb1").warnings

    assert warning.key == "vrrp.web.checksum"
    assert "keepalived 2.2.7 on lb2 drops" in warning.fault
