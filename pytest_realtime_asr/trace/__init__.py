"""The recorded evidence of a session, and its meaning: frames and timelines."""
