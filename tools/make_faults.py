"""Makes `docs/faults.md`: every fault of the fake against every requirement.

It takes some minutes, since each fault is put to all scenarios of a dialect.
"""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from pytest_realtime_asr import dialects
from pytest_realtime_asr.conformance.results import Status
from pytest_realtime_asr.conformance.selftest import Bench
from pytest_realtime_asr.fake.faults import FAULTS
from pytest_realtime_asr.requirements.requirement import Proof

PAGE = Path(__file__).parents[1] / "docs" / "faults.md"
AT_ONCE = 3
HEAD = """\
# Faults by requirements

Each fault of the fake server was put to all scenarios of the suite; the page was made
by `tools/make_faults.py`. In **bold** are the requirements that the fault proves: these
are broken by it in the ordinary tests and in `pytest --realtime-selftest`. Audio went
eight times faster than real time but where a fault depends on the clock, so that it may
break more at its own pace.
"""
TABLE = """
## With the dialect `{name}`

| fault | a server that ... | breaks |
|---|---|---|
"""
# Faults of items that prove no requirement.
OF_ITEMS = {"endless-speech", "no-event-ids"}
# A process that has ended breaks every requirement that is tested later.
DEADLY = {"die", "dies-of-empty", "dies-of-reset", "flood-dies", "big-frame-dies"}


def sections() -> dict[str, list[str]]:
    """Return the faults by dialect: those that only items can have need ``openai``."""
    plain, others = (
        {
            fault
            for each in dialects.load(name).requirements
            if each.proof is not None
            for fault in each.proof.faults
        }
        for name in ("vllm", "openai")
    )
    found: dict[str, list[str]] = {"vllm": [], "openai": []}
    for name in FAULTS:
        own = name in OF_ITEMS or (name not in plain and name in others)
        found["openai" if own else "vllm"].append(name)
    return found


def proof(bench: Bench, fault: str) -> Proof:
    """The plan by which this fault shows best."""
    for each in bench.proofs.values():
        if each.faults == (fault,):
            return each
    return Proof((fault,), own_process=fault in DEADLY)


def row(bench: Bench, fault: str) -> str:
    """The line of a fault."""
    found = bench.hold(bench.requirements, proof(bench, fault))()
    mine = {id for id, each in bench.proofs.items() if fault in each.faults}
    for id in mine:  # of a server that a fault ends, one at a time is seen
        if found[id].status is not Status.VIOLATED:
            found |= bench.hold([id], bench.proofs[id])()
    broken = [id for id, each in found.items() if each.status is Status.VIOLATED]
    told = [f"**{id}**" if id in mine else id for id in broken]
    missing = sum(each.status is Status.MISSING for each in found.values())
    told += [f"({missing} could not be tried)"] if missing else []
    print(fault, len(broken), missing, file=sys.stderr, flush=True)
    return f"| `{fault}` | {FAULTS[fault].about} | {', '.join(told) or 'nothing'} |"


def main() -> int:
    """Write the page."""
    page = HEAD
    for name, faults in sections().items():
        with Bench(name) as bench, ThreadPoolExecutor(AT_ONCE) as pool:
            rows = list(pool.map(lambda fault, on=bench: row(on, fault), faults))
        page += TABLE.format(name=name) + "\n".join(rows) + "\n"
    PAGE.write_text(page)
    return 0


if __name__ == "__main__":
    sys.exit(main())
