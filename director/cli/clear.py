# `director clear`: everything that the director made is taken out. A stop alone leaves the table,
# the sync daemons and the sysctls, so that a restart finds them; this is how to leave for good.
#
# It refuses while one of our processes runs: each kernel object has one owner, and the owner of the
# VIPs hands them over when it is stopped. So "hand over, then remove" is a stop and then this.
#
# What is taken: what the file names, what the last file named (vrrp.json), and what only we make.
# Whatever is refused is said at the end, and all else is done.
"""Remove all that the director made in this network namespace."""

import argparse
import errno
import json
import os
from collections.abc import Iterable, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path

import trio

from director import paths
from director.cli.check import load_config
from director.cli.processes import need_net_admin
from director.cli.running import running
from director.engine import memory
from director.engine.firewall import load
from director.errors import DirectorError, Exit, Fault
from director.kernel.addresses import Addresses, Held
from director.kernel.devices import encode_gone
from director.kernel.hands import KernelHands
from director.kernel.netlink import Garbled, Torn
from director.kernel.nftables import NfTables
from director.kernel.routes import GONE, encode_route_gone, encode_rule_gone
from director.kernel.seat import take_seat
from director.model.config import Config
from director.model.ops import show
from director.model.vip import DUMMY, Router, Vip
from director.policy.clearing import clearing
from director.policy.firewall import TABLE
from director.policy.nftset import FAMILIES
from director.policy.sysctls import sysctls_wanted
from director.vrrp.mute import DUMMY as MUTE

AGAIN = "mend that, and say it again: what is gone is not missed"


def clear(args: argparse.Namespace) -> int:
    """0: nothing of ours is left. 1: something was refused. 64: without --yes. 75: we still run."""
    if not args.yes:
        fault = "this takes VIPs, services and sysctls of this director out of the kernel"
        raise DirectorError(Exit.USAGE, Fault(fault=fault, mend="say it with --yes"))
    need_net_admin("clear")
    if still := running():
        fault = f"the director runs here: {', '.join(still)}"
        mend = "stop it first, which hands the VIPs over: systemctl stop director.target, or end "
        raise DirectorError(Exit.LATER, Fault(fault=fault, mend=f"{mend}`director up`"))
    config = load_config(args.config, args.node)
    broom = Broom(config, args.runtime, args.state)
    with closing(take_seat()):  # no engine starts while we are at it
        broom.sweep()
    if broom.faults:
        raise DirectorError(Exit.NO, *broom.faults)
    print(json.dumps({"removed": broom.done}) if args.json else "\n".join([*broom.done, "clear"]))
    return Exit.DONE


class Broom:
    """`done` says what was removed, `faults` what was not."""

    def __init__(self, config: Config, runtime: Path, state: Path) -> None:
        self.done: list[str] = []
        self.faults: list[Fault] = []
        self._config = config
        self._snapshot = runtime / paths.SNAPSHOT
        self._state = state / paths.STATE_FILE

    def sweep(self) -> None:
        """In this order: first nobody is answered any more, then nothing is balanced."""
        before = memory.last_snapshot(self._snapshot)
        routers = (*self._config.routers, *(before.routers if before else ()))
        addresses = Addresses()
        self._vips(addresses, routers, before.strangers if before else ())
        self._moves(addresses, routers)
        self._devices(addresses, routers)
        addresses.close()
        self._kernel()
        self._tables()
        if not self.faults:
            self._snapshot.unlink(missing_ok=True)

    def _vips(
        self, addresses: Addresses, routers: Sequence[Router], strangers: Iterable[Vip]
    ) -> None:
        links, there = addresses.links(), addresses.all()
        vips = dict.fromkeys([*(vip for router in routers for vip in router.vips), *strangers])
        held = [
            one
            for vip in vips
            if vip.interface in links
            and (one := Held(links[vip.interface].index, vip.prefix)) in there
        ]
        refused = addresses.release(held)
        for one in held:
            self._note(f"VIP {one.prefix.address}", refused.get(one, 0))

    def _moves(self, addresses: Addresses, routers: Sequence[Router]) -> None:
        links = addresses.links()
        requests: dict[str, bytes] = {}
        for router in routers:
            requests |= {str(rule): encode_rule_gone(rule) for rule in router.rules}
            for route in router.routes:
                if route.interface in ("", *links):
                    index = links[route.interface].index if route.interface else 0
                    requests[str(route)] = encode_route_gone(route, index)
        for name, code in zip(requests, addresses.request([*requests.values()]), strict=True):
            if code not in GONE:
                self._note(name, code)

    def _devices(self, addresses: Addresses, routers: Sequence[Router]) -> None:
        links = addresses.links()
        veils = {router.veil for router in routers if router.mac == "virtual"}
        for name in sorted({MUTE, DUMMY, *veils} & set(links)):
            (code,) = addresses.request([encode_gone(links[name].index)])
            self._note(f"device {name}", 0 if code == errno.ENODEV else code)

    def _kernel(self) -> None:
        remembered, trouble = memory.recall(self._state)
        if trouble:
            mend = "set the sysctls back by hand: docs/sysctls.md names them"
            self.faults.append(Fault(fault=trouble, mend=mend))
        hands = KernelHands()
        names = (*remembered.sysctls_before, *sysctls_wanted(self._config))
        observed = hands.observe(tuple(dict.fromkeys(names)))
        stood = remembered.sysctls_before, remembered.timeouts_before
        ops = clearing(self._config, observed, *stood, memory.to_owned(remembered))
        refused = {id(one.op): one for one in hands.apply(ops)}
        hands.close()
        for op in ops:
            if one := refused.get(id(op)):
                self.faults.append(Fault(fault=one.name, key=show(op), mend=one.mend))
            else:
                self.done.append(show(op))
        if not refused and not trouble:
            self._state.unlink(missing_ok=True)

    def _tables(self) -> None:
        try:
            tables = NfTables()
            there = [
                word
                for family, word in FAMILIES.items()
                if tables.comment(family, TABLE) is not None
            ]
        except (OSError, Torn, Garbled):
            return  # no nf_tables here, so no table of ours
        tables.close()
        for word in there:
            why = trio.run(partial(load, f"delete table {word} {TABLE}\n"))
            if why:
                self.faults.append(Fault(fault=why, key=f"nft table {word} {TABLE}", mend=AGAIN))
            else:
                self.done.append(f"nft table {word} {TABLE}")

    def _note(self, what: str, code: int) -> None:
        if code:
            self.faults.append(Fault(fault=os.strerror(code), key=what, mend=AGAIN))
        else:
            self.done.append(what)
