# The file block of docs/contract.md is binding: this version knows every key of it, and either has
# it or says that it is not built yet. NOT_BUILT is that list, kept by hand: whoever builds a key
# takes it out of here in the same commit.
"""The contract's keys against the schema."""

import re
from collections.abc import Iterator
from pathlib import Path

import msgspec.inspect as mi
import pytest
import tomli

from director.config.check_tables import LATER_KINDS
from director.config.load import check_text
from director.config.schema import FileTable
from director.config.shape import is_later
from director.errors import ConfigError, Fault

CONTRACT = Path(__file__).parents[3] / "docs" / "contract.md"
PAIR = (Path(__file__).parent / "pair.toml").read_text()

# A key, `*` for a name; with `=` a value of it.
NOT_BUILT = [
    "api",
    "link",
    "nodes.*.link",
    "nodes.*.api",
    "vrrp.*.track",
    'vrrp.*.failback.when="synced"',
    "vrrp.*.failback.coverage",
    "vrrp.*.failback.deadline",
    "nodes.*.vrrp.*.track",
    'nodes.*.vrrp.*.failback.when="synced"',
    "nodes.*.vrrp.*.failback.coverage",
    "nodes.*.vrrp.*.failback.deadline",
]
OF_CHECKS = [
    "fwmark",
    "via",
    "http2",
    'kind="exec"',
    "then",
]
CHECKS = [
    "checks.*",
    "services.*.check",
    "services.*.checks",
    "services.*.real_servers.check",
    "services.*.real_servers.checks",
    "services.*.sorry_server.check",
    "services.*.sorry_server.checks",
]

# Keys that the block's comments name. Those of checks that are not built come with their kinds.
IN_COMMENTS = [
    'nodes.lb2.runs="keepalived"',
    'sync.group="224.0.0.81"',
    "sync.port=8848",
    "sync.ttl=1",
    "sync.maxlen=1400",
    "sync.pulse=false",
    'sync.refresh="10s"',
    "sync.threshold=[0,0]",
    'vrrp.web.checksum="plain"',
    "vrrp.web.unicast=true",
    'vrrp.web.group="edge"',
    'vrrp.web.mode="dummy"',
    "vrrp.web.priority=100",
    'vrrp.web.failback.after="60s"',
    'defaults.cut_after="off"',
    'defaults.check.fast_interval="1s"',
    'defaults.check.down_interval="2s"',
    'checks.health.source="192.0.2.1"',
    'checks.health.interface="ha"',
    "checks.health.fwmark=5",
    'checks.health.address="10.0.8.1"',
    'checks.health.method="HEAD"',
    "checks.health.headers={}",
    'checks.health.body="x"',
    'checks.health.body_regex="x"',
    "checks.health.http2=true",
    "checks.health.keep_alive=true",
    "checks.health.tls={}",
    'services.web.checks_need="any"',
    "services.web.hysteresis=0",
    'services.api.panic_below="30%"',
    "services.web.persistence.netmask6=64",
    'services.dns.persistence.engine="sip"',
    'services.web.held="elsewhere"',
    'services.api.masquerade_as="192.0.2.12"',
]


def contract_block() -> str:
    found = re.search(r"```toml\n(.*?)```", CONTRACT.read_text(), re.DOTALL)
    assert found is not None
    return found[1]


def keys_of(value: object, key: str = "") -> Iterator[str]:
    """Every key path in tables, as faults spell it."""
    if isinstance(value, dict):
        for name, inner in value.items():
            spelt = name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else f'"{name}"'
            path = f"{key}.{spelt}" if key else spelt
            yield path
            yield from keys_of(inner, path)
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from keys_of(inner, f"{key}[{index}]")


def faults_of(text: str) -> list[Fault]:
    with pytest.raises(ConfigError) as caught:
        check_text(text, node="lb1")
    return list(caught.value.faults)


def covered(key: str, refused: set[str]) -> bool:
    """Is this key, or a table around it, refused as not built? A kind refuses its whole table."""
    tables = {name.removesuffix(".kind") for name in refused}
    return any(key == table or key.startswith((f"{table}.", f"{table}[")) for table in tables)


def test_every_key_of_the_contract_is_known() -> None:
    """The block has no fault but "not built yet", and what is not covered by one was accepted."""
    faults = faults_of(contract_block())
    refused = {fault.key for fault in faults}
    keys = set(keys_of(tomli.loads(contract_block())))

    assert [fault for fault in faults if "is not built yet" not in fault.fault] == []
    assert refused <= keys
    assert {key for key in keys if not covered(key, refused)} > {
        "services.web.real_servers[1].lower_threshold",
        "vrrp.web.addresses[4].advertise",
        "vrrp.mail.auth.secret_file",
        'kernel.sysctl."net.ipv4.vs.sync_ports"',
    }


@pytest.mark.parametrize("line", IN_COMMENTS)
def test_every_key_in_a_comment_of_the_contract_is_known(line: str) -> None:
    """It is accepted as it stands there, or refused as not built."""
    key, _, value = line.partition("=")
    name = key.split(".")[-1]
    assert name in contract_block() or name in CONTRACT.read_text()

    faults = [fault for fault in faults_of(with_key(key, value)) if fault.key == key]

    assert all("is not built yet" in fault.fault for fault in faults)


def with_key(key: str, value: str) -> str:
    """The contract's block with one more key, or another value of it."""
    raw = tomli.loads(contract_block())
    table = raw
    *path, name = key.split(".")
    for part in path:
        table = table.setdefault(part, {})
    table[name] = tomli.loads(f"x = {value}")["x"]
    return as_toml(raw)


def as_toml(value: object) -> str:
    """Tables as one TOML text: a line for each top-level key."""
    assert isinstance(value, dict)
    return "\n".join(f"{inline_key(name)} = {inline(inner)}" for name, inner in value.items())


def inline_key(name: str) -> str:
    return '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'


def inline(value: object) -> str:
    match value:
        case dict():
            inner = ", ".join(f"{inline_key(key)} = {inline(one)}" for key, one in value.items())
            return f"{{ {inner} }}"
        case list():
            return f"[{', '.join(inline(one) for one in value)}]"
        case bool():
            return "true" if value else "false"
        case str():
            return inline_key(value)
    return str(value)


def later_of(node: mi.Type, key: str) -> Iterator[str]:
    """Every key and value below a type that the schema marks as not built."""
    extra: dict[str, object] = {}
    if is_later(node):
        yield key
        return
    if isinstance(node, mi.Metadata):
        extra, node = node.extra or {}, node.type
    later = extra.get("later", [])
    assert isinstance(later, list)
    yield from (f"{key}={'5s' if value == '*' else value!r}" for value in later)
    match node:
        case mi.StructType():
            if node.tag_field:
                yield from (f"{key}.{node.tag_field}={kind!r}" for kind in LATER_KINDS)
            for field in node.fields:
                inner = f"{key}.{field.encode_name}" if key else field.encode_name
                yield from later_of(field.type, inner)
        case mi.DictType():
            yield from later_of(node.value_type, f"{key}.*")
        case mi.ListType():
            yield from later_of(node.item_type, key)
        case mi.UnionType():
            for one in node.types:
                yield from later_of(one, key)


def listed() -> set[str]:
    return {*NOT_BUILT, *(f"{table}.{key}" for table in CHECKS for key in OF_CHECKS)}


def test_the_list_of_what_is_not_built_is_that_of_the_schema() -> None:
    """Nothing is refused as not built that is not listed, and nothing listed was built."""
    marked = {text.replace("'", '"') for text in later_of(mi.type_info(FileTable), "")}

    assert {text.replace("=5s", '="5s"') for text in marked} == listed()


@pytest.mark.parametrize("line", sorted(listed()))
def test_what_is_not_built_is_refused(line: str) -> None:
    """Each key and value of the list, written into the right pair, is refused and not ignored."""
    pattern, _, value = line.partition("=")
    named = {"nodes": "lb1", "vrrp": "web", "services": "web", "checks": "health"}
    parts = pattern.split(".")
    path = [named[parts[at - 1]] if part == "*" else part for at, part in enumerate(parts)]
    raw = tomli.loads(PAIR)
    put(raw, path, tomli.loads(f"x = {value or 1}")["x"])

    faults = faults_of(as_toml(raw))

    refused = [fault for fault in faults if "is not built yet" in fault.fault]
    assert [re.sub(r"\[0\]", "", fault.key) for fault in refused] == [".".join(path)]
    assert refused[0].mend.startswith("leave it out; this version does not have it")


def put(table: dict[str, object], path: list[str], value: object) -> None:
    """Write a value at a path; where the pair has no table there, a fitting one is made."""
    fresh: dict[str, dict[str, object]] = {
        "real_servers": {"server": "web1"},
        "check": {"kind": "http"},
        "checks": {"kind": "http"},
        "sorry_server": {"server": "10.0.8.77"},
        "persistence": {"timeout": "5m"},
    }
    name, *rest = path
    if not rest:
        if name == "then":  # a key of one kind
            table.clear()
            table["kind"] = "agent"
        table[name] = value
        return
    inner = table.get(name)
    if not isinstance(inner, dict):
        inner = dict(fresh.get(name, {}))
    table[name] = inner
    put(inner, rest, value)
