"""Make `docs/faults.md`: every fault of the fake server by every requirement.

It takes some minutes, since all scenarios of a dialect run against each fault.
"""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from pytest_realtime_asr import dialects
from pytest_realtime_asr.conformance.results import Status
from pytest_realtime_asr.conformance.selftest import Bench
from pytest_realtime_asr.fake.faults import FAULTS
from pytest_realtime_asr.fake.faults.registry import Needs
from pytest_realtime_asr.requirements.requirement import Proof

PAGE = Path(__file__).parents[1] / "docs" / "faults.md"
AT_ONCE = 3
HEAD = """\
# Faults by requirements

`tools/make_faults.py` made this page: it ran all scenarios of the suite against a fake
server with each fault. The fault proves the requirements in **bold**: they are violated
by it in the ordinary tests and in `pytest --realtime-selftest`. Audio was sent at eight
times real time, except where a fault depends on the clock; at real time a fault may
violate more requirements.
"""
TABLE = """
## With the dialect `{name}`

| fault | a server that ... | breaks |
|---|---|---|
"""
DIALECTS = ("vllm", "openai", "sglang-omni", "vosk", "deepgram")
# Faults that prove no requirement of a dialect without a profile.
OWNERS = {
    "endless-speech": "openai",
    "no-event-ids": "openai",
    "babbles-when-empty": "deepgram",
}
# A process that has ended breaks every requirement that is tested later.
DEADLY = {"die", "dies-of-empty", "dies-of-reset", "flood-dies", "big-frame-dies"}


def sections() -> dict[str, list[str]]:
    """Return the faults by the dialect of their server.

    A fault belongs to the first dialect with a requirement that it proves. A fault that
    proves no requirement, and has no owner, belongs to ``vllm``. A fault of answers
    belongs to ``vosk``.
    """
    proofs = {
        name: {
            fault
            for each in dialects.load(name).requirements
            if each.proof is not None
            for fault in each.proof.faults
        }
        for name in DIALECTS
    }
    found: dict[str, list[str]] = {name: [] for name in DIALECTS}
    for fault in FAULTS:
        owner = OWNERS.get(fault, "vllm")
        owner = "vosk" if FAULTS[fault].needs is Needs.ANSWERS else owner
        owner = next((name for name, own in proofs.items() if fault in own), owner)
        found[owner].append(fault)
    return found


def proof(bench: Bench, fault: str) -> Proof:
    """Return the proof that has only this fault, or a new one without a requirement."""
    for each in bench.proofs.values():
        if each.faults == (fault,):
            return each
    return Proof((fault,), own_process=fault in DEADLY)


def row(bench: Bench, fault: str) -> str:
    """Return the row of a fault in the table of the page."""
    found = bench.start(bench.requirements, proof(bench, fault))()
    mine = {id for id, each in bench.proofs.items() if fault in each.faults}
    for id in mine:  # a server that dies shows one violation at a time
        if found[id].status is not Status.VIOLATED:
            found |= bench.start([id], bench.proofs[id])()
    broken = [id for id, each in found.items() if each.status is Status.VIOLATED]
    cells = [f"**{id}**" if id in mine else id for id in broken]
    missing = sum(each.status is Status.MISSING for each in found.values())
    cells += [f"({missing} could not be tried)"] if missing else []
    print(fault, len(broken), missing, file=sys.stderr, flush=True)
    return f"| `{fault}` | {FAULTS[fault].about} | {', '.join(cells) or 'nothing'} |"


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
