"""An interface whose addresses are virtual services, and a kernel that tells of them."""

import subprocess
import time
from collections.abc import AsyncIterator, Callable

import pytest
import trio

from director.engine.following import Following, as_it_is_now
from director.engine.news import News
from director.engine.reconcile import Reconciler
from director.kernel import links
from director.kernel.hands import KernelHands
from director.model.address import Family
from director.model.check import Standing, TcpCheck
from director.model.config import Config, KernelSettings
from director.model.ops import DeleteService
from director.model.pool import Follow, Member, Service
from director.model.service import Forwarding, Protocol, ServiceKey, ServiceSettings
from director.policy.facts import Facts

pytestmark = [pytest.mark.kernel, pytest.mark.trio]

DEVICE = "follow0"
VIP = ServiceKey(Family.IPV4, address="192.0.2.50", port=8080)
SERVICE = Service(
    name="web",
    virtuals=(VIP,),
    settings=ServiceSettings(),
    members=(
        Member(
            name="web1",
            addresses=("10.0.8.11", "2001:db8:8::11"),
            forwarding=Forwarding.NAT,
            checks=(TcpCheck(),),
        ),
    ),
    follows=(Follow(DEVICE, Protocol.TCP, 8080),),
)
CONFIG = Config(
    node="lb1",
    interfaces={},
    services=(SERVICE,),
    kernel=KernelSettings(sysctls="report", resync=0.2),
)


def ip(*arguments: str) -> None:
    subprocess.run(["/usr/sbin/ip", *arguments], check=True, capture_output=True)


def key(address: str) -> ServiceKey:
    family = Family.IPV6 if ":" in address else Family.IPV4
    return ServiceKey(family, address=address, port=8080)


class Scene:
    """An engine's inside on the real kernel; `dealt` counts new lists for the check workers."""

    def __init__(self) -> None:
        self.facts = Facts(CONFIG)
        self.hands = KernelHands()
        self.dealt = 0
        news = News()
        self.following = Following(self.facts, news, self.deal)
        self.reconciler = Reconciler(self.facts, self.hands, news)

    def deal(self) -> None:
        self.dealt += 1

    @property
    def wanted(self) -> set[ServiceKey]:
        return set(self.facts.services["web"].virtuals)

    async def until(self, *addresses: str) -> float:
        """How long it took until these are wanted beside the VIP, and stand in the kernel."""
        want = {VIP, *map(key, addresses)}
        return await until(
            lambda: self.wanted == want and want <= self.hands.observe().table.keys()
        )


async def until(condition: Callable[[], bool]) -> float:
    began = time.monotonic()
    for _ in range(1000):  # the kernel's own time is the subject
        if condition():
            return time.monotonic() - began
        await trio.sleep(0.01)
    raise AssertionError("not in time")


@pytest.fixture
async def scene(nursery: trio.Nursery) -> AsyncIterator[Scene]:
    """It runs, and the device has one address."""
    links.ensure_dummy(DEVICE)
    ip("address", "add", "192.0.2.41/24", "dev", DEVICE)
    there = Scene()
    await nursery.start(there.following.run)
    await nursery.start(there.reconciler.run)
    target = next(iter(there.facts.probing.targets))
    there.facts.learn_standings([Standing(target, "up")], 0.0)  # so that what goes may go
    yield there
    nursery.cancel_scope.cancel()
    there.hands.apply([DeleteService(one) for one in there.hands.observe().table])
    there.hands.close()
    links.remove_link(DEVICE)


async def test_what_is_there_is_wanted_from_the_first_round(scene: Scene) -> None:
    """An address and the VIP, which nobody holds here; not the link-local address of the device."""
    assert scene.wanted == {VIP, key("192.0.2.41")}
    assert scene.wanted <= scene.hands.observe().table.keys()


async def test_addresses_come_and_go(scene: Scene) -> None:
    """
    Of both families, told by the kernel: in the table within a fraction of a second, no longer
    wanted when they go. New real servers' ports are probed.
    """
    before = scene.dealt
    ip("address", "add", "192.0.2.42/24", "dev", DEVICE)
    took = await scene.until("192.0.2.41", "192.0.2.42")
    assert took < 2.0
    assert scene.dealt == before  # the same probes

    ip("address", "add", "2001:db8:41::1/64", "dev", DEVICE, "nodad")
    await scene.until("192.0.2.41", "192.0.2.42", "2001:db8:41::1")
    assert scene.dealt == before + 1

    ip("address", "del", "192.0.2.41/24", "dev", DEVICE)  # the first: the second goes with it
    await scene.until("2001:db8:41::1")
    gone = {key("192.0.2.41"), key("192.0.2.42")}
    await until(lambda: gone.isdisjoint(scene.hands.observe().table))


async def test_a_device_that_is_made_anew(scene: Scene) -> None:
    """Its addresses go with it, and those of the new one count."""
    links.remove_link(DEVICE)
    await scene.until()

    links.ensure_dummy(DEVICE)
    ip("address", "add", "192.0.2.43/24", "dev", DEVICE)
    await scene.until("192.0.2.43")


async def test_an_address_elsewhere_is_nothing(scene: Scene) -> None:
    """Nor is one that the device has already."""
    ip("address", "add", "198.51.100.77/32", "dev", "lo")
    ip(
        "address",
        "change",
        "192.0.2.41/24",
        "dev",
        DEVICE,
        "valid_lft",
        "900",
        "preferred_lft",
        "9",
    )
    ip("address", "add", "192.0.2.44/24", "dev", DEVICE)
    ip("address", "del", "198.51.100.77/32", "dev", "lo")

    await scene.until("192.0.2.41", "192.0.2.44")


async def test_a_plan_without_an_engine_has_them_too(scene: Scene) -> None:
    """`director apply` programs what the engine would."""
    (service,) = as_it_is_now(CONFIG).services

    assert set(service.virtuals) == scene.wanted == {VIP, key("192.0.2.41")}
