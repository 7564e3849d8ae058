"""The shared requirement that the text does not fall behind the speech."""

from __future__ import annotations

from pytest_realtime_asr.requirements import checks
from pytest_realtime_asr.requirements.requirement import (
    REAL_TIME,
    Level,
    Proof,
    Requirement,
)
from pytest_realtime_asr.requirements.shared.clauses import bug

MOST_DRIFT = 0.02  # s by which the lag may grow per s of speech

KEEPING_UP: tuple[Requirement, ...] = (
    Requirement(
        "keeps-up",
        "the lag of the text does not grow with the length of the speech",
        Level.SHOULD,
        bug(
            "CrispASR#383",
            "QwenLM/Qwen3-ASR#148",
            "WhisperLiveKit#388",
            read="read 2026-11-29",
        ),
        checks.keeps_up("10s", "35s", at_most=MOST_DRIFT),
        scenarios=("10s", "35s"),
        proof=Proof(("falls-behind",), pace=REAL_TIME),
    ),
)
