"""`director version`."""

import argparse
import json

from director import __version__


def version(args: argparse.Namespace) -> int:
    """Print the version."""
    print(json.dumps({"version": __version__}) if args.json else f"director {__version__}")
    return 0
