"""Invalid frames of several protocols, and the requirements to refuse them."""

from __future__ import annotations

from collections.abc import Mapping

from pytest_realtime_asr.requirements import checks
from pytest_realtime_asr.requirements.requirement import Level, Proof, Requirement
from pytest_realtime_asr.requirements.scenario_steps import Misuse

IGNORED = Proof(("tolerant",))
"""What proves most of these checks: a fake server that ignores invalid frames."""


def refused(
    name: str,
    clause: str,
    *codes: str,
    level: Level = Level.MUST,
    proof: Proof = IGNORED,
) -> Requirement:
    """Return the requirement that a misuse is refused by an error.

    If ``codes`` are given, the error must have one of these codes. Otherwise the error
    may have any code or none.
    """
    title, what = _REFUSED[name]
    return Requirement(
        f"{name}-refused",
        title,
        level,
        clause,
        checks.refused(name, what, *codes),
        scenarios=(name,),
        proof=proof,
    )


def misuses(*names: str) -> tuple[Misuse, ...]:
    """Return the misuses with these names; each misuse fits any protocol."""
    return tuple(_MISUSES[name] for name in names)


_REFUSED: Mapping[str, tuple[str, str]] = {
    "bad-json": ("text that is not JSON is refused", "text that is not JSON"),
    "no-object": (
        "JSON that is not an object is refused",
        "JSON that is not an object",
    ),
    "no-type": ("an event without a type is refused", "an event without a type"),
    "unknown-event": ("an unknown event is refused", "an unknown event"),
    "append-without-audio": (
        "an append without audio is refused",
        "an append without audio",
    ),
    "append-wrong-type": (
        "audio that is not a string is refused",
        "audio that is not a string",
    ),
    "bad-base64": ("audio that is not base64 is refused", "audio that is not base64"),
    "foreign-characters": (
        "audio with characters outside base64 is refused",
        "audio with characters outside base64",
    ),
    "unknown-model": ("an unknown model is refused", "an unknown model"),
}
"""Maps each misuse's name to its requirement's title and to its text in messages."""

_DEEP = 100_000  # levels; a recursive parser can read a thousand or so
_DIGITS = 5_000  # Python reads integers of up to 4,300 digits

_FRAMES: tuple[Misuse, ...] = (
    Misuse(
        "bad-json",
        "text that is not JSON",
        ('{"type": "session.update", ', "hello"),
    ),
    Misuse("empty-text", "an empty text frame", ("",)),
    Misuse(
        "no-object",
        "JSON that is not an object",
        ("[]", '"session.update"', "5", "null"),
    ),
    Misuse(
        "deep-json",
        "JSON nested 100,000 levels deep",
        (f'{{"type":"no.such.event","a":{"[" * _DEEP}{"]" * _DEEP}}}',),
    ),
    Misuse(
        "duplicate-keys",
        "JSON in which the key of the type comes twice",
        ('{"type":"no.such.event","type":"no.such.event"}',),
    ),
    Misuse(
        "not-a-number",
        "NaN and Infinity, which JSON does not have",
        (
            '{"type":"no.such.event","a":NaN}',
            '{"type":"no.such.event","a":-Infinity}',
        ),
    ),
    Misuse(
        "lone-surrogates",
        "an escaped unpaired surrogate in the type of an event",
        ('{"type":"no.\\ud800.event"}',),
    ),
    Misuse(
        "no-type",
        "events whose type is missing or is not a string",
        ("{}", '{"audio":"AAA="}', '{"type":5}', '{"type":null}'),
    ),
    Misuse(
        "composite-type",
        "events whose type is a list or an object",
        ('{"type":[]}', '{"type":{}}'),
    ),
    Misuse(
        "huge-number",
        f"a number of {_DIGITS:,} digits in an event of an unknown type",
        (f'{{"type":"no.such.event","a":{"9" * _DIGITS}}}',),
    ),
    Misuse("unknown-event", "an event of an unknown type", ('{"type":"no.such"}',)),
    Misuse(
        "unknown-event-amid-speech",
        "an event of an unknown type, in the middle of an utterance",
        ('{"type":"no.such"}',),
        speaking=True,
    ),
    Misuse("binary", "a binary frame", (b"\0\1" * 800,)),
)
_MISUSES: Mapping[str, Misuse] = {it.name: it for it in _FRAMES}
