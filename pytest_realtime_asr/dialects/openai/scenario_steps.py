"""The scenarios that only OpenAI's protocol has, as lists of steps."""

from __future__ import annotations

import base64
from functools import cache

from pytest_realtime_asr.dialects.openai.events import APPEND, CLEAR, COMMIT
from pytest_realtime_asr.dialects.openai.invalid_frames import (
    NO_FORMAT,
    NO_INCLUDE,
    event,
    update,
)
from pytest_realtime_asr.dialects.openai.profile import Profile
from pytest_realtime_asr.dialects.openai.session_setup import LOGPROBS
from pytest_realtime_asr.requirements import shared
from pytest_realtime_asr.requirements.scenario_steps import (
    Clip,
    Exercise,
    Send,
    Speak,
    Until,
    Wait,
)

CLEARED = "input_audio_buffer.cleared"
_ERROR = "error"
_TOO_SHORT = 0.05  # s of audio that is too short to be committed
_FIRST, _SECOND = Speak(Clip.FIRST), Speak(Clip.SECOND)
_ONLY_AUDIO = Speak(Clip.SECOND, Until.AUDIO)
_CLEAR = Send((event(CLEAR),), CLEARED)
_COMMIT = event(COMMIT, event_id="by_hand")
_DETECTING = {"turn_detection": {"type": "server_vad"}}


def _append(pcm: bytes) -> str:
    return event(APPEND, audio=base64.b64encode(pcm).decode())


def _updates(profile: Profile) -> tuple[Exercise, ...]:
    updated = profile.update.replace("update", "updated")
    return (
        Exercise(
            "refused-update",
            "a refused update, then an empty update, whose answer states the session's "
            "settings",
            (
                _FIRST,
                Send((update(profile, format={"type": NO_FORMAT}),), _ERROR),
                Send((update(profile),), updated),
                _FIRST,
            ),
        ),
        Exercise(
            "refused-include",
            "an update with an unknown value of `include`, then an empty update, whose "
            "answer states the session's settings",
            (
                _FIRST,
                Send((update(profile, include=[NO_INCLUDE]),), _ERROR),
                Send((update(profile),), updated),
                _FIRST,
            ),
        ),
        Exercise(
            "partial-update",
            "an update of one field; the other fields must keep their values",
            (_FIRST, Send((update(profile, include=[LOGPROBS]),), updated), _FIRST),
        ),
    )


_UTTERANCES: tuple[Exercise, ...] = (
    Exercise(
        "logprobs",
        "utterances in a session that includes log probabilities",
        (_FIRST, _SECOND),
        {"include": [LOGPROBS]},
    ),
    Exercise(
        "odd-audio",
        "audio without samples, and a sample that is split over two frames",
        (Send((_append(b""), _append(b"\0\0\0"), _append(b"\0"))), _FIRST, _FIRST),
    ),
    Exercise(
        "clear",
        "an utterance that is cleared before its commit, then two more utterances",
        (_ONLY_AUDIO, _CLEAR, _FIRST, _FIRST),
    ),
    Exercise(
        "clear-commit",
        "an utterance that is cleared, then a commit without audio",
        (_ONLY_AUDIO, _CLEAR, Send((_COMMIT,), _ERROR), _FIRST),
    ),
    Exercise("clear-nothing", "a clear that precedes all audio", (_CLEAR, _FIRST)),
    Exercise(
        "in-flight",
        "three utterances that are committed before the first final",
        (
            *(
                Speak(clip, Until.FINISH)
                for clip in (Clip.FIRST, Clip.SECOND, Clip.FIRST)
            ),
            Wait.FINALS,
        ),
        brisk=True,
    ),
)


def _short_commit(profile: Profile) -> Exercise:
    audio = _append(bytes(2 * round(_TOO_SHORT * profile.rates[0])))
    return Exercise(
        "short-commit",
        f"a commit of {_TOO_SHORT * 1000:g} ms of audio",
        (Send((audio,)), Send((_COMMIT,), _ERROR), _FIRST),
    )


_TURNS: tuple[Exercise, ...] = (
    Exercise(
        "turns",
        "three utterances whose end the server detects",
        (_FIRST, _SECOND, _FIRST),
        _DETECTING,
    ),
    Exercise(
        "hush",
        "silence, then an utterance whose end the server detects",
        (Speak(Clip.SILENCE, Until.AUDIO), Wait.SETTLED, _FIRST),
        _DETECTING,
    ),
    Exercise(
        "turn-commit",
        "an utterance whose end the server detects, then a commit of the silence after "
        "it",
        (_FIRST, Send((_COMMIT,)), Wait.SETTLED, _SECOND),
        _DETECTING,
    ),
)
_COMPANDED: tuple[Exercise, ...] = tuple(
    Exercise(name, f"a clip in {name.upper()}", (_FIRST, _FIRST), {"format": name})
    for name in ("pcmu", "pcma")
)


def _at_rate(rate: int) -> Exercise:
    return Exercise(
        f"{rate}hz",
        f"a clip at {rate} Hz",
        (_FIRST, _FIRST),
        {"format": {"type": "audio/pcm", "rate": rate}},
    )


def _two_set_ups(profile: Profile) -> Exercise:
    """Return the exercise in which a second session has settings of its own."""
    updated = profile.update.replace("update", "updated")
    other: dict[str, object] = {"language": "de"}
    if profile.companded:
        other["format"] = "pcmu"
    elif profile.rates[1:] and not profile.beta:
        other["format"] = {"type": "audio/pcm", "rate": profile.rates[1]}
    return Exercise(
        shared.TWO_SET_UPS,
        "two utterances while a second session has other settings",
        (Send((update(profile),), updated), _FIRST, _FIRST),
        beside=other,
    )


@cache
def exercises(profile: Profile) -> tuple[Exercise, ...]:
    """Return the exercises that the suite runs on servers of this profile."""
    return (
        *_updates(profile),
        _two_set_ups(profile),
        *_UTTERANCES,
        *((_short_commit(profile),) if profile.least > _TOO_SHORT else ()),
        *(_TURNS if profile.vad else ()),
        *(_COMPANDED if profile.companded else ()),
        *map(_at_rate, profile.rates[1:]),
    )
