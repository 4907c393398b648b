"""`director schema`: the JSON Schema of the file, for editors."""

import argparse
import sys

import msgspec

from director.config.jsonschema import schema
from director.errors import Exit


def print_schema(_args: argparse.Namespace) -> int:
    """On stdout; the file's first line may name where it lies (`#:schema PATH`)."""
    sys.stdout.write(msgspec.json.format(msgspec.json.encode(schema()), indent=1).decode() + "\n")
    return Exit.DONE
