"""Whether measurements keep to their limits, and how two runs compare."""
