"""``python -m pytest_realtime_asr``: the commands that need no test, one a module."""
