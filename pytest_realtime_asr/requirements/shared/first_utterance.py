"""The requirement on the first utterance of a run; if it fails, the run stops."""

from __future__ import annotations

from pytest_realtime_asr.requirements import checks
from pytest_realtime_asr.requirements.requirement import Level, Proof, Requirement
from pytest_realtime_asr.requirements.shared.clauses import HARM

_ID = "first-utterance"
FIRST_UTTERANCE = Requirement(
    _ID,
    "the first plain utterance of a run is transcribed",
    Level.MUST,
    HARM + ": no utterance can be transcribed",
    checks.finishes(_ID),
    scenarios=(_ID,),
    proof=Proof(("no-final",)),
)
