# Runs inside the client's place with `python -I -S`, so it knows the standard library alone and
# nothing of this project: `ear.py DEVICE VIP EVERY`.
#
# It asks by ARP who has the VIP, with a MAC that is nobody's: what is answered reaches no kernel's
# ARP cache, so nobody's traffic changes. A line is: the instant (CLOCK_MONOTONIC there), the source
# MAC, "advert", "answer" or "announce".
"""Adverts, announcements and answers for a VIP as the client's wire sees them, and when."""

import select
import socket
import struct
import sys
import time

ASKER = bytes.fromhex("0200000000fe")  # locally administered, beyond those that topology deals
BROADCAST = b"\xff" * 6
ETH_P_ALL, ETH_P_IP, ETH_P_ARP = 0x0003, 0x0800, 0x0806
VRRP = 112
REQUEST = 1


def kind_of(frame: bytes, vip: bytes) -> str:
    """What a frame is for us; nothing for most."""
    (protocol,) = struct.unpack_from("!H", frame, 12)
    if protocol == ETH_P_IP and frame[23] == VRRP:
        return "advert"
    if protocol == ETH_P_ARP and frame[28:32] == vip and frame[6:12] != ASKER:
        return "answer" if frame[0:6] == ASKER else "announce"
    return ""


def question(vip: bytes) -> bytes:
    """An ARP request for the VIP that names no address of its own (RFC 5227, 2.1.1)."""
    head = BROADCAST + ASKER + struct.pack("!H", ETH_P_ARP)
    body = struct.pack("!HHBBH", 1, ETH_P_IP, 6, 4, REQUEST)
    return head + body + ASKER + bytes(4) + bytes(6) + vip


def main(device: str, address: str, every: float) -> None:
    """For ever."""
    vip = socket.inet_aton(address)
    line = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
    line.bind((device, ETH_P_ALL))
    ask_at = time.monotonic()
    while True:
        left = ask_at - time.monotonic()
        if left <= 0:
            line.send(question(vip))
            ask_at = max(ask_at + every, time.monotonic())
            continue
        if not select.select([line], [], [], left)[0]:
            continue
        frame = line.recv(64)
        if kind := kind_of(frame, vip):
            sys.stdout.write(f"{time.monotonic():.6f} {frame[6:12].hex(':')} {kind}\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], float(sys.argv[3]))
