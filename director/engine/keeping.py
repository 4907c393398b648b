# What the next engine, and `director clear`, have to know. Asked at each reading, before anything
# is changed: the interface that a sysctl belongs to may come late.
"""Record in state.json which services are ours, and what stood before us."""

import logging
from pathlib import Path

from director.engine import memory
from director.model.config import Config
from director.model.ops import Observed
from director.policy.ownership import Ownership
from director.policy.sysctls import sysctls_wanted

log = logging.getLogger("director.engine")


class Keeper:
    """Writes only when there is something new."""

    def __init__(
        self, config: Config, ownership: Ownership, remembered: memory.Memory, file: Path
    ) -> None:
        self._config = config
        self._ownership = ownership
        self._memory = remembered
        self._file = file
        self._changes = -1  # of what is ours, that are written
        self._owed = True  # it is not known to be on the disk

    def renew(self, config: Config) -> None:
        """Another file is in force."""
        self._config = config

    def note(self, observed: Observed) -> None:
        """What stands now. A full disk costs a warning; the next reading tries again."""
        if self._ownership.changes != self._changes:
            self._changes = self._ownership.changes
            self._owed |= note_services(self._memory, self._ownership)
        self._owed |= note_what_was(self._memory, self._config, observed)
        if not self._owed:
            return
        try:
            memory.store(self._file, self._memory)
            self._owed = False
        except OSError as error:
            log.warning("%s: cannot be written: %s", self._file, error.strerror)


def note_services(remembered: memory.Memory, ownership: Ownership) -> bool:
    """Which virtual services are ours. Are they others than before?"""
    owned = [str(key) for key in ownership.owned]
    changed = owned != remembered.services
    remembered.services = owned
    return changed


def note_what_was(remembered: memory.Memory, config: Config, observed: Observed) -> bool:
    """What stands and was not noted yet. Was there any?"""
    before = remembered.sysctls_before
    named = () if config.kernel.sysctls == "report" else sysctls_wanted(config)
    fresh = {
        name: observed.sysctls[name]
        for name in named
        if name in observed.sysctls and name not in before
    }
    before |= fresh
    timeouts = any(config.kernel.timeouts) and remembered.timeouts_before is None
    if timeouts:
        remembered.timeouts_before = observed.timeouts
    return bool(fresh) or timeouts
