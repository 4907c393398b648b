# Virtual routers that move together: the two sides of a NAT director are of use on one node only.
#
# Rules of this room:
# 1. The machine decides for each member alone; this looks at its Step and says what becomes of all.
# 2. A group takes over when every member would. If one side of the segment is cut and the other is
#    not, a member that hears silence waits for those that hear the active (keepalived does so too:
#    vrrp_sync_can_goto_master); else the whole group would go to and fro with every timer.
# 3. A group lets go when one member does: the others hand over to the peer's, which move together
#    as well. They resign and hold until their peer is heard: make before break holds for each.
# 4. A hand-over is told to each member by the process, and each ends its own when its peer is
#    heard. Once one is gone none comes back: the group would be parted.
#
# All members of a group have one priority on a node, and the file's reader sees to that.
"""Groups of virtual routers: what the step of one member means for the others."""

from collections.abc import Mapping, Sequence

import msgspec

from director.vrrp import machine
from director.vrrp.rules import Rules, active_down
from director.vrrp.states import Active, Adopting, Backup, Effect, Leaving, Off, State, Step


class Member(msgspec.Struct, frozen=True):
    """One virtual router of a group, before the step."""

    rules: Rules
    state: State


def together(members: Mapping[str, Member], name: str, step: Step, now: float) -> dict[str, Step]:
    """The steps of all members that have one, when the machine gives `name` this one.

    Do them in order: the member itself comes first.
    """
    before = members[name].state
    others = {other: member for other, member in members.items() if other != name}
    match before, step.state:
        case (Backup() | Adopting(), Active()):
            return _all_take(members[name], name, others, step, now)
        case (Leaving(), Active()) if not all(one.state.hold for one in others.values()):
            return {name: _too_late(members[name], before, now)}
        case (Active() | Adopting() | Leaving(), Backup()):
            # Who yields to a stronger one says so. Else it overslept, or has heard while adopting
            # that a peer is active.
            silent = not isinstance(before, Leaving) and Effect.SEND_ADVERT not in step.effects
            return {name: step} | _all_yield(others, now, silent=silent)
        case (Backup() | Adopting() | Active(), Off()):
            return {name: step} | _all_stop(others)
        case _:
            return {name: step}


def fit(members: Mapping[str, Member]) -> bool:
    """Do all take part? Where one is in fault, none may start."""
    return not any(isinstance(member.state, Off) for member in members.values())


def _all_take(
    member: Member, name: str, others: Mapping[str, Member], step: Step, now: float
) -> dict[str, Step]:
    """All of them, or none yet: then the one that is due waits for the latest of the others."""
    if not fit(others):
        patience = active_down(member.rules.priority, member.rules.interval, member.rules.version)
        return {name: Step(_wait(member.state, now + patience))}
    taking = {
        other: machine.tick(one.rules, one.state, now)
        for other, one in others.items()
        if isinstance(one.state, Backup | Adopting)
    }
    not_yet = [one.state for one in taking.values() if not isinstance(one.state, Active)]
    if not_yet:
        return {name: _wait_for(not_yet, member, now)}
    leaving = {
        other: machine.stay(one.rules, one.state, now)
        for other, one in others.items()
        if isinstance(one.state, Leaving) and not one.state.stopping
    }
    return {name: step} | taking | leaving


def _wait_for(others: Sequence[State], member: Member, now: float) -> Step:
    """Until all are due. Who adopts holds VIPs meanwhile, and so has less patience.

    A member that found none in place listens for its Active_Down_Interval. When it is not due
    after that, it hears a peer, and the group is the peer's.
    """
    until = max(state.deadline for state in others)
    if isinstance(member.state, Adopting):
        listen = active_down(member.rules.priority, member.rules.interval, member.rules.version)
        since = [state.since for state in others if isinstance(state, Backup)]
        until = min(until, max(since) + listen) if since else until
        if until <= now:
            return machine.let_go(member.rules, member.state, now)
    return Step(_wait(member.state, until))


def _wait(state: State, until: float) -> State:
    if isinstance(state, Backup):
        return msgspec.structs.replace(state, down_at=until)
    return Adopting(until)


def _too_late(member: Member, state: Leaving, now: float) -> Step:
    """The other members have been handed over: this one waits on for its peer, or lets go."""
    if now < state.give_up_at:
        return Step(state)
    return machine.let_go(member.rules, state, now)


def _all_yield(others: Mapping[str, Member], now: float, *, silent: bool) -> dict[str, Step]:
    """The others follow: make before break, or `silent` where they have their keeper already."""
    return {
        other: machine.let_go(one.rules, one.state, now) if silent else _hand_over(one, now)
        for other, one in others.items()
        if isinstance(one.state, Active | Adopting)
    }


def _hand_over(one: Member, now: float) -> Step:
    rules = one.rules
    # So long that, should the peer die, the member that yielded to it is active again before.
    patience = active_down(rules.priority, rules.interval, rules.version) + rules.interval
    return machine.leave(rules, one.state, now, patience=patience, stopping=False, rest=0.0)


def _all_stop(others: Mapping[str, Member]) -> dict[str, Step]:
    return {
        other: machine.stop(one.state)
        for other, one in others.items()
        if not isinstance(one.state, Off)
    }
