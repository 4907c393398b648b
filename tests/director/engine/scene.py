"""What the engine's tests play with: a file of small services, and a kernel that is watched."""

import errno
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence

import trio

from director.engine.firewall import Firewall
from director.engine.news import News
from director.engine.reconcile import Reconciler
from director.kernel.hands import Hands
from director.model.address import Endpoint, Family
from director.model.check import Health, Standing, TcpCheck
from director.model.config import Config, KernelSettings, SyncSettings
from director.model.ops import Observed, Op, Refused
from director.model.pool import Member, Service
from director.model.service import (
    Destination,
    ServiceKey,
    ServiceSettings,
    Table,
    VirtualService,
)
from director.policy.facts import Facts
from director.policy.ownership import Ownership
from director.policy.probing import target_of
from tests.fakes.kernel import FakeKernel

CHECK = TcpCheck(port=80)
ROUNDS_MAX = 300
RESYNC = 2.0
ONE, TWO = Endpoint("10.0.8.11", 80), Endpoint("10.0.8.12", 80)
MEMBERS = (
    Member(name="web1", addresses=(ONE.address,), port=80, checks=(CHECK,)),
    Member(name="web2", addresses=(TWO.address,), port=80, checks=(CHECK,)),
)
TWO_KEYS = tuple(target_of(CHECK, endpoint).key for endpoint in (ONE, TWO))


def virtual(number: int = 0) -> ServiceKey:
    return ServiceKey(Family.IPV4, address="192.0.2.10", port=80 + number)


WEB = virtual()


def config_of(
    services: int = 1, *, drain: float = 300.0, sync: bool = False, resync: float = RESYNC
) -> Config:
    """Services `s0`, `s1`… at 192.0.2.10:80, :81…, each with the same two real servers."""
    return Config(
        node="lb1",
        interfaces={},
        services=tuple(
            Service(
                name=f"s{number}",
                virtuals=(virtual(number),),
                settings=ServiceSettings(),
                members=MEMBERS,
                drain=drain,
            )
            for number in range(services)
        ),
        sync=SyncSettings(interface="lo", id=51) if sync else None,
        kernel=KernelSettings(resync=resync),
        digest="digest",
    )


def standing(endpoint: Endpoint, health: Health) -> Standing:
    return Standing(target_of(CHECK, endpoint).key, health, "because")


def table(**weights: int) -> VirtualService:
    """The service as the file has it, with web1 and web2 at these weights."""
    ends = {"web1": ONE, "web2": TWO}
    there = {ends[name]: Destination(weight=weight) for name, weight in weights.items()}
    return VirtualService(ServiceSettings(), there)


class NoTables:
    """Nothing of ours is in nf_tables."""

    def comment(self, *_which: object) -> str | None:
        """There is no table."""
        return None

    def open(self, *_which: object) -> int:
        """Nor a set."""
        return errno.ENOENT


def no_firewall(config: Config) -> Firewall:
    """One that loads nothing: the host's own nftables are not a test's to change."""

    async def load(_script: str) -> str:
        return ""

    return Firewall(config, open_tables=NoTables, load_script=load)


class WatchedKernel(FakeKernel):
    """A fake kernel that notes when it is asked what, and refuses what it is told to refuse."""

    def __init__(self, table: dict[ServiceKey, VirtualService] | None = None) -> None:
        super().__init__(table)
        self.rounds: list[tuple[float, tuple[Op, ...]]] = []
        self.readings: list[float] = []
        self.refuse: Callable[[Op], int] = lambda _op: 0
        self.meanwhile: Callable[[], None] = lambda: None
        self.while_read: Callable[[], None] = lambda: None
        self._asked = 0

    def observing(
        self, sysctls: Sequence[str] = (), known: Table | None = None
    ) -> Generator[None, None, Observed]:
        self.readings.append(trio.current_time())
        reading = super().observing(sysctls, known)
        while True:
            try:
                next(reading)
            except StopIteration as done:
                observed: Observed = done.value
                return observed
            self.while_read()
            yield

    def apply_batches(self, ops: Sequence[Op]) -> Iterator[list[Refused]]:
        self._asked += 1
        assert self._asked < ROUNDS_MAX, "the loop spins"
        if ops:
            self.rounds.append((trio.current_time(), tuple(ops)))
        for batch in super().apply_batches(ops):
            yield batch
            self.meanwhile()

    def _carry_out(self, op: Op) -> int:
        return self.refuse(op) or super()._carry_out(op)

    def weights(self, number: int = 0) -> dict[str, int]:
        there = self.table[virtual(number)].destinations
        return {endpoint.address: one.weight for endpoint, one in there.items()}


class Scene:
    """An engine's inside, without its doors."""

    def __init__(
        self,
        config: Config,
        kernel: WatchedKernel | None = None,
        owned: Iterable[ServiceKey] = (),
    ) -> None:
        self.kernel = kernel or WatchedKernel()
        self.facts = Facts(config)
        self.news = News()
        hands: Hands = self.kernel
        self.reconciler = Reconciler(
            self.facts, hands, self.news, ownership=Ownership(config, owned)
        )

    def learn(self, *standings: Standing) -> None:
        self.news.tell(self.facts.learn_standings(standings, trio.current_time()))

    def all_up(self) -> None:
        self.learn(standing(ONE, "up"), standing(TWO, "up"))
