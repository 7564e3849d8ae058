"""The invalid messages and the scenarios that only vosk-server's protocol has."""

from __future__ import annotations

from pytest_realtime_asr.dialects.vosk.events import PARTIAL
from pytest_realtime_asr.dialects.vosk.profile import Profile
from pytest_realtime_asr.requirements import shared
from pytest_realtime_asr.requirements.scenario_steps import (
    Clip,
    Exercise,
    Misuse,
    Send,
    Speak,
    Until,
    Wait,
)

AFTER_END = "after-end"
SEGMENTS = "two-segments"
OTHER_RATE = "other-rate"
NO_WORDS = "no-words"
UNKNOWN_TEXT = "unknown-text"
ODD_BYTES = "odd-bytes"


def misuses(profile: Profile) -> tuple[Misuse, ...]:
    """Return the invalid messages, each sent in the middle of an utterance."""
    found = [
        Misuse(UNKNOWN_TEXT, "a text that is not JSON", ("hello",), speaking=True),
        Misuse(
            "unknown-message",
            "a JSON object that is not a message",
            ('{"no":"message"}',),
            speaking=True,
        ),
        Misuse(
            "eof-without-space",
            "an eof message without spaces",
            ('{"eof":1}',),
            speaking=True,
        ),
        Misuse(
            ODD_BYTES,
            "audio without a sample, and audio with half a sample",
            (b"", b"\0"),
            speaking=True,
        ),
    ]
    if profile.config:
        found.append(
            Misuse(
                "bad-config",
                "a configuration that is not JSON",
                ('{"config":',),
                speaking=True,
            )
        )
    return tuple(found)


def exercises(profile: Profile) -> tuple[Exercise, ...]:
    """Return the scenarios that only this protocol has."""
    found = [
        Exercise(
            SEGMENTS,
            "an utterance of two clips with silence between them",
            (
                Speak(Clip.FIRST, Until.AUDIO),
                Speak(Clip.SILENCE, Until.AUDIO),
                Speak(Clip.SECOND, Until.FINISH),
                Wait.FINALS,
            ),
        )
    ]
    if not profile.reset:
        found.append(
            Exercise(
                AFTER_END,
                "an utterance, and audio after its result if the session is still open",
                (Speak(), Wait.SETTLED, Send((b"",), answer=PARTIAL)),
            )
        )
    if profile.config:
        found += [
            Exercise(
                OTHER_RATE,
                "an utterance at half or double the sample rate of the profile",
                (Speak(),),
                options={"sample_rate": other_rate(profile)},
            ),
            Exercise(
                NO_WORDS,
                "an utterance in a session that asks for no word times",
                (Speak(),),
                options={"words": False},
            ),
            Exercise(
                shared.TWO_SET_UPS,
                "two utterances while a second session has another sample rate",
                (Speak(), Speak()),
                beside={"sample_rate": other_rate(profile)},
            ),
        ]
    return tuple(found)


def other_rate(profile: Profile) -> int:
    """Return a sample rate in Hz that differs from the rate of the profile."""
    return 8_000 if profile.rate >= 16_000 else 2 * profile.rate
