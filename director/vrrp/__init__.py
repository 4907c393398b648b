"""VRRP: adverts, the state machine of one virtual router, and the frames that move a VIP."""
