"""FakeLook: what reading verbs ask, answered by a kernel in memory."""

from collections.abc import Sequence

from director.kernel.ipvs import Info
from director.kernel.look import SeenDestination, SeenService
from director.model.pool import Place
from director.model.service import Counters, ServiceKey
from director.model.shown import Stats
from tests.fakes.kernel import FakeKernel


class FakeLook:
    """Looks at a FakeKernel. `stats` is what each service and destination has counted."""

    def __init__(self, kernel: FakeKernel, stats: Stats | None = None) -> None:
        self.kernel = kernel
        self.stats = stats or Stats()
        self.zeroed: list[ServiceKey] = []
        self.asked: list[ServiceKey] = []

    def service(self, key: ServiceKey, *, stats: bool = False) -> SeenService | None:
        self.asked.append(key)
        there = self.kernel.table.get(key)
        if there is None:
            return None
        counted = self.stats if stats else None
        return SeenService(
            key,
            there.settings,
            counted,
            [
                SeenDestination(
                    endpoint,
                    one,
                    self.kernel.counters.get(Place(key, endpoint), Counters()),
                    counted,
                )
                for endpoint, one in there.destinations.items()
            ],
        )

    def info(self) -> Info:
        return Info("1.2.1", 4096)

    def zero(self, keys: Sequence[ServiceKey]) -> None:
        self.zeroed += keys

    def close(self) -> None:
        """Nothing is open."""
