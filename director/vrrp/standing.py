"""How a virtual router stands, as `director status` shows it."""

import time

from director.model.vip import Router
from director.vrrp.conflict import Conflict
from director.vrrp.punctuality import Punctuality
from director.vrrp.rules import Rules
from director.vrrp.states import Adopting, Backup, Off, State
from director.wire.messages import Role, RoleName


class Standing:
    """Makes a new `role` when something has changed; else it is the same object."""

    def __init__(self, router: Router, conflict: Conflict, punctuality: Punctuality) -> None:
        self._router = router
        self._conflict = conflict
        self._punctuality = punctuality
        self._late = (0, 0.0)
        self._addresses = tuple(str(vip.prefix) for vip in router.vips)
        self._since = time.time()
        self.fault = False
        self.peer = ""
        self.reason = "waits for the engine's word that the table stands"
        self.role = self._made("off", Rules.of(router))

    def tell(self, state: State, rules: Rules) -> None:
        """Something may have changed."""
        name = self._name(state)
        if name != self.role.role:
            self._since = time.time()
        role = self._made(name, rules)
        if role != self.role:
            self.role = role

    def count(self, now: float) -> None:
        """What is counted by the hour is counted anew, for the next `tell`."""
        self._late = self._punctuality.late(now)

    def _made(self, name: RoleName, rules: Rules) -> Role:
        return Role(
            router=self._router.name,
            vrid=self._router.vrid,
            role=name,
            priority=rules.priority,
            since=self._since,
            addresses=self._addresses,
            peer=self.peer,
            reason=self.reason,
            conflict=self._conflict.says,
            conflicts=self._conflict.count,
            late=self._late[0],
            late_gap=round(self._late[1], 3),
        )

    def _name(self, state: State) -> RoleName:
        match state:
            case Off():
                return "fault" if self.fault else "off"
            case Backup() | Adopting():
                return "backup"
            case _:
                return "active"
