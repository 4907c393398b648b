"""Real servers: `[real_servers]`, and how a service names one."""

import re

import msgspec

from director.config.faults import Findings, Key
from director.config.readers import check_names, element, listed, no_address, read_address
from director.config.schema import FileTable
from director.config.taken import Taken
from director.model.address import canonical, family_of, parse_endpoint

NAMED = re.compile(r"([A-Za-z0-9_.-]+)(?::([0-9]{1,5}))?")


class Server(msgspec.Struct, frozen=True, gc=False):
    """What `web1`, `web1:8080`, `10.0.8.22` or `10.0.8.22:8443` stands for."""

    name: str
    addresses: tuple[str, ...]
    port: int = 0


class Servers:
    """The named real servers. `taken` says why an address cannot be a real server's."""

    def __init__(self, file: FileTable, taken: Taken, found: Findings) -> None:
        self.found = found
        self.taken = taken
        self.named: dict[str, tuple[str, ...]] = {}
        self.parsed: dict[str, Server] = {}
        check_names(file.real_servers, ("real_servers",), found)
        owners: dict[str, str] = {}
        for name, written in file.real_servers.items():
            self.named[name] = self._addresses(name, written, owners)

    def _addresses(
        self, name: str, written: str | list[str], owners: dict[str, str]
    ) -> tuple[str, ...]:
        key: Key = ("real_servers", name)
        if _bare(name) is not None:
            mend = "name it in letters; an address needs no entry here"
            self.found.add(key, f'"{name}" is an address, not a name', mend)
        addresses: list[str] = []
        for index, text in enumerate(listed(written)):
            where = element(key, written, index)
            address = read_address(text, where, self.found)
            if address is None:
                continue
            if family_of(address) in map(family_of, addresses):
                mend = "write one address of each family; two machines need two names"
                self.found.add(where, f"{name} has a second address of one family", mend)
                continue
            owner = owners.setdefault(address, name)
            if owner != name:
                mend = "give one machine one name"
                also: Key = ("real_servers", owner)
                self.found.add(where, f"{address} is {owner} already", mend, also=also)
                continue
            self.refuse_taken(address, where)
            addresses.append(address)
        if not addresses and not self.found.within(*key):
            self.found.add(key, f"{name} has no address", "write its address")
        return tuple(addresses)

    def refuse_taken(self, address: str, key: Key) -> bool:
        """A VIP or a node's own address cannot be a real server's. Is it one?"""
        why = self.taken.why(address)
        if address.startswith("127.") or address == "::1":
            why = "is the director itself"
        if why is not None:
            self.found.add(key, f"{address} {why}", "write the real server's own address")
        return why is not None

    def of(self, text: str, key: Key) -> Server | None:
        """The real server that a pool's entry names, or None and a fault."""
        server = self.parsed.get(text)
        if server is None:
            server = self._parse(text, key)
            if server is None:
                return None
            if server.name in self.named or not self.refuse_taken(server.addresses[0], key):
                self.parsed[text] = server  # what is at fault is so at each of its keys
        return server

    def _parse(self, text: str, key: Key) -> Server | None:
        if text in self.named:
            return Server(text, self.named[text])
        address, port = _bare(text), 0
        if address is None:
            try:
                address, port = msgspec.structs.astuple(parse_endpoint(text))
            except ValueError:
                return self._by_name(text, key)
        return Server(address, (address,), port)

    def _by_name(self, text: str, key: Key) -> Server | None:
        match = NAMED.fullmatch(text)
        if match is None or (match[2] and not 1 <= int(match[2]) <= 65535):
            spellings = '"name", "name:port", "IP", "IP:PORT" or "[IP6]:PORT"'
            self.found.add(key, f'"{text}" is not a real server', f"write {spellings}")
            return None
        name = match[1]
        if name in self.named:
            return Server(name, self.named[name], int(match[2] or 0))
        if not self.found.within("real_servers", name):
            mend = f"add {name} to [real_servers], or write the address; no names are looked up"
            if re.fullmatch(r"[0-9.]+", name):
                mend = no_address(name)[1]
            fault = f'no real server is named "{name}"'
            self.found.add(key, fault, self.found.suggest(name, self.named, mend))
        return None


def _bare(text: str) -> str | None:
    """An address without a port, in its one spelling."""
    if "]" in text or (text.count(":") == 1 and "." in text):
        return None  # it would be IP:PORT: an exception for each costs more than reading it
    try:
        return canonical(text)
    except ValueError:
        return None
