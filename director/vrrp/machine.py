# One virtual router: values in, a new state and its effects out.
#
# Rules of this room:
# 1. Nothing here acts, reads a clock or remembers. The process does the effects in their order,
#    keeps the state, and calls again at `state.deadline` or when an advert has come.
# 2. What is queued on the socket is heard before `tick` is called: after a pause the adverts that
#    wait there are what tells a sleeper that it was succeeded. And the machine is asked before
#    VIPs are refreshed, or a sleeper would put back what it has lost.
# 3. Whoever holds VIPs holds them in `Active`, `Leaving` or `Adopting` (`state.hold`), and no way
#    leads out of these without DROP_VIPS.
#
#                 start                        down_at                       leave
#       Off ---------------> Backup -------------------------> Active ----------------> Leaving
#        |                     ^  ^                             ^  |                       |
#        | start, holding      |  |  stronger, or overslept     |  |                       |
#        +------> Adopting ----+  +-----------------------------|--+                       |
#                    |    somebody else is active               |      a peer took over    |
#                    +------------------------------------------+      (Off if stopping) <-+
#                         nobody is
"""The VRRP state machine of RFC 9568 section 6.4, with hand-over and adoption."""

import msgspec

from director.vrrp.advert import OWNER, RESIGNING, Advert
from director.vrrp.frames import packed
from director.vrrp.rules import Rules, active_down, skew
from director.vrrp.states import (
    REST,
    Active,
    Adopting,
    Backup,
    Effect,
    Leaving,
    Off,
    State,
    Step,
)

__all__ = [
    "Active", "Adopting", "Backup", "Effect", "Leaving", "Off", "Rules", "State", "Step",
    "active_down", "hear", "leave", "let_go", "listen", "skew", "start", "stay", "stop",
    "take_over", "tick",
]  # fmt: skip

ANNOUNCE_AGAIN = 5.0  # seconds from a takeover to its second burst; keepalived's delay
ANNOUNCE_EVERY = 60.0  # seconds between bursts after that: switches forget, for ever
ADOPTION = 1.5  # intervals that an adopting node listens
BINDING = 1.5  # intervals for which what we said binds us; one for us, half for our group's others
SPEAK = (Effect.SEND_ADVERT,)


def start(rules: Rules, now: float, *, holding: bool = False) -> Step:
    """Take part from now on. `holding`: our VIPs are on the interface, from a life before.

    An address owner is active at once (RFC 9568 section 6.4.1): no other has a right to be.
    """
    if rules.owner:
        return take_over(rules, now)
    if holding:
        return Step(Adopting(now + ADOPTION * rules.interval))
    return Step(listen(rules, now))


def stop(state: State) -> Step:
    """Out of the race at once (fault, or no time to hand over). A peer takes over in its skew."""
    if state.hold:
        return Step(Off(), (Effect.SEND_RESIGNATION, Effect.DROP_VIPS))
    return Step(Off())


def leave(
    rules: Rules, state: State, now: float, *, patience: float, stopping: bool, rest: float = REST
) -> Step:
    """Hand over, make before break: resign, but hold the VIPs until a peer is heard as active.

    After `patience` seconds without one: Off when `stopping` (as for SIGTERM), else Active again.
    Not `stopping` ends in Backup, which contests its successor `rest` seconds later at the
    earliest, whatever `failback` says. Who holds nothing has nothing to hand over. A hand-over can
    become a stop, and a stop stays one.
    """
    if isinstance(state, Active | Adopting | Leaving):
        stopping = stopping or (isinstance(state, Leaving) and state.stopping)
        leaving = Leaving(now + rules.interval, now + patience, stopping, rest)
        return Step(leaving, (Effect.SEND_RESIGNATION,))
    return Step(Off() if stopping else state)


def stay(rules: Rules, state: State, now: float) -> Step:
    """Take a hand-over back, if it is not done yet."""
    past = _overslept(rules, state, now)
    if isinstance(past.state, Leaving):
        return _return(rules, now)
    return past


def hear(rules: Rules, state: State, advert: Advert, source: str, now: float) -> Step:
    """An advert for this router came from `source`. Our own echo is none, and is ignored.

    Source: RFC 9568 section 6.4.2 (receive, in Backup) and 6.4.3 (in Active).
    """
    if source == rules.source:
        return Step(state)
    if now <= state.deadline:  # as nearly always: this is the hot path
        return _heard(rules, state, advert, source, now)
    past = _overslept(rules, state, now)
    step = _heard(rules, past.state, advert, source, now)
    return Step(step.state, past.effects + step.effects)


def tick(rules: Rules, state: State, now: float) -> Step:
    """The deadline is reached. Too early a call changes nothing.

    Source: RFC 9568 section 6.4.2 (Active_Down_Timer fires) and 6.4.3 (Adver_Timer fires).
    """
    if now < state.deadline:
        return Step(state)
    past = _overslept(rules, state, now)
    if past.state is not state:
        return past
    match state:
        case Active():
            return _speak(rules, state, now)
        case Leaving():
            return _resign_again(rules, state, now)
        case _:  # Backup or Adopting: Off has no deadline
            return take_over(rules, now)


def let_go(rules: Rules, state: State, now: float) -> Step:
    """Drop what is held without a word. For a group, whose other members are gone."""
    return Step(_after(rules, state, rules.interval, now), (Effect.DROP_VIPS,))


def listen(rules: Rules, now: float) -> Backup:
    """Backup from now on, of an active whose interval is as ours until it is heard."""
    return _listen(rules, rules.interval, now)


def take_over(rules: Rules, now: float) -> Step:
    """Active from now on. For `tick`, and for a group whose members move together."""
    return Step(_hold(rules, now), (Effect.SEND_ADVERT, Effect.TAKE_VIPS, Effect.ANNOUNCE))


def _heard(rules: Rules, state: State, advert: Advert, source: str, now: float) -> Step:
    match state:
        case Backup():
            return Step(_backup_hears(rules, state, advert, now))
        case Active():
            return _active_hears(rules, state, advert, source, now)
        case Adopting() | Leaving() if advert.priority != RESIGNING:
            # Somebody is active, weaker or stronger: what we hold or hand over has its keeper. Who
            # hands over reports the release, so that the heir announces once more: until then we
            # answered for the VIPs, too, and ours may have been the last word that a host heard.
            report = (Effect.SEND_RESIGNATION,) if isinstance(state, Leaving) else ()
            after = _after(rules, state, _learned(rules, advert), now)
            return Step(after, (Effect.DROP_VIPS, *report))
        case Leaving(stopping=False):
            # Healed from a split in which both were told to go: each would wait for the other.
            return _return(rules, now)
        case _:
            return Step(state)


def _backup_hears(rules: Rules, state: Backup, advert: Advert, now: float) -> Backup:
    if advert.priority == RESIGNING:
        # Never later than we would have come anyway: the RFC sets the timer to the skew, and one
        # who resigns again and again would keep a weak backup waiting for ever.
        sooner = now + skew(rules.priority, state.interval, rules.version)
        return msgspec.structs.replace(state, down_at=min(state.down_at, sooner))
    patient = not rules.owner and now - state.since < rules.preempt_after
    rested = now >= state.rest_until and not patient
    if advert.priority < rules.priority and rested:
        return state  # the timer runs on, and that is how we preempt
    interval = _learned(rules, advert)
    down_at = now + active_down(rules.priority, interval, rules.version)
    return Backup(interval, down_at, state.since, state.rest_until)


def _learned(rules: Rules, advert: Advert) -> float:
    """The active's interval. In version 2 it is ours, or its adverts are not heard at all."""
    return advert.interval if rules.version == 3 else rules.interval


def _active_hears(rules: Rules, state: Active, advert: Advert, source: str, now: float) -> Step:
    if advert.priority == RESIGNING:
        return _answer(rules, state, now, (Effect.SEND_ADVERT, Effect.ANNOUNCE))
    if _stronger(advert.priority, source, rules.priority, rules):
        if now < state.said_until and not _stronger(advert.priority, source, state.said, rules):
            # Our priority fell a moment ago: this one may be yielding to what we said before.
            return Step(state, (Effect.ANNOUNCE,))
        # The last advert makes the winner announce its VIPs once more, and it comes after the
        # drop, so that the winner's word is the last that the segment hears.
        yielding = (Effect.DROP_VIPS, Effect.SEND_ADVERT)
        return Step(_listen(rules, _learned(rules, advert), now), yielding)
    # Answer a weaker claim at once, so that switches learn the way back to us.
    return _answer(rules, state, now, (Effect.SEND_ADVERT, Effect.ANNOUNCE))


def _stronger(priority: int, source: str, than: int, rules: Rules) -> bool:
    """Does an advert win against `than`, said from our address? Of equals the higher address does.

    Source: RFC 9568 section 6.4.3.
    """
    return priority > than or (priority == than and packed(source) > packed(rules.source))


def _answer(rules: Rules, state: Active, now: float, effects: tuple[Effect, ...]) -> Step:
    """Speak out of turn. This is our advert: the one that was due is held for an interval.

    One answer does for all that wait on the socket: a sleeper that wakes to a hundred adverts
    would otherwise answer each.
    """
    if state.advert_at == now + rules.interval:
        return Step(state)
    announce_at = state.announce_at
    if Effect.ANNOUNCE in effects:
        announce_at = min(announce_at, now + ANNOUNCE_AGAIN)
    return Step(_spoken(rules, state, now + rules.interval, announce_at, now), effects)


def _speak(rules: Rules, state: Active, now: float) -> Step:
    """What is due of the two: the advert, the announcement."""
    if now < state.advert_at:
        later = msgspec.structs.replace(state, announce_at=now + ANNOUNCE_EVERY)
        return Step(later, (Effect.ANNOUNCE,))
    # Counted from the deadline: counted from now, every late turn would stretch the interval.
    on_time = state.advert_at + rules.interval
    advert_at = on_time if on_time > now else now + rules.interval
    if now < state.announce_at:
        return Step(_spoken(rules, state, advert_at, state.announce_at, now), SPEAK)
    spoken = _spoken(rules, state, advert_at, now + ANNOUNCE_EVERY, now)
    return Step(spoken, (Effect.SEND_ADVERT, Effect.ANNOUNCE))


def _spoken(
    rules: Rules, state: Active, advert_at: float, announce_at: float, now: float
) -> Active:
    """Active that sends an advert now. A priority that fell binds us a while longer."""
    if rules.priority < state.said and now < state.said_until:
        return Active(advert_at, announce_at, state.said, state.said_until)
    return Active(advert_at, announce_at, rules.priority, now + BINDING * rules.interval)


def _resign_again(rules: Rules, state: Leaving, now: float) -> Step:
    if now < state.give_up_at:
        again = msgspec.structs.replace(state, resign_at=now + rules.interval)
        return Step(again, (Effect.SEND_RESIGNATION,))
    if state.stopping:
        return Step(Off(), (Effect.DROP_VIPS,))
    return _return(rules, now)


def _overslept(rules: Rules, state: State, now: float) -> Step:
    """Let go of what a peer must have taken while we did not run; else the state as it is.

    The quickest successor comes three intervals and a 256th after our last advert, which was one
    interval before the deadline that we missed. A backup that slept so long has not heard silence
    but nothing: it listens anew. (keepalived: timer_expired_backup.)
    """
    due = state.advert_at if isinstance(state, Active) else state.deadline
    interval = state.interval if isinstance(state, Backup) else rules.interval
    if now - due <= 2 * interval + skew(OWNER, interval, rules.version):
        return Step(state)
    if isinstance(state, Backup):
        down_at = now + active_down(rules.priority, interval, rules.version)
        return Step(msgspec.structs.replace(state, down_at=down_at))
    return Step(_after(rules, state, interval, now), (Effect.DROP_VIPS,))


def _after(rules: Rules, state: State, interval: float, now: float) -> State:
    """What follows once the VIPs are gone from `state`."""
    if not isinstance(state, Leaving):
        return _listen(rules, interval, now)
    if state.stopping:
        return Off()
    return msgspec.structs.replace(_listen(rules, interval, now), rest_until=now + state.rest)


def _listen(rules: Rules, interval: float, now: float) -> Backup:
    return Backup(interval, now + active_down(rules.priority, interval, rules.version), now)


def _hold(rules: Rules, now: float) -> Active:
    said_until = now + BINDING * rules.interval
    return Active(now + rules.interval, now + ANNOUNCE_AGAIN, rules.priority, said_until)


def _return(rules: Rules, now: float) -> Step:
    """Out of a hand-over: the VIPs were never gone, the word is taken back."""
    return Step(_hold(rules, now), (Effect.SEND_ADVERT, Effect.ANNOUNCE))
