"""Writes the exchanges that the pages of the protocols show (some minutes).

The exchanges of a dialect are in `docs/protocols/NAME.jsonl`. They are cut from the
traces of the self-test; `tools/make_docs.py` then makes the pages.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping

from make_docs import DIALECTS, PROTOCOLS

from pytest_realtime_asr.conformance import exchanges
from pytest_realtime_asr.conformance.exchanges import Pair
from pytest_realtime_asr.conformance.selftest import Bench
from pytest_realtime_asr.report.protocol_links import requirements

TRIES = 3  # a fault may violate nothing on a busy machine


def made(name: str) -> Mapping[str, Pair]:
    """Return the exchanges of a dialect, by the ids of its requirements.

    A requirement that only a profile has is tried with that profile.
    """
    found: dict[str, Pair] = {}
    for profile, wanted in requirements(name).items():
        for _ in range(TRIES):
            left = [each.id for each in wanted if each.id not in found]
            if left:
                with Bench(profile) as bench:
                    found |= exchanges.pairs(bench, left)
    ids = [each.id for wanted in requirements(name).values() for each in wanted]
    return {id: found[id] for id in ids if id in found}


def main() -> int:
    """Write the exchanges of the dialects that are named, or of all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("dialects", nargs="*", default=DIALECTS)
    for name in parser.parse_args().dialects:
        found = made(name)
        (PROTOCOLS / f"{name}.jsonl").write_text(exchanges.dumps(found))
        print(f"{name}: the exchanges of {len(found)} requirements")
    return 0


if __name__ == "__main__":
    sys.exit(main())
