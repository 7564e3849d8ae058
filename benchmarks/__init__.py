"""Measurements of what this package costs, each beside the plain way to do it."""
