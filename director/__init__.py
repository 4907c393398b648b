"""A high-availability director for Linux IPVS."""

__version__ = "0.1.0"
