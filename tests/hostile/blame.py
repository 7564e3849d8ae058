"""Faults of one side that must not be put on the other, or be told as something else."""

from __future__ import annotations

from dataclasses import replace

from hostile import Case
from hostile.verdicts import final, many
from pytest_realtime_asr.comparison import compare, parse
from pytest_realtime_asr.report import jsonl


def dead_baseline(limit: str) -> str:
    """What is said of a baseline whose sessions were all closed at once."""
    now = [jsonl.row("test_it", it) for it in many(8, final(1030))]
    gone = [jsonl.row("test_it", replace(it, lost="closed")) for it in many(8)]
    found = compare("http://base:1", gone, now, parse(limit))
    return found.failures[0] if found.failures else found.lines[-1]


CASES = [
    Case(
        "baseline-answers-nothing",
        "the baseline closes every session at once",
        (
            "compared with http://base:1: final_from_commit INVALID",
            "the baseline was measured in 0 of 8 sessions (8 closed)",
            "mend the baseline",
        ),
        5,
        lambda _: dead_baseline("final_from_commit:5%"),
    ),
    Case(
        "baseline-says-nothing",
        "the baseline gives no text, and the server is right",
        ("wer INVALID", "0 of 8 sessions (8 closed)"),
        5,
        lambda _: dead_baseline("wer:1pp").splitlines()[0],
    ),
]
