"""The entry point of ``python -m pytest_realtime_asr``."""

from __future__ import annotations

import sys

from pytest_realtime_asr.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
