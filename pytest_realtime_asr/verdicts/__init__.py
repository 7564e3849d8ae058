"""The verdicts on measurements against their limits, and the comparison of runs."""
