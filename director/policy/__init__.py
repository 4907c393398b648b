"""Decisions, pure: what we know, what we want, what to change."""
