"""Judges measurements against their limits, and compares runs."""
