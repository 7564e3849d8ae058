"""The requirement on the first utterance of a run; a violation stops the run."""

from __future__ import annotations

from pytest_realtime_asr.requirements import checks
from pytest_realtime_asr.requirements.checks.refusals import FIRST
from pytest_realtime_asr.requirements.requirement import Level, Proof, Requirement
from pytest_realtime_asr.requirements.shared.clauses import HARM

FIRST_UTTERANCE = Requirement(
    FIRST,
    "the first plain utterance of a run is transcribed",
    Level.MUST,
    HARM + ": no utterance can be transcribed",
    checks.finishes(FIRST),
    scenarios=(FIRST,),
    proof=Proof(("no-final",)),
)
