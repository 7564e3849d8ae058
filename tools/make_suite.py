"""Write a pinned suite that is not released yet: all requirements that bind a server.

Usage: python tools/make_suite.py vllm-2026.12
"""

from __future__ import annotations

import sys
from pathlib import Path

import msgspec

from pytest_realtime_asr import dialects
from pytest_realtime_asr.requirements import pinned_suites
from pytest_realtime_asr.trace.records import Sender

SUITES = Path(pinned_suites.__file__).parent / "suites"


def main() -> None:
    (name,) = sys.argv[1:]
    dialect = dialects.load(name.rpartition("-")[0])
    levels = {
        each.id: each.level
        for each in dialect.requirements
        if each.binds is Sender.SERVER
    }
    suite = {"dialect": dialect.name, "requirements": levels}
    made = msgspec.json.format(msgspec.json.encode(suite), indent=1) + b"\n"
    (SUITES / f"{name}.json").write_bytes(made)


if __name__ == "__main__":
    main()
