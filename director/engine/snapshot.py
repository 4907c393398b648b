"""What vrrp plays, left where it finds it without us."""

import logging
from pathlib import Path

import msgspec

from director import paths
from director.engine import memory
from director.model.config import Config
from director.policy.strangers import strangers
from director.wire.messages import Snapshot

log = logging.getLogger("director.engine")


def leave_snapshot(config: Config, runtime: Path) -> Snapshot:
    """Written, and to be said. On a full disk vrrp knows it for as long as it runs."""
    before = memory.last_snapshot(runtime / paths.SNAPSHOT)
    left = strangers(before.routers if before else (), config.routers)
    snapshot = Snapshot(config.node, config.digest, config.routers, left)
    try:
        memory.write_whole(runtime / paths.SNAPSHOT, msgspec.json.encode(snapshot))
    except OSError as error:
        log.warning("%s: cannot be written: %s", runtime / paths.SNAPSHOT, error.strerror)
    return snapshot
