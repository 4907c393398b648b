# Two are active at once: when that is so, and when it is over.
#
# Rules of this room:
# 1. While we are active each advert of another active says so, but for GRACE intervals after our
#    takeover: whom we succeeded says one last word.
# 2. Whoever is told by an advert that he must yield has no conflict any more. Where nobody preempts
#    there was one, though, and it is counted: the wire was split and has healed.
# 3. An address that somebody else claims (claims.py) is asked for again each second: it is over
#    when nobody has claimed it for CLAIM_LASTS.
"""Whether somebody else is active too."""

import math

from director.vrrp.claims import Claim

GRACE = 2.0  # intervals, and at least GRACE_LEAST seconds
GRACE_LEAST = 0.1
SILENCE = 1.5  # of the other's intervals, after which he is active no more
CLAIM_LASTS = 3.0  # seconds: two questions may be lost


class Conflict:
    """That of one virtual router.

    `count`: how often one began. `says`: who else is active now; empty when nobody is.
    """

    def __init__(self, interval: float) -> None:
        self.count = 0
        self.says = ""
        self._grace = max(GRACE * interval, GRACE_LEAST)
        self._from = math.inf
        self._until = -math.inf

    def turned(self, now: float, *, active: bool) -> None:
        """Our role is another from now on."""
        self._from = now + self._grace if active else math.inf
        self._clear()

    def heard(self, source: str, interval: float, now: float) -> bool:
        """An advert of another active, whom we do not yield to. Is it news?"""
        before = self.says
        self._note(f"{source} is active too", now, SILENCE * interval)
        if self.says:
            self.says = f"{source} is active too"  # tells more than a claim
        return self.says != before

    def seen(self, claim: Claim, now: float) -> bool:
        """Somebody claims an address that we hold. Is this how it begins?"""
        return self._note(f"{claim.who} claims {claim.address} too", now, CLAIM_LASTS)

    def lapse(self, now: float) -> bool:
        """Is it over, since the last time this was asked?"""
        if not self.says or now < self._until:
            return False
        self._clear()
        return True

    def _note(self, what: str, now: float, lasts: float) -> bool:
        if now < self._from:
            return False
        begins = not self.says
        self.count += begins
        self.says = self.says or what
        self._until = max(self._until, now + lasts)
        return begins

    def _clear(self) -> None:
        self.says = ""
        self._until = -math.inf
