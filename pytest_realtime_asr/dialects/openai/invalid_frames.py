"""What the conformance suite says to a server of this protocol that it should refuse.

Where a row holds several frames, each of them is one case of the same misuse. Those
that can be told apart have an id of ours, which the error is to name.
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
_NO_RATE = 12_345  # Hz


def said(kind: str, **content: object) -> str:
    """The frame of an event."""
    return msgspec.json.encode({"type": kind, **content}).decode()


def update(profile: Profile, **changes: object) -> str:
    """An update of what is named as in the general shape, and of nothing else."""
    if profile.beta:
        names = {"transcription": "input_audio_transcription"}
        flat = {names.get(name, name): value for name, value in changes.items()}
        audio = flat.pop("format", None)
        if isinstance(audio, dict):
            flat["input_audio_format"] = audio["type"]
        return said(profile.update, event_id="by_hand", session=flat)
    include = {"include": changes.pop("include")} if "include" in changes else {}
    extra = {NO_FIELD: changes.pop(NO_FIELD)} if NO_FIELD in changes else {}
    audio = {"audio": {"input": changes}} if changes else {}
    session = {"type": "transcription", **audio, **include, **extra}
    return said(profile.update, event_id="by_hand", session=session)


def _append(audio: object) -> str:
    return said(APPEND, audio=audio)


_NO_TEXT: tuple[object, ...] = (5, None, [], {})
_NO_OBJECT: tuple[object, ...] = (5, None, [])


@cache
def misuses(profile: Profile) -> tuple[Misuse, ...]:
    """Those of the servers of this profile."""
    sets_up = profile.update
    surrogate = f'{{"type":"{sets_up}","session":{{"x":"\\udfff"}}}}'
    return (
        *shared.misuses(
            "bad-json", "no-object", "deep-json", "duplicate-keys", "not-a-number"
        ),
        Misuse(
            "lone-surrogates",
            "half a character, escaped, in the type of an event and in a set-up",
            ('{"type":"no.\\ud800.event"}', surrogate),
        ),
        *shared.misuses("no-type", "unknown-event", "unknown-event-amid-speech"),
        Misuse(
            "named-event",
            "an event that no protocol has, with an id of ours",
            (said("no.such", event_id="by_hand"),),
        ),
        Misuse("append-without-audio", "an append without audio", (said(APPEND),)),
        Misuse(
            "append-wrong-type",
            "audio that is not a text",
            tuple(map(_append, _NO_TEXT)),
        ),
        Misuse(
            "bad-base64",
            "audio that is not base64: the wrong length",
            (_append("AAAAA"), _append("A")),
        ),
        Misuse(
            "foreign-characters",
            "audio with characters outside base64",
            (_append("!!!!"), _append("AA*A-_ =")),
        ),
        Misuse(
            "update-without-session",
            "a set-up without a session, and with one that is none",
            (said(sets_up), *(said(sets_up, session=it) for it in _NO_OBJECT)),
        ),
        Misuse(
            "unknown-parameter",
            "a set-up with a field that no server knows",
            (update(profile, **{NO_FIELD: {"a": 1}}),),
        ),
        Misuse(
            "unknown-format",
            "a set-up with a format of audio that there is not",
            (update(profile, format={"type": NO_FORMAT}),),
        ),
        Misuse(
            "unknown-rate",
            f"a set-up with a rate of {_NO_RATE} Hz",
            (update(profile, format={"type": "audio/pcm", "rate": _NO_RATE}),),
        ),
        Misuse(
            "unknown-model",
            "a set-up with an unknown model",
            (update(profile, transcription={"model": "no-such-model"}),),
            configured=False,
        ),
        Misuse(
            "empty-commit",
            "a commit without audio",
            (said(COMMIT, event_id="by_hand"),),
        ),
        *shared.misuses("binary"),
    )
