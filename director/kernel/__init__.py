"""Hands on the kernel: effects only, no decisions."""
