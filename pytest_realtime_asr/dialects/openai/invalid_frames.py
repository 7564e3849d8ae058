"""Frames that a server of this protocol must refuse.

Each frame of a `Misuse` is one case of the misuse. Some frames have an event id, which
the error of the server must name.
"""

from __future__ import annotations

from functools import cache

import msgspec

from pytest_realtime_asr.dialects.openai.events import APPEND, COMMIT
from pytest_realtime_asr.dialects.openai.profile import Profile
from pytest_realtime_asr.requirements import shared
from pytest_realtime_asr.requirements.scenario_steps import Misuse

NO_FORMAT = "audio/no-such-format"
NO_FIELD = "no_such_field"
NO_INCLUDE = "no.such.include"
_NO_RATE = 12_345  # Hz
_HALF = "half"  # stands for an escaped half of a surrogate pair


def event(kind: str, **content: object) -> str:
    """Return an event of this type as a JSON frame."""
    return msgspec.json.encode({"type": kind, **content}).decode()


def update(profile: Profile, **changes: object) -> str:
    """Return a session update that has only these fields.

    The fields are named as in the general shape, even for a profile of the beta shape.
    """
    if profile.beta:
        names = {"transcription": "input_audio_transcription"}
        flat = {names.get(name, name): value for name, value in changes.items()}
        audio = flat.pop("format", None)
        if isinstance(audio, dict):
            flat["input_audio_format"] = audio["type"]
        return event(profile.update, event_id="by_hand", session=flat)
    include = {"include": changes.pop("include")} if "include" in changes else {}
    extra = {NO_FIELD: changes.pop(NO_FIELD)} if NO_FIELD in changes else {}
    audio = {"audio": {"input": changes}} if changes else {}
    session = {"type": "transcription", **audio, **include, **extra}
    return event(profile.update, event_id="by_hand", session=session)


def _append(audio: object) -> str:
    return event(APPEND, audio=audio)


_NOT_TEXTS: tuple[object, ...] = (5, None, [], {})
_NOT_OBJECTS: tuple[object, ...] = (5, None, [])
_JSON = (
    *shared.misuses("bad-json", "no-object", "deep-json", "duplicate-keys"),
    *shared.misuses("not-a-number", "composite-type", "huge-number", "empty-text"),
)
_EVENTS: tuple[Misuse, ...] = (
    *shared.misuses("no-type", "unknown-event", "unknown-event-amid-speech"),
    Misuse(
        "named-event",
        "an unknown event with an event id",
        (event("no.such", event_id="by_hand"),),
    ),
    Misuse(
        "event-id-wrong-type",
        "an unknown event whose event id is not a string",
        (event("no.such", event_id=5), event("no.such", event_id=[])),
    ),
    Misuse(
        "event-id-surrogate",
        "an unknown event with an unpaired surrogate in its event id",
        (event("no.such", event_id=_HALF).replace(_HALF, "\\ud800"),),
    ),
    Misuse("append-without-audio", "an append without audio", (event(APPEND),)),
    Misuse(
        "append-wrong-type",
        "an append whose audio is not a string",
        tuple(map(_append, _NOT_TEXTS)),
    ),
    Misuse(
        "bad-base64",
        "an append whose audio has a length that base64 cannot have",
        (_append("AAAAA"), _append("A")),
    ),
    Misuse(
        "foreign-characters",
        "an append whose audio has characters that base64 does not use",
        (_append("!!!!"), _append("AA*A-_ =")),
    ),
)
_EMPTY_COMMIT = Misuse(
    "empty-commit", "a commit without audio", (event(COMMIT, event_id="by_hand"),)
)


def _lone_surrogates(profile: Profile) -> Misuse:
    surrogate = f'{{"type":"{profile.update}","session":{{"x":"\\udfff"}}}}'
    return Misuse(
        "lone-surrogates",
        "an event type with an unpaired surrogate, and an update with such a surrogate",
        ('{"type":"no.\\ud800.event"}', surrogate),
    )


def _updates(profile: Profile) -> tuple[Misuse, ...]:
    kind = profile.update
    return (
        Misuse(
            "update-without-session",
            "an update that has no session, or a session that is not an object",
            (event(kind), *(event(kind, session=each) for each in _NOT_OBJECTS)),
        ),
        Misuse(
            "unknown-parameter",
            "an update with an unknown field",
            (update(profile, **{NO_FIELD: {"a": 1}}),),
        ),
        Misuse(
            "unknown-format",
            "an update with an unknown audio format",
            (update(profile, format={"type": NO_FORMAT}),),
        ),
        Misuse(
            "unknown-rate",
            f"an update with a sample rate of {_NO_RATE} Hz",
            (update(profile, format={"type": "audio/pcm", "rate": _NO_RATE}),),
        ),
        Misuse(
            "language-surrogate",
            "an update with an unpaired surrogate in its language",
            (
                update(profile, transcription={"language": _HALF}).replace(
                    _HALF, "\\ud800"
                ),
            ),
        ),
        Misuse(
            "unknown-model",
            "an update with an unknown model",
            (update(profile, transcription={"model": "no-such-model"}),),
            configured=False,
        ),
    )


@cache
def misuses(profile: Profile) -> tuple[Misuse, ...]:
    """Return the misuses that the suite tries on servers of this profile."""
    return (
        *_JSON,
        _lone_surrogates(profile),
        *_EVENTS,
        *_updates(profile),
        _EMPTY_COMMIT,
        *shared.misuses("binary"),
    )
