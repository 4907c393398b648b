# The director's own nftables tables. The engine alone starts nft(8), and only where the digest in
# the kernel is not the one wanted: a restarted engine finds its table and leaves it alone, with the
# elements that vrrp has put into its maps.
"""Keep our nftables tables as the configuration asks."""

import errno
import logging
import math
import os
import subprocess
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Protocol

import trio

from director.kernel.netlink import Garbled, Torn
from director.kernel.nftables import NfTables
from director.model.address import Family
from director.model.config import Config
from director.model.state import Finding
from director.policy.firewall import LOST, TABLE, comes_first, costs, digest_in, ruleset
from director.policy.nftset import FAMILIES

PROGRAMS = tuple(Path(folder, "nft") for folder in ("/usr/sbin", "/sbin", "/usr/bin"))
TRY_AGAIN_AFTER = 60.0  # seconds: a kernel without nf_tables does not get it in between
LOAD_WITHIN = 10.0
SHIELD = 5.0  # seconds: a client's SYN is sent again after 1 and 3 of them

log = logging.getLogger("director.engine")

Load = Callable[[str], Awaitable[str]]


class Tables(Protocol):
    """What is asked of nf_tables, real or not."""

    def comment(self, family: Family, table: str) -> str | None:
        """The comment of a table; None when there is no such table. Raises OSError, Torn."""

    def open(self, table: str, name: str, seconds: float, family: Family) -> int:
        """Make a set of protocols hold TCP, for so long; 0 or an errno."""


async def load(script: str) -> str:
    """Have nft(8) carry out a script, all or nothing; empty, or why it did not."""
    program = next((path for path in PROGRAMS if path.exists()), None)
    if program is None:
        return "there is no nft: install nftables"
    with trio.move_on_after(LOAD_WITHIN):
        done = await trio.run_process(
            [program, "-f", "-"],
            stdin=script.encode(),
            stdout=subprocess.DEVNULL,
            capture_stderr=True,
            check=False,
            env={},
        )
        if done.returncode == 0:
            return ""
        said = done.stderr.decode(errors="replace").strip().splitlines()
        return said[0][:200] if said else f"nft ended with {done.returncode}"
    return f"nft took more than {LOAD_WITHIN:g} s"


class Wanted:
    """What a file asks for. Made once: of twenty thousand services that is no small text."""

    def __init__(self, config: Config) -> None:
        self.every = config.kernel.resync
        self.scripts = {family: ruleset(config, family) for family in FAMILIES}
        self.costs = costs(config)
        self.first = comes_first(config)
        self.marked = tuple(one.name for one in config.services if one.matches)


class Firewall:
    """`lacking`: what is not there, and what that costs. `looked` is set after the first look."""

    def __init__(
        self,
        config: Config,
        *,
        open_tables: Callable[[], Tables] = NfTables,
        load_script: Load = load,
    ) -> None:
        self._wanted = Wanted(config)
        self._open = open_tables
        self._load = load_script
        self._looking = trio.Lock()
        self._shield_until = -math.inf
        self._tables: Tables | None = None
        self.lacking: tuple[Finding, ...] = ()
        self.looked = trio.Event()

    async def renew(self, config: Config) -> None:
        """Another file; returns once what it asks for stands, or `lacking` says why it does not."""
        wanted = await trio.to_thread.run_sync(Wanted, config)
        async with self._looking:
            self._wanted = wanted
            await self._look()

    async def start(self, nursery: trio.Nursery) -> None:
        """Run; where clients are kept out or masqueraded, return once that stands."""
        self.shield()
        nursery.start_soon(self.run)
        if self._wanted.first:
            await self.looked.wait()

    def shield(self, seconds: float = SHIELD) -> None:
        """For so long TCP for our services that IPVS does not know is dropped, and not reset.

        From now on, or from when the table stands; an earlier call that lasts longer still counts.
        Two netlink batches: for whoever has just seen that the IPVS table is lost.
        """
        self._shield_until = max(self._shield_until, trio.current_time() + seconds)
        self._open_shield()

    def _open_shield(self) -> None:
        left = self._shield_until - trio.current_time()
        families = (
            [family for family in FAMILIES if self._wanted.scripts[family]] if left > 0 else []
        )
        for family in families:
            try:
                self._tables = self._tables or self._open()
                code = self._tables.open(TABLE, LOST, left, family)
            except (OSError, Torn, Garbled) as error:
                log.info("no shield: %s", _words(error))
                return
            if code not in (0, errno.ENOENT):
                log.warning("no shield: %s", os.strerror(code))

    async def run(self) -> None:
        """Look as often as the table is read back, for ever."""
        while True:
            async with self._looking:
                await self._look()
            self.looked.set()
            await trio.sleep(TRY_AGAIN_AFTER if self.lacking else self._wanted.every)

    async def _look(self) -> None:
        why = await self._mend()
        if why and not self.lacking:
            log.warning("nftables: %s", why)
        self.lacking = self._findings(why) if why else ()

    async def _mend(self) -> str:
        """Mend what differs; why that could not be done."""
        try:
            tables = self._tables = self._tables or self._open()
            there = {family: tables.comment(family, TABLE) for family in FAMILIES}
        except (OSError, Torn, Garbled) as error:
            if not any(self._wanted.scripts.values()):
                return ""
            return f"nf_tables cannot be read: {_words(error)}"
        for family, word in FAMILIES.items():
            script = self._wanted.scripts[family]
            wanted = digest_in(script) or None
            if there[family] == wanted:
                continue
            if why := await self._load(script or f"delete table {word} {TABLE}\n"):
                return why
            log.info("nftables: table %s %s: %s", word, TABLE, wanted or "removed")
            self._open_shield()
        return ""

    def _findings(self, why: str) -> tuple[Finding, ...]:
        rest = Finding(
            "alarm" if self._wanted.first else "notice",
            "nftables",
            f"{'; '.join(self._wanted.costs)}: {why}",
            "install nftables and load nf_tables, nft_dup_ipv4 and nft_dup_ipv6",
        )
        if not self._wanted.marked:
            return (rest,)
        marks = Finding(
            "alarm",
            "nftables",
            f"nothing marks the packets of {', '.join(self._wanted.marked)}, which get none: {why}",
            "install nftables and load nf_tables; the next look tries again",
        )
        return (marks, rest)


def _words(error: Exception) -> str:
    code = getattr(error, "errno", None)
    return os.strerror(code) if code else str(error)
