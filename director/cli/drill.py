"""`director drill`: failover drills in test machines."""

import argparse


def drill(_args: argparse.Namespace) -> int:
    """0: all did what they should. 1: one did not. 71: no test machine can be booted."""
    from director.drill.demo import demo

    return demo()
