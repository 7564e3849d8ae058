"""Shared requirements on what a server survives: odd JSON, and big or binary frames."""

from __future__ import annotations

from pytest_realtime_asr.requirements import checks
from pytest_realtime_asr.requirements.requirement import (
    Level,
    Proof,
    Requirement,
)
from pytest_realtime_asr.requirements.shared.clauses import HARM, bug

MUST, SHOULD = Level.MUST, Level.SHOULD

JSON: tuple[Requirement, ...] = (
    Requirement(
        "deep-json-outlived",
        "the server refuses JSON nested 100,000 levels deep, and survives it",
        SHOULD,
        HARM,
        checks.refused("deep-json", "deep JSON"),
        scenarios=("deep-json",),
        proof=Proof(("deep-dies",)),
    ),
    Requirement(
        "huge-json-outlived",
        "a 4 MiB event harms neither the server nor other sessions",
        MUST,
        HARM + "; " + bug("FunASR#1756", "elevenlabs-python#482"),
        checks.survives("huge-json"),
        scenarios=("huge-json",),
        proof=Proof(("big-frame-dies",), own_process=True),
    ),
    Requirement(
        "duplicate-keys-refused",
        "an event of an unknown type is refused if it states the type twice",
        SHOULD,
        "RFC 8259, section 4: names within an object SHOULD be unique",
        checks.refused("duplicate-keys", "JSON with duplicate keys"),
        scenarios=("duplicate-keys",),
        proof=Proof(("tolerant",)),
    ),
    Requirement(
        "not-a-number-outlived",
        "the server refuses NaN and Infinity, and survives them",
        SHOULD,
        "RFC 8259, section 6: Infinity and NaN are not permitted",
        checks.refused("not-a-number", "the value NaN or Infinity"),
        scenarios=("not-a-number",),
        proof=Proof(("tolerant",)),
    ),
    Requirement(
        "lone-surrogates-outlived",
        "the server refuses an unpaired surrogate in an event type, and survives it",
        SHOULD,
        "RFC 8259, section 8.2: unpaired surrogates lead to unpredictable behaviour",
        checks.refused("lone-surrogates", "an unpaired surrogate"),
        scenarios=("lone-surrogates",),
        proof=Proof(("surrogate-dies",)),
    ),
    Requirement(
        "composite-type-outlived",
        "the server refuses a type that is a list or an object, and survives it",
        SHOULD,
        "SGLang 0.5.23 ends the session, so the utterances of the session are lost",
        checks.refused("composite-type", "a type that is a list or an object"),
        scenarios=("composite-type",),
        proof=Proof(("composite-type-dies",)),
    ),
    Requirement(
        "huge-number-outlived",
        "the server refuses a number of 5,000 digits, and survives it",
        SHOULD,
        "RFC 8259, section 6: an implementation may limit the range of numbers; "
        "SGLang 0.5.23 and SGLang-Omni 0.1.9 end the session",
        checks.refused("huge-number", "a number of 5,000 digits"),
        scenarios=("huge-number",),
        proof=Proof(("huge-number-dies",)),
    ),
    Requirement(
        "empty-text-refused",
        "an empty text frame is refused",
        SHOULD,
        "RFC 8259, section 2: JSON text is a value, so an empty frame is not JSON; "
        "SGLang 0.5.23 sends no answer",
        checks.refused("empty-text", "an empty text frame"),
        scenarios=("empty-text",),
        proof=Proof(("tolerant",)),
    ),
)

AMID_SPEECH: tuple[Requirement, ...] = (
    Requirement(
        "unknown-event-amid-speech",
        "an unknown event in mid-utterance does not affect the utterance",
        SHOULD,
        HARM + ": one invalid frame loses the speech of an utterance",
        checks.refused("unknown-event-amid-speech", "an unknown event"),
        scenarios=("unknown-event-amid-speech",),
        proof=Proof(("closes-on-error",)),
    ),
    Requirement(
        "binary-answered",
        "a binary frame is answered by an error or a proper close",
        SHOULD,
        "RFC 6455, section 7.4.1: close code 1003 for data that cannot be accepted",
        checks.refused_or_closed("binary", (1003, 1007, 1008)),
        scenarios=("binary",),
        proof=Proof(("silent-close",)),
    ),
)

SIZES: tuple[Requirement, ...] = (
    Requirement(
        "big-audio-outlived",
        "15 MiB of audio in one frame harm neither the server nor other sessions",
        MUST,
        HARM,
        checks.survives("big-audio"),
        scenarios=("big-audio",),
        proof=Proof(("big-frame-dies",), own_process=True),
    ),
    Requirement(
        "oversized-frame-closed",
        "a frame of over 16 MiB is refused, or answered by close code 1008 or 1009",
        SHOULD,
        "RFC 6455, section 7.4.1: close code 1009 for a message that is too big",
        checks.refused_or_closed("oversized", (1008, 1009)),
        scenarios=("oversized",),
        proof=Proof(("any-size",)),
    ),
    Requirement(
        "oversized-frame-outlived",
        "a frame of over 16 MiB does not harm other sessions",
        MUST,
        HARM + "; " + bug("FunASR#1756"),
        checks.survives("oversized"),
        scenarios=("oversized",),
        proof=Proof(("any-size", "big-frame-dies"), own_process=True),
    ),
    Requirement(
        "flood-outlived",
        "16 MiB of audio without a commit do not harm other sessions",
        MUST,
        HARM + "; " + bug("vllm#48130"),
        checks.survives("flood"),
        scenarios=("flood",),
        proof=Proof(("flood-dies",), own_process=True),
    ),
)
