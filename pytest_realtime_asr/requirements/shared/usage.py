"""Shared requirements on the usage figures that a server sends for an utterance."""

from __future__ import annotations

from pytest_realtime_asr.requirements import checks
from pytest_realtime_asr.requirements.requirement import (
    Level,
    Proof,
    Requirement,
    each,
)
from pytest_realtime_asr.requirements.shared.clauses import bug

SHOULD = Level.SHOULD
_READ = "read 2026-11-29"

USAGE: tuple[Requirement, ...] = (
    Requirement(
        "usage-matches",
        "the usage figures fit the audio that was sent and the text that came",
        SHOULD,
        bug("stdapi-ai/stdapi.ai#95", "stdapi-ai/stdapi.ai#280", read=_READ),
        each(checks.usage_matches),
        scenarios=("utterances",),
        passive=True,
        proof=Proof(("one-token",)),
    ),
    Requirement(
        "usage-of-each",
        "the usage figures of an utterance do not include earlier utterances",
        SHOULD,
        "a client that adds up the usage figures of a session would count audio twice",
        checks.usage_of_each("utterances"),
        scenarios=("utterances",),
        proof=Proof(("usage-so-far",)),
    ),
)
