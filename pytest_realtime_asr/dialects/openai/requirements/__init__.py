"""The requirements of OpenAI's protocol, each with a clause or a bug report as source.

The level is MUST if OpenAI's own description of the events demands the behaviour, or if
a violation harms every client. The level is SHOULD if clients rely on the behaviour.
The level is INFO if servers are free to differ.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

from pytest_realtime_asr.dialects.openai.events import START, TABLE
from pytest_realtime_asr.dialects.openai.profile import Profile
from pytest_realtime_asr.dialects.openai.requirements.declared import (
    GUIDE,
    READ,
    TYPES,
    Declared,
    clause,
)
from pytest_realtime_asr.dialects.openai.requirements.formats import formats
from pytest_realtime_asr.dialects.openai.requirements.items import ITEMS
from pytest_realtime_asr.dialects.openai.requirements.refusals import ERRORS, REFUSALS
from pytest_realtime_asr.dialects.openai.requirements.session import SESSION
from pytest_realtime_asr.dialects.openai.requirements.turns import TURNS
from pytest_realtime_asr.dialects.openai.requirements.utterances import (
    BUFFER,
    UTTERANCES,
)
from pytest_realtime_asr.dialects.openai.scenario_steps import exercises
from pytest_realtime_asr.requirements import shared
from pytest_realtime_asr.requirements.requirement import Requirement

_CONNECTIONS: tuple[Declared, ...] = (
    *shared.LIFE,
    *shared.restated(
        shared.HANDSHAKES,
        shared.stated(
            "wrong-key-refused",
            "RFC 9110, section 15.5.2: 401 if credentials are not valid",
        ),
    ),
    *shared.restated(
        shared.MANY,
        shared.stated(
            "crowd-has-unique-ids",
            clause(
                "realtime_transcription_session_create_response",
                "id is the unique identifier of the session",
            ),
        ),
    ),
)

_DECLARED: tuple[Declared, ...] = (
    shared.FIRST_UTTERANCE,
    *SESSION,
    *ITEMS,
    *ERRORS,
    *REFUSALS,
    *BUFFER,
    *UTTERANCES,
    *TURNS,
    *_CONNECTIONS,
    *shared.SAME_TEXT,
    *shared.LOST_WORDS,
    formats,
    *shared.binding_clients(
        TABLE,
        start=START,
        clauses=(
            f"{GUIDE}: the order of events ({READ})",
            f"{TYPES}: the fields of each event ({READ})",
            f"{TYPES}: the types of events ({READ})",
        ),
    ),
)

_OPTIONAL = {"short-commit", "turns", "hush", "turn-commit", "pcmu", "pcma"}
"""The scenarios that need a capability which some servers do not have."""


@cache
def requirements(profile: Profile) -> tuple[Requirement, ...]:
    """Return the requirements on the servers of a profile, and on their clients."""
    left_out = _OPTIONAL - {it.name for it in exercises(profile)}
    return tuple(
        each for each in _declared(profile) if left_out.isdisjoint(each.scenarios)
    )


def _declared(profile: Profile) -> Iterator[Requirement]:
    for each in _DECLARED:
        if isinstance(each, Requirement):
            yield each
        else:
            yield from each(profile)
