"""A realtime speech-recognition server with faults, for tests."""
