"""The shared requirement that a server recognises no words in quiet noise."""

from __future__ import annotations

from pytest_realtime_asr.requirements import checks
from pytest_realtime_asr.requirements.requirement import Level, Proof, Requirement
from pytest_realtime_asr.requirements.shared.clauses import bug

QUIET_NOISE: tuple[Requirement, ...] = (
    Requirement(
        "quiet-noise-is-wordless",
        "noise that is as quiet as an empty room gets no text",
        Level.SHOULD,
        bug("WhisperLiveKit#131", "OpenWhispr/openwhispr#462", read="read 2026-11-29"),
        checks.wordless("quiet-noise"),
        scenarios=("quiet-noise",),
        proof=Proof(("babbles-in-noise",)),
    ),
)
