# The reconciler and its canaries on the real kernel, while ipvsadm and sysctl work against it.
#
# All on one machine, as in test_datagrams.py: the client's packets are balanced as they leave, and
# the real servers are addresses on `lo`, by NAT. Nothing drops what comes to the VIP while no service
# stands, so a packet that is sent in that gap is answered with a reset.
"""What others change in the kernel, found and put right."""

import errno
import socket
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress

import pytest
import trio

from director.engine import canary
from director.engine.news import News
from director.engine.reconcile import Reconciler
from director.kernel.hands import KernelHands
from director.model.address import Endpoint, Family
from director.model.config import Config, KernelSettings, SyncSettings
from director.model.ops import (
    AddDestination,
    AddService,
    DeleteService,
    Observed,
    Op,
    SetSysctl,
    StopSync,
)
from director.model.pool import Member, Service
from director.model.service import (
    Destination,
    Forwarding,
    ServiceKey,
    ServiceSettings,
    Table,
    VirtualService,
)
from director.policy.facts import Facts
from director.policy.sysctls import sysctls_wanted
from director.policy.weight import Override

pytestmark = [pytest.mark.kernel, pytest.mark.trio]

VIP = "198.51.100.10"
REALS = ("198.51.100.21", "198.51.100.22")
PORT = 7777
EXPIRE = "net.ipv4.vs.expire_nodest_conn"
HELD = 20
WITHIN = 2.0  # seconds: of a reading, at up to 1,000 services
IPVSADM = "/usr/sbin/ipvsadm"


def virtual(number: int = 0) -> ServiceKey:
    return ServiceKey(Family.IPV4, address=VIP, port=80 + number)


def config_of(services: int = 3, *, sync: bool = False, expire: str = "0") -> Config:
    members = tuple(
        Member(name=real, addresses=(real,), port=PORT, forwarding=Forwarding.NAT) for real in REALS
    )
    return Config(
        node="lb1",
        interfaces={},
        services=tuple(
            Service(
                name=f"s{number}",
                virtuals=(virtual(number),),
                settings=ServiceSettings("rr"),
                members=members,
            )
            for number in range(services)
        ),
        sync=SyncSettings(interface="lo", id=51) if sync else None,
        kernel=KernelSettings(resync=2.0, sysctl={EXPIRE: expire}),
    )


@pytest.fixture
def kernel() -> Iterator[KernelHands]:
    """The addresses on `lo`; the table, the daemons and the sysctls are put back."""
    hands = KernelHands()
    names = tuple(sysctls_wanted(config_of(sync=True)))
    before = hands.observe(names)
    for address in (VIP, *REALS):
        subprocess.run(["ip", "address", "add", f"{address}/32", "dev", "lo"], check=True)
    yield hands
    there = hands.observe()
    hands.apply([StopSync(role) for role in there.sync])
    hands.apply([DeleteService(key) for key in there.table])
    hands.apply([SetSysctl(name, value) for name, value in before.sysctls.items()])
    for address in (VIP, *REALS):
        subprocess.run(["ip", "address", "del", f"{address}/32", "dev", "lo"], check=True)
    hands.close()


@asynccontextmanager
async def reconciling(kernel: KernelHands, config: Config) -> AsyncIterator[Reconciler]:
    """An engine's inside that runs."""
    reconciler = Reconciler(Facts(config), kernel, News())
    async with trio.open_nursery() as nursery:
        await nursery.start(reconciler.run)
        nursery.start_soon(canary.watch, reconciler, kernel)
        yield reconciler
        nursery.cancel_scope.cancel()


async def eventually(true: Callable[[], bool], within: float) -> float:
    """Seconds until it is; fails after `within`."""
    began = trio.current_time()
    with trio.fail_after(within):
        while not true():  # noqa: ASYNC110  (IPVS tells of no change: it has to be asked)
            await trio.sleep(0.01)
    return trio.current_time() - began


def ipvsadm(*words: str) -> None:
    subprocess.run([IPVSADM, *words], check=True)


def wanted(config: Config) -> Table:
    nat = Destination(weight=100, forwarding=Forwarding.NAT)
    ends = {Endpoint(real, PORT): nat for real in REALS}
    return {
        key: VirtualService(service.settings, ends)
        for service in config.services
        for key in service.virtuals
    }


AT = f"{VIP}:80"
TABLE_DRIFT = {
    "service lost": ["-D", "-t", AT],
    "service changed": ["-E", "-t", AT, "-s", "wlc"],
    "destination lost": ["-d", "-t", AT, "-r", f"{REALS[0]}:{PORT}"],
    "destination changed": ["-e", "-t", AT, "-r", f"{REALS[0]}:{PORT}", "-m", "-w", "7"],
    "destination added": ["-a", "-t", AT, "-r", f"198.51.100.23:{PORT}", "-m"],
}


@pytest.mark.parametrize(("kind", "words"), TABLE_DRIFT.items(), ids=TABLE_DRIFT)
async def test_what_ipvsadm_changes_is_put_right(
    kernel: KernelHands, kind: str, words: list[str]
) -> None:
    """Within the time of a reading, counted by its kind; and nothing else is touched."""
    config = config_of()
    async with reconciling(kernel, config) as reconciler:
        assert kernel.observe().table == wanted(config)

        ipvsadm(*words)
        assert kernel.observe().table != wanted(config)

        # One that was added is quiesced, and goes with the reading after that.
        within = 2 * WITHIN if kind == "destination added" else WITHIN
        await eventually(lambda: kernel.observe().table == wanted(config), within + 0.5)
        await eventually(lambda: kind in reconciler.repairs, WITHIN)


async def test_what_stands_beside_the_table_is_put_right(kernel: KernelHands) -> None:
    """A sync daemon that was stopped runs again, a sysctl has its value again."""
    config = config_of(sync=True)
    async with reconciling(kernel, config) as reconciler:
        ipvsadm("--stop-daemon", "backup")
        kernel.apply([SetSysctl(EXPIRE, "1")])

        def whole() -> bool:
            there = kernel.observe((EXPIRE,))
            return there.sync.keys() == {"master", "backup"} and there.sysctls == {EXPIRE: "0"}

        assert not whole()
        await eventually(whole, WITHIN + 0.5)
        found = {"sync daemon lost": 1, "sysctl changed": 1}
        await eventually(lambda: reconciler.repairs == found, WITHIN)


async def echo() -> list[trio.SocketListener]:
    """Listeners at the real servers."""
    listeners = []
    for real in REALS:
        listeners += await trio.open_tcp_listeners(PORT, host=real)
    return listeners


async def answer(stream: trio.SocketStream) -> None:
    with suppress(trio.BrokenResourceError):
        async for data in stream:
            await stream.send_all(data)


async def is_alive(stream: trio.SocketStream) -> bool:
    """One byte there and back."""
    with suppress(trio.BrokenResourceError, trio.ClosedResourceError), trio.move_on_after(2.0):
        await stream.send_all(b"?")
        return await stream.receive_some(1) == b"?"
    return False


async def keep_asking(stream: trio.SocketStream, alive: list[trio.SocketStream]) -> None:
    """In `alive` as long as it is."""
    alive.append(stream)
    while await is_alive(stream):  # noqa: ASYNC110  (the pace is the point)
        await trio.sleep(0.05)
    alive.remove(stream)


@pytest.mark.parametrize(("value", "kept"), [("0", {HELD}), ("1", {0, HELD})])
async def test_connections_when_the_table_is_cleared(
    kernel: KernelHands, value: str, kept: set[int]
) -> None:
    """
    `ipvsadm -C` and what the canaries make of it: connections that are quiet in the gap all go on
    when orphans are kept (the destinations come out of the trash with them). When they are swept,
    all are or none is: whether the table is back before the sweep. A new one is served in any case.
    """
    config = config_of(expire=value)
    busy: list[trio.SocketStream] = []
    async with (
        trio.open_nursery() as nursery,
        reconciling(kernel, config) as reconciler,
        AsyncExitStack() as stack,
    ):
        for listener in await echo():
            nursery.start_soon(trio.serve_listeners, answer, [listener])

        async def connect() -> trio.SocketStream:
            return await stack.enter_async_context(await trio.open_tcp_stream(VIP, 80))

        quiet = [await connect() for _ in range(HELD)]
        assert all([await is_alive(one) for one in quiet])
        for _ in range(HELD):
            nursery.start_soon(keep_asking, await connect(), busy)
        await trio.sleep(0.5)
        assert len(busy) == HELD

        ipvsadm("-C")
        gap = await eventually(lambda: kernel.observe().table == wanted(config), WITHIN)
        alive = sum([await is_alive(one) for one in quiet])
        await trio.sleep(2.5)

        print(f"{EXPIRE} {value}: gap {gap:.3f} s, quiet {alive}, busy {len(busy)} of {HELD}")
        assert alive in kept
        assert await is_alive(await connect())
        assert reconciler.repairs["service lost"] == 3
        assert gap < 0.5
        nursery.cancel_scope.cancel()


async def test_a_service_that_goes_under_our_feet_comes_back(kernel: KernelHands) -> None:
    """ESRCH in the middle of a batch is news: what could be done is done, the rest a moment later."""
    config = config_of()
    async with reconciling(kernel, config) as reconciler:
        ipvsadm("-D", "-t", AT)
        for number in range(3):
            word = Override("weight", 9)
            reconciler._news.tell(reconciler.facts.learn_override(f"s{number}", REALS[0], word))
        await eventually(lambda: bool(reconciler.refused), 1.0)
        assert {one.errno for one in reconciler.refused} == {errno.ESRCH}

        def whole() -> bool:
            table = kernel.observe().table
            ends = [table[key].destinations for key in table]
            return [one[Endpoint(REALS[0], PORT)].weight for one in ends] == [9, 9, 9]

        await eventually(whole, WITHIN + 0.5)
        await eventually(lambda: reconciler.refused == (), WITHIN)


async def test_answers_that_are_lost_end_in_the_right_table(kernel: KernelHands) -> None:
    """ENOBUFS: whether an operation was carried out nobody knows, and reading tells."""
    config = config_of(100)
    small = kernel._ipvs._socket._socket
    small.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
    kernel.apply([AddService(key, one.settings) for key, one in wanted(config).items()])
    refused = kernel.apply([AddService(key, one.settings) for key, one in wanted(config).items()])
    assert errno.ENOBUFS in {one.errno for one in refused}

    # The book of a fresh engine says that nothing stands; the kernel has it all, and refuses.
    reconciler = Reconciler(Facts(config), kernel, News())
    reconciler.facts.observed = Observed()
    ops: list[Op] = []
    for key, one in wanted(config).items():
        ops.append(AddService(key, one.settings))
        ops += [AddDestination(key, at, there) for at, there in one.destinations.items()]
    await reconciler._apply(tuple(ops))
    assert reconciler.refused

    reconciler._resync_at = 0.0
    await reconciler.round()

    assert kernel.observe().table == wanted(config)
