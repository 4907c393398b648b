# A second pair of eyes: what the kernel counts, one virtual service at a time, for whoever asks.
#
# Rules of this room:
# 1. It has a socket of its own, so that a question never stands between the reconciler's request
#    and the answer.
# 2. Nothing of the table is changed here. Zeroing the counters is no change of the table.
#
# What one does not expect:
# - One question for the service and a dump for its destinations: two commands under the mutex that
#   all network namespaces share. Hence one service at a time.
# - IPVS_CMD_ZERO without a service zeroes all of them, those of others too; never sent here.
"""Read single virtual services with their counters."""

import errno
from collections.abc import Sequence
from functools import partial
from typing import NamedTuple, Protocol

from director.kernel.codec import (
    DEST,
    GET_DEST,
    GET_SERVICE,
    SERVICE,
    Decoder,
    encode_key,
    stats_of,
)
from director.kernel.ipvs import Info, Ipvs
from director.kernel.netlink import BATCH, nest
from director.model.address import Endpoint, Family
from director.model.service import Counters, Destination, ServiceKey, ServiceSettings
from director.model.shown import Stats


class SeenDestination(NamedTuple):
    """A destination as it stands."""

    endpoint: Endpoint
    destination: Destination
    counters: Counters
    stats: Stats | None


class SeenService(NamedTuple):
    """A virtual service as it stands."""

    key: ServiceKey
    settings: ServiceSettings
    stats: Stats | None
    destinations: list[SeenDestination]


class Look(Protocol):
    """What a reading verb asks of a kernel, real or not."""

    def service(self, key: ServiceKey, *, stats: bool = False) -> SeenService | None:
        """One virtual service; None when there is none. Raises OSError, Torn, Garbled."""

    def info(self) -> Info:
        """Version and size. Raises OSError."""

    def zero(self, keys: Sequence[ServiceKey]) -> None:
        """Counters to 0, of at most BATCH services; one that is gone is passed over."""

    def close(self) -> None:
        """Closing twice does nothing."""


class KernelLook:
    """The kernel of this network namespace. Raises SystemLacks, NoRight."""

    def __init__(self) -> None:
        self._ipvs = Ipvs()
        self._decoder = Decoder()

    def close(self) -> None:
        """Closing twice does nothing."""
        self._ipvs.close()

    def service(self, key: ServiceKey, *, stats: bool = False) -> SeenService | None:
        """One virtual service; None when there is none. Raises OSError, Torn, Garbled."""
        request = nest(SERVICE, encode_key(key))
        take = partial(self._service, stats=stats)
        try:
            found = self._ipvs.collect(GET_SERVICE, request, take)
        except OSError as error:
            if error.errno == errno.ESRCH:
                return None
            raise
        if not found or found[0] is None:
            return None
        settings, counted = found[0]
        each = partial(self._destination, family=key.family, stats=stats)
        there = self._ipvs.collect(GET_DEST, request, each, dump=True)
        return SeenService(key, settings, counted, [one for one in there if one is not None])

    def info(self) -> Info:
        """Version and size. Raises OSError."""
        return self._ipvs.info()

    def zero(self, keys: Sequence[ServiceKey]) -> None:
        """Counters to 0, of at most BATCH services; one that is gone is passed over."""
        assert len(keys) <= BATCH
        self._ipvs.zero(keys)

    def _service(
        self, body: memoryview, *, stats: bool
    ) -> tuple[ServiceSettings, Stats | None] | None:
        found = self._decoder.service(body)
        if found is None:
            return None
        return found[1], stats_of(body, SERVICE) if stats else None

    def _destination(
        self, body: memoryview, *, family: Family, stats: bool
    ) -> SeenDestination | None:
        found = self._decoder.destination(body, family)
        if found is None:
            return None
        return SeenDestination(*found, stats_of(body, DEST) if stats else None)
