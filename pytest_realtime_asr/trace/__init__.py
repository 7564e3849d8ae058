"""The recorded frames of a session (trace) and their meaning (timeline)."""
