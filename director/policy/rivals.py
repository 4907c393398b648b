# Somebody else who programs the same object: not a war.
#
# Rules of this room:
# 1. What was repaired TIMES within WITHIN is contested: it is left alone for FIRST seconds.
# 2. After each pause it is repaired once; when that has to be done again, the pause is twice as
#    long, up to LONGEST. So the one who is wrong is not fought, and who was right wins in the end.
# 3. One that needed no repair for WITHIN after its pause is forgotten.
"""Who repairs the same thing again and again has a rival."""

from director.model.ops import (
    AddDestination,
    AddService,
    DeleteDestination,
    DeleteService,
    Op,
    SetDestination,
    SetService,
    SetSysctl,
    SetTimeouts,
)
from director.model.state import Finding

TIMES = 5
WITHIN = 60.0  # seconds
FIRST, LONGEST = 10.0, 300.0


class Rivals:
    """Learns of repairs; says what is to be left alone. Instants are of the engine's clock."""

    def __init__(self) -> None:
        self._repairs: dict[str, list[float]] = {}
        self._pauses: dict[str, tuple[float, float]] = {}  # until when, of how long

    def learn(self, thing: str, now: float) -> bool:
        """It was repaired; is it left alone from now on?"""
        if thing in self._pauses:
            _, pause = self._pauses[thing]
            self._pauses[thing] = (now + min(2 * pause, LONGEST), min(2 * pause, LONGEST))
            return True
        lately = [at for at in self._repairs.get(thing, ()) if at > now - WITHIN]
        self._repairs[thing] = [*lately, now]
        if len(lately) + 1 < TIMES:
            return False
        self._pauses[thing] = (now + FIRST, FIRST)
        return True

    def forget(self, now: float) -> None:
        """What has been quiet for long enough; costs what is remembered."""
        self._repairs = {
            thing: when for thing, when in self._repairs.items() if when[-1] > now - WITHIN
        }
        self._pauses = {thing: one for thing, one in self._pauses.items() if one[0] > now - WITHIN}

    def is_contested(self, thing: str) -> bool:
        """Was it left alone, now or a while ago?"""
        return thing in self._pauses

    def is_held(self, op: Op, now: float) -> bool:
        """Is what it is about, or the service of it, left alone now?"""
        if not self._pauses:
            return False
        things = [thing_of(op)]
        if isinstance(op, AddDestination | SetDestination | DeleteDestination):
            things.append(str(op.key))
        return any(self._pauses.get(thing, (now, 0.0))[0] > now for thing in things)

    def findings(self) -> tuple[Finding, ...]:
        """For `status`."""
        return tuple(
            Finding(
                "alarm",
                thing,
                f"somebody else keeps changing it: it is put right once in {pause:g} s now",
                "find who programs the kernel beside the director (keepalived, kube-proxy, a "
                "script with ipvsadm or sysctl), and stop one of the two",
            )
            for thing, (_, pause) in sorted(self._pauses.items())
        )


def thing_of(op: Op) -> str:
    """What an operation is about, as `status` names it."""
    match op:
        case AddService(key) | SetService(key) | DeleteService(key):
            return str(key)
        case AddDestination(key, at) | SetDestination(key, at) | DeleteDestination(key, at):
            return f"{key} {at}"
        case SetSysctl(name):
            return f"sysctl {name}"
        case SetTimeouts():
            return "timeouts"
        case _:
            return f"sync {op.role}"
