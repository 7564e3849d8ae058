"""The commands of ``python -m pytest_realtime_asr``, each in its own module."""
