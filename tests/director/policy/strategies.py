"""Hypothesis strategies for tables, small enough that two of them overlap."""

from hypothesis import strategies as st

from director.model.address import Endpoint, Family
from director.model.service import (
    Destination,
    Forwarding,
    ServiceKey,
    ServiceSettings,
    VirtualService,
)

KEYS = st.sampled_from(
    [
        ServiceKey(Family.IPV4, address="192.0.2.10", port=80),
        ServiceKey(Family.IPV4, address="192.0.2.10", port=443),
        ServiceKey(Family.IPV4, mark=7),
    ]
)
ENDPOINTS = st.sampled_from([Endpoint(f"10.0.8.{host}", 80) for host in (11, 12, 13)])
DESTINATIONS = st.builds(
    Destination,
    weight=st.sampled_from([0, 1, 50, 100]),
    forwarding=st.sampled_from([Forwarding.DR, Forwarding.NAT]),
    upper_threshold=st.sampled_from([0, 10]),
)
SETTINGS = st.builds(ServiceSettings, scheduler=st.sampled_from(["rr", "wlc"]))
TABLES = st.dictionaries(
    KEYS,
    st.builds(VirtualService, SETTINGS, st.dictionaries(ENDPOINTS, DESTINATIONS, max_size=3)),
    max_size=3,
)
