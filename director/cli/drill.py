"""`director drill`: failover drills in test machines."""

import argparse

from director.errors import Exit


def drill(args: argparse.Namespace) -> int:
    """0: all did what they should. 1: one did not. 71: no test machine can be booted."""
    from director.drill.catalogue import DRILLS, run

    if args.action == "run":
        return run(args.names)
    for name, one in DRILLS.items():
        print(f"{name:<12} {one.text}")
    return Exit.DONE
