# The contract lists what is refused (section 2, "Refused:"). Each clause of it stands here in its own
# words, with a file that breaks it: a clause without a row, or a row without its clause, fails.
"""Clause by clause: what the contract says is refused, is."""

import re
from pathlib import Path

import pytest

from director.config.load import check_text, read
from director.errors import ConfigError, Fault
from tests.director.config.test_contract import CONTRACT
from tests.director.config.test_resolve import CHECKS, PAIR, VIRTUAL, WEB

MARK = 'fwmark = 20\nfamily = "ipv4"\ncheck = { kind = "tcp", port = 21 }'
MATCH = '\nmatch = { address = "192.0.2.10", ports = "20-30" }'
NAT = 'forwarding = "nat"'
TUN = 'forwarding = "tun"'
API = 'virtual = "192.0.2.11:443"'
MAIL = '[vrrp.mail]\ninterface = "front"\nvrid = {}\naddresses = ["{}"]\n\n[real_servers]'
GATEWAY = '  { address = "10.0.8.1/24", interface = "servers", advertise = false },\n'
ON_DISK = "a secret file that others can read"

Edits = tuple[tuple[str, str], ...]
REFUSED: dict[str, list[tuple[Edits, str]]] = {
    # the clause: [(edits of the right pair, the key of its only fault)]
    'an address that no virtual router and no `held = "elsewhere"` holds': [
        (((VIRTUAL, 'virtual = "192.0.2.99:80"'),), "services.web.virtual"),
        (((VIRTUAL, MARK + MATCH.replace(".10", ".99")), (CHECKS, "")), "services.web.match.ports"),
    ],
    "real port ≠ virtual port with dr/tun": [
        (((WEB, 'real_servers = ["web1:81"]'),), "services.web.real_servers[0]"),
        (((WEB, f'{TUN}\nreal_servers = ["web1:81"]'),), "services.web.real_servers[0]"),
    ],
    "several virtual ports with a real port": [
        (
            (
                (VIRTUAL, 'virtual = ["192.0.2.10:80", "192.0.2.10:81"]'),
                (WEB, f'{NAT}\nreal_servers = ["web1:82"]'),
            ),
            "services.web.real_servers[0]",
        ),
        (
            (
                (VIRTUAL, 'virtual = "192.0.2.10:8000-8100"'),
                (WEB, f'{NAT}\nreal_servers = ["web1:82"]'),
                (CHECKS, 'checks = "none"'),
            ),
            "services.web.real_servers[0]",
        ),
    ],
    "quorum above the number of real servers": [
        (((WEB, f"{WEB}\nquorum = 3"),), "services.web.quorum"),
    ],
    "`slow_start` with sh, mh, dh": [
        (((WEB, f'{WEB}\nscheduler = "{name}"\nslow_start = "30s"'),), "services.web.slow_start")
        for name in ("sh", "mh", "dh")
    ],
    "mixed family with `[sync]`": [
        (((WEB, f'{TUN}\nreal_servers = ["2001:db8::5"]'),), "services.web.real_servers[0]"),
    ],
    "a VRID twice on one interface and family": [
        ((("[real_servers]", MAIL.format(51, "192.0.2.20")),), "vrrp.mail.vrid"),
    ],
    "a VIP twice": [
        ((("[real_servers]", MAIL.format(52, "192.0.2.10")),), "vrrp.mail.addresses"),
        ((('"192.0.2.11/24"', '"192.0.2.11/24", "192.0.2.11"'),), "vrrp.web.addresses[2]"),
    ],
    "a real server at one of the VIPs": [
        (((WEB, 'real_servers = ["192.0.2.11"]'),), "services.web.real_servers[0]"),
    ],
    "UDP, SCTP or a fwmark without a word about checks (a TCP check to such a port proves nothing)": [
        (((CHECKS, 'protocol = "udp"'),), "services.web.protocol"),
        (((CHECKS, 'protocol = "sctp"'),), "services.web.protocol"),
        (((VIRTUAL, 'fwmark = 20\nfamily = "ipv4"'), (CHECKS, "")), "services.web.fwmark"),
    ],
    "a fwmark without a family": [
        (((VIRTUAL, MARK.replace('family = "ipv4"\n', "")), (CHECKS, "")), "services.web.family"),
    ],
    "a `fwmark` from `mark_base` on": [
        (((VIRTUAL, MARK.replace("20", "0x40000000")), (CHECKS, "")), "services.web.fwmark"),
    ],
    "packets that match twice, or match and are another service's": [
        (
            ((VIRTUAL, MARK + MATCH.replace('"20-30"', '["20-30", "25"]')), (CHECKS, "")),
            "services.web.match.ports[1]",
        ),
        (
            ((VIRTUAL, MARK + MATCH), (CHECKS, ""), (API, 'virtual = "192.0.2.10:25"')),
            "services.api.virtual",
        ),
    ],
    "port 0 (every port) without persistence": [
        (((VIRTUAL, 'virtual = "192.0.2.10:0"'),), "services.web.virtual"),
    ],
    "`@ROLE` with dr or tun": [
        (((VIRTUAL, 'virtual = "@front:80"'),), "services.web.virtual"),
        (((VIRTUAL, f'virtual = "@front:80"\n{TUN}'),), "services.web.virtual"),
    ],
    "GUE without a port": [
        (((WEB, f'{TUN}\ntunnel = {{ type = "gue" }}\n{WEB}'),), "services.web.tunnel"),
    ],
    '`on_fail = "remove"` or `cut_after` with tun and `[sync]`': [
        (((WEB, f'{TUN}\non_fail = "remove"\n{WEB}'),), "services.web.on_fail"),
        (((WEB, f'{TUN}\ncut_after = "30s"\n{WEB}'),), "services.web.cut_after"),
    ],
    "masquerade without a NAT service, by mark or with one_packet": [
        (((WEB, f'masquerade = "always"\n{WEB}'),), "services.web.masquerade"),
    ],
    "a `masquerade_as` that does not move with the VIP": [
        (
            ((API, f'masquerade = "always"\nmasquerade_as = "192.0.2.99"\n{API}'),),
            "services.api.masquerade_as",
        ),
    ],
}
WARNED: dict[str, list[tuple[Edits, str]]] = {
    "NAT real servers without an `advertise = false` gateway that does (warning)": [
        (((GATEWAY, ""),), "services.api.forwarding"),
    ],
}


def edited(edits: Edits) -> str:
    text = PAIR
    for old, new in edits:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    return text


def faults_of(text: str) -> tuple[Fault, ...]:
    with pytest.raises(ConfigError) as caught:
        check_text(text, node="lb1")
    return caught.value.faults


def test_the_table_is_the_contract() -> None:
    """Every clause has its rows, in the contract's own words and order."""
    found = re.search(r"^- Refused: (.*?)\.\n- ", CONTRACT.read_text(), re.DOTALL | re.MULTILINE)
    assert found is not None
    clauses = re.split(r";\s+", " ".join(found[1].split()))

    assert clauses == [*REFUSED, *WARNED, ON_DISK]


ROWS = [(clause, edits, key) for clause, rows in REFUSED.items() for edits, key in rows]


@pytest.mark.parametrize(("clause", "edits", "key"), ROWS, ids=[row[0] for row in ROWS])
def test_it_is_refused_where_it_stands(clause: str, edits: Edits, key: str) -> None:
    """One fault, at its line, with a mend."""
    (fault,) = faults_of(edited(edits))

    assert (fault.key, fault.file) == (key, "director.toml"), clause
    assert fault.line > 0
    assert fault.mend


@pytest.mark.parametrize("clause", WARNED)
def test_it_is_warned_of(clause: str) -> None:
    """The file is taken, and one is told."""
    for edits, key in WARNED[clause]:
        (warning,) = check_text(edited(edits), node="lb1").warnings

        assert warning.key == key


def test_a_secret_that_others_can_read_is_refused(tmp_path: Path) -> None:
    """Looked at on the disk; nobody but its owner and group may."""
    secret = tmp_path / "secret"
    secret.write_text("hushhush\n")
    path = tmp_path / "director.toml"
    auth = f'version = 2\nauth = {{ method = "pass", secret_file = "{secret}" }}'
    path.write_text(edited((('interval = "100ms"', auth),)))
    secret.chmod(0o640)
    assert read(path, node="lb1", host="").config.routers[0].version == 2

    secret.chmod(0o644)
    with pytest.raises(ConfigError) as caught:
        read(path, node="lb1", host="")

    assert [fault.key for fault in caught.value.faults] == ["vrrp.web.auth.secret_file"]
