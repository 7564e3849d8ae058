"""The shared requirement on text that the server has settled."""

from __future__ import annotations

from pytest_realtime_asr.requirements import checks
from pytest_realtime_asr.requirements.requirement import Level, Proof, Requirement
from pytest_realtime_asr.requirements.shared.clauses import HARM

SETTLED_TEXT = Requirement(
    "settled-text-stays",
    "text that the server has settled does not change",
    Level.MUST,
    HARM + ": a client uses settled text at once, for example as a command, and does "
    "not read it again",
    checks.settled_text_stays,
    scenarios=("10s", "utterances"),
    passive=True,
    proof=Proof(("retracts-settled",)),
)
"""The requirement on a server that says which text will not change any more."""
