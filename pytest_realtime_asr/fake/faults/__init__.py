"""Faults of the fake server, grouped by what they act on."""
