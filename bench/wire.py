# Listens on a lab's front wire. The bridge itself hears what is sent to all, so adverts and
# announcements but none of the client's traffic; whose they are, the source MAC tells.
#
# Runs in the wires' namespace: `wire.py BRIDGE` with `python -I -S`. A line is: the instant (the
# host's CLOCK_MONOTONIC), the source MAC, "advert" or "arp".
"""Adverts and announcements as the wire saw them, and when."""

import socket
import struct
import sys
import time

ETH_P_ALL, ETH_P_IP, ETH_P_ARP = 0x0003, 0x0800, 0x0806
VRRP = 112


def main() -> None:
    """For ever."""
    listener = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
    listener.bind((sys.argv[1], ETH_P_ALL))
    while True:
        frame = listener.recv(64)
        now = time.monotonic()
        (kind,) = struct.unpack_from("!H", frame, 12)
        if kind == ETH_P_IP and frame[23] == VRRP:
            word = "advert"
        elif kind == ETH_P_ARP:
            word = "arp"
        else:
            continue
        sys.stdout.write(f"{now:.6f} {frame[6:12].hex(':')} {word}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
