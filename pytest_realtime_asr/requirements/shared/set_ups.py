"""The shared requirement that the set-up of a session applies only to this session."""

from __future__ import annotations

from pytest_realtime_asr.requirements import checks
from pytest_realtime_asr.requirements.requirement import Level, Proof, Requirement
from pytest_realtime_asr.requirements.shared.clauses import HARM, bug

TWO_SET_UPS = "two-set-ups"
"""The scenario: during a session, a second session is set up with other options."""
BESIDE = f"{TWO_SET_UPS}-beside"

SET_UPS: tuple[Requirement, ...] = (
    Requirement(
        "set-ups-kept-apart",
        "the set-up of a session does not change other sessions",
        Level.MUST,
        HARM
        + ": the settings of another session are used; "
        + bug(
            "huggingface/speech-to-speech#555",
            "WhisperLiveKit#277",
            read="read 2026-11-29",
        ),
        checks.both(
            checks.finishes(TWO_SET_UPS),
            checks.same_text(TWO_SET_UPS),
            checks.set_up_accepted(BESIDE),
        ),
        scenarios=("alone", TWO_SET_UPS),
        proof=Proof(("shares-setup",)),
    ),
)
