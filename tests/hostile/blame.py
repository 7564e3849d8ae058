"""Faults of one side that must not be blamed on the other, or called another name."""

from __future__ import annotations

from dataclasses import replace

from hostile import Case
from hostile.verdicts import CLIP, final, many
from pytest_realtime_asr import parity
from pytest_realtime_asr.comparison import compare, parse
from pytest_realtime_asr.parity import Gone
from pytest_realtime_asr.report import jsonl


def dead_baseline(limit: str) -> str:
    """What is said of a baseline whose sessions were all closed at once."""
    now = [jsonl.row("test_it", it) for it in many(8, final(1030))]
    gone = [jsonl.row("test_it", replace(it, lost="closed")) for it in many(8)]
    found = compare("http://base:1", gone, now, parse(limit))
    return found.failures[0] if found.failures else found.lines[-1]


def dead_in_the_crowd() -> str:
    """What parity says of a server that dies once the clips were spoken alone."""
    gone = Gone("refused", "ws://127.0.0.1:1/: cannot connect: Connection refused")
    clip = parity.Clip(CLIP, ("go forward",) * 3, (gone,) * 3)
    return parity.judge(parity.Over.CROWD, [clip]).lines()


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
    Case(
        "parity-of-a-dead-server",
        "the server dies before the sessions in the crowd",
        (
            "0 of 1 utterances have another text",
            "0 texts, 3 lost",
            "FAIL: 3 of 3 sessions were lost; go-forward refused: ws",
            "Connection refused",
        ),
        1,
        lambda _: dead_in_the_crowd(),
    ),
]
