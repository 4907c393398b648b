"""What an engine is made of, for whoever changes several of them at once."""

from collections.abc import Callable
from pathlib import Path

import msgspec

from director.engine.firewall import Firewall
from director.engine.following import Following
from director.engine.journal import Journal
from director.engine.keeping import Keeper
from director.engine.news import News
from director.engine.reconcile import Reconciler
from director.engine.verbs import Verbs
from director.engine.workers import Workers
from director.policy.facts import Facts


class Parts(msgspec.Struct, frozen=True, kw_only=True):
    """`pulse_changed` begins the pulse anew, as the facts' file has it."""

    facts: Facts
    news: News
    reconciler: Reconciler
    keeper: Keeper
    firewall: Firewall
    workers: Workers
    following: Following
    journal: Journal
    verbs: Verbs
    runtime: Path
    pulse_changed: Callable[[], None]
