"""What this process may do (capabilities(7))."""

from pathlib import Path

SETPCAP, NET_ADMIN = 8, 12  # include/uapi/linux/capability.h


def has(capability: int) -> bool:
    """Is it in the effective set?"""
    status = Path("/proc/self/status").read_text()
    effective = next(line for line in status.splitlines() if line.startswith("CapEff:"))
    return bool(int(effective.split()[1], 16) >> capability & 1)
