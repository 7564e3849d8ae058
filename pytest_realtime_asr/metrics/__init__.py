"""Measures of a session, each a pure function of its timeline."""
