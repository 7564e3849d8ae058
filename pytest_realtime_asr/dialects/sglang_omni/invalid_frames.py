"""The invalid frames that a server of SGLang-Omni's protocol should refuse.

If a misuse has several frames, each frame is one example of this misuse.
"""

from __future__ import annotations

import msgspec

from pytest_realtime_asr.dialects.sglang_omni.events import APPEND, UPDATE
from pytest_realtime_asr.requirements import shared
from pytest_realtime_asr.requirements.scenario_steps import Misuse

_NO_STRINGS: tuple[object, ...] = (5, None, [], {})
_NO_OBJECTS: tuple[object, ...] = (5, None, [])


def event(kind: str, **content: object) -> str:
    """Return an event of the type ``kind`` as a JSON frame."""
    return msgspec.json.encode({"type": kind, **content}).decode()


def update(**settings: object) -> str:
    """Return an update of these settings as a JSON frame."""
    return event(UPDATE, session=settings)


def _append(audio: object) -> str:
    return event(APPEND, audio=audio)


MISUSES: tuple[Misuse, ...] = (
    *shared.misuses(
        *("bad-json", "empty-text", "no-object", "deep-json", "duplicate-keys"),
        *("not-a-number", "huge-number", "lone-surrogates"),
        *("no-type", "composite-type", "unknown-event"),
        *("unknown-event-amid-speech", "binary"),
    ),
    Misuse("append-without-audio", "an append without audio", (event(APPEND),)),
    Misuse(
        "append-wrong-type",
        "audio that is not a string",
        tuple(map(_append, _NO_STRINGS)),
    ),
    Misuse(
        "bad-base64",
        "audio with a length that base64 cannot have",
        (_append("AAAAA"), _append("A")),
    ),
    Misuse(
        "foreign-characters",
        "audio with characters outside base64",
        (_append("!!!!"), _append("AA*A-_ =")),
    ),
    Misuse("odd-bytes", "audio that ends in half a sample", (_append("AAAA"),)),
    Misuse(
        "odd-bytes-amid-speech",
        "audio that ends in half a sample, in the middle of an utterance",
        (_append("AAAA"),),
        speaking=True,
    ),
    Misuse(
        "update-without-session",
        "an update without a session, or with a session that is not an object",
        (event(UPDATE), *(event(UPDATE, session=each) for each in _NO_OBJECTS)),
    ),
    Misuse(
        "unknown-setting",
        "an update of a setting that does not exist",
        (update(no_such_setting=1), update(model="any")),
    ),
    Misuse(
        "unknown-format",
        "an update with an audio format other than pcm16",
        (update(input_audio_format="g711_ulaw"),),
    ),
    Misuse(
        "semantic-detection",
        "an update that asks for semantic turn detection",
        (update(turn_detection={"type": "semantic_vad"}),),
    ),
    Misuse(
        "update-amid-speech",
        "an update of the language, in the middle of an utterance",
        (update(language="en"),),
        speaking=True,
    ),
)
