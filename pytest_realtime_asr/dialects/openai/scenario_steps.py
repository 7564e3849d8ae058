"""What the conformance suite does in sessions of this protocol alone."""

from __future__ import annotations

import base64
from functools import cache

from pytest_realtime_asr.dialects.openai.events import APPEND, CLEAR, COMMIT
from pytest_realtime_asr.dialects.openai.invalid_frames import NO_FORMAT, said, update
from pytest_realtime_asr.dialects.openai.profile import Profile
from pytest_realtime_asr.dialects.openai.session_setup import LOGPROBS
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
_LITTLE = 0.05  # s of audio, which no commit may have
_FIRST, _SECOND = Speak(Clip.FIRST), Speak(Clip.SECOND)
_HANDED = Speak(Clip.SECOND, Until.AUDIO)
_CLEAR = Send((said(CLEAR),), CLEARED)
_COMMIT = said(COMMIT, event_id="by_hand")


def _append(pcm: bytes) -> str:
    return said(APPEND, audio=base64.b64encode(pcm).decode())


def _detecting(name: str, about: str, *steps: Speak | Send | Wait) -> Exercise:
    return Exercise(name, about, steps, {"turn_detection": {"type": "server_vad"}})


@cache
def exercises(profile: Profile) -> tuple[Exercise, ...]:
    """Those for the servers of this profile."""
    updated = profile.update.replace("update", "updated")
    little = _append(bytes(2 * round(_LITTLE * profile.rates[0])))
    found = [
        Exercise(
            "refused-update",
            "an update that is refused, and one of nothing, which shows what holds",
            (
                _FIRST,
                Send((update(profile, format={"type": NO_FORMAT}),), _ERROR),
                Send((update(profile),), updated),
                _FIRST,
            ),
        ),
        Exercise(
            "partial-update",
            "an update of one field, after which the others are as they were",
            (_FIRST, Send((update(profile, include=[LOGPROBS]),), updated), _FIRST),
        ),
        Exercise(
            "logprobs",
            "utterances in a session that includes log probabilities",
            (_FIRST, _SECOND),
            {"include": [LOGPROBS]},
        ),
        Exercise(
            "odd-audio",
            "audio of no samples, and a sample that is cut in two",
            (
                Send((_append(b""), _append(b"\0\0\0"), _append(b"\0"))),
                _FIRST,
                _FIRST,
            ),
        ),
        Exercise(
            "clear",
            "an utterance that is cleared before its commit, and two after it",
            (_HANDED, _CLEAR, _FIRST, _FIRST),
        ),
        Exercise(
            "clear-commit",
            "an utterance that is cleared, and then committed",
            (_HANDED, _CLEAR, Send((_COMMIT,), _ERROR), _FIRST),
        ),
        Exercise("clear-nothing", "a clear without audio", (_CLEAR, _FIRST)),
        Exercise(
            "in-flight",
            "three utterances whose finals are not waited for",
            (
                *(
                    Speak(clip, Until.FINISH)
                    for clip in (Clip.FIRST, Clip.SECOND, Clip.FIRST)
                ),
                Wait.FINALS,
            ),
            brisk=True,
        ),
    ]
    if profile.least > _LITTLE:
        found.append(
            Exercise(
                "short-commit",
                f"a commit of {_LITTLE * 1000:g} ms of audio",
                (Send((little,)), Send((_COMMIT,), _ERROR), _FIRST),
            )
        )
    if profile.vad:
        found += [
            _detecting(
                "turns",
                "three utterances that the server ends by itself",
                _FIRST,
                _SECOND,
                _FIRST,
            ),
            _detecting(
                "hush",
                "silence, and then an utterance that the server ends by itself",
                Speak(Clip.SILENCE, Until.AUDIO),
                Wait.SETTLED,
                _FIRST,
            ),
            _detecting(
                "turn-commit",
                "a commit of the silence after an utterance that the server has ended",
                _FIRST,
                Send((_COMMIT,)),
                Wait.SETTLED,
                _SECOND,
            ),
        ]
    if profile.companded:
        found += [
            Exercise(
                name, f"a clip in {name.upper()}", (_FIRST, _FIRST), {"format": name}
            )
            for name in ("pcmu", "pcma")
        ]
    found += [
        Exercise(
            f"{rate}hz",
            f"a clip at {rate} Hz",
            (_FIRST, _FIRST),
            {"format": {"type": "audio/pcm", "rate": rate}},
        )
        for rate in profile.rates[1:]
    ]
    return tuple(found)
