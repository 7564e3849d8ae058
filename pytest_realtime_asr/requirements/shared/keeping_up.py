"""The shared requirement that the text does not fall behind the speech.

Utterances that share the server with the other sessions of the suite are judged first.
If their text falls behind, the server may only be overloaded. So the requirement is
violated only if the text also falls behind while no other session is open.
"""

from __future__ import annotations

from pytest_realtime_asr.requirements import checks
from pytest_realtime_asr.requirements.evidence import Evidence
from pytest_realtime_asr.requirements.requirement import (
    REAL_TIME,
    Level,
    Proof,
    Requirement,
    Violated,
)
from pytest_realtime_asr.requirements.shared.clauses import bug

MOST_DRIFT = 0.02  # s by which the lag may grow per s of speech
SPEECH_ALONE = "35s-alone"  # the scenario of the utterance without any other session
_SHARED = ("10s", "35s")
_keeps_up = checks.keeps_up(*_SHARED, at_most=MOST_DRIFT)


def falls_behind(evidence: Evidence) -> bool:
    """Return whether the text falls behind while other sessions are open too."""
    return isinstance(_keeps_up(evidence), Violated)


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
        checks.confirmed_alone(_keeps_up, SPEECH_ALONE, at_most=MOST_DRIFT),
        scenarios=(*_SHARED, SPEECH_ALONE),
        whole_run=True,
        proof=Proof(("falls-behind",), pace=REAL_TIME),
    ),
)
