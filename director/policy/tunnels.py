# A tunnel's destination that the file no longer names, while connections are synced.
#
# The peer may have the old file for a while yet, and tells of connections to the destination. One
# whose destination is gone here forwards all the same, by the tunnel that it was told of, and
# ip_vs_tunnel_xmit asks cp->dest for the kind of tunnel without a look whether there is one
# (ip_vs_xmit.c). So such a destination is quiesced, and goes when nobody can have such a
# connection: none is left here, and those that began under the old file had the time to expire.
# Whoever gives the peer its new file later than that takes the risk: the two do not talk yet.
"""How long a tunnel's destination must stay."""

from director.model.config import Config
from director.model.ops import Observed
from director.model.service import Forwarding, VirtualService

# Seconds that an established connection of TCP lives without a packet (ip_vs_proto_tcp.c), for a
# kernel that did not say.
ESTABLISHED = 900.0


def needed_for(
    config: Config, observed: Observed, service: VirtualService, forwarding: Forwarding
) -> float:
    """Seconds that a dropped destination stays even when it is empty; 0: no longer than others.

    The longest life of an idle connection: the peer's word of one can be that late.
    """
    synced = config.sync is not None or observed.sync
    if forwarding is not Forwarding.TUN or not synced:
        return 0.0
    kept = service.settings.persistence
    return max(ESTABLISHED, *observed.timeouts, kept.timeout if kept else 0.0)
