# Seen from the wire the only clock is the run's own, and what a machine that stood still believes
# of itself does not matter.
"""Who holds a VIP: adverts, announcements and answers as the client's wire saw them."""

import sys
from pathlib import Path

from director.drill.places import Place, eventually

EAR = Path(__file__).with_name("ear.py")
ASK_EVERY = 0.005
HEARD_WITHIN = 10.0


class Witness:
    """Listens from a place with one device on the VIP's network. `stop` it."""

    def __init__(self, place: Place, vip: str, device: str = "eth0") -> None:
        argv = [sys.executable, "-I", "-S", str(EAR), device, vip, str(ASK_EVERY)]
        self._job = place.start(argv, name="witness")
        self._offset = place.clock_offset()
        eventually(lambda: bool(self._job.text), HEARD_WITHIN, "the first answer for the VIP")

    def heard(self, mac: str, *kinds: str, since: float = 0.0) -> list[float]:
        """The instants at which that MAC was heard (of the last minutes at least)."""
        rows = [line.split() for line in self._job.text.splitlines(keepends=True)]
        return [
            at
            for row in rows
            if len(row) == 3 and row[1] == mac and row[2] in kinds
            if (at := float(row[0]) + self._offset) >= since
        ]

    def stop(self) -> None:
        """End it."""
        self._job.stop()
