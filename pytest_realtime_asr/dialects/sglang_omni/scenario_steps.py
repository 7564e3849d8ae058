"""The scenarios that only SGLang-Omni's protocol has, as lists of steps."""

from __future__ import annotations

from pytest_realtime_asr.dialects.sglang_omni.events import (
    APPEND,
    CLEAR,
    CLEARED,
    COMPLETED,
    DONE,
    ERROR,
    UPDATED,
)
from pytest_realtime_asr.dialects.sglang_omni.invalid_frames import event, update
from pytest_realtime_asr.requirements import shared
from pytest_realtime_asr.requirements.scenario_steps import (
    Clip,
    Exercise,
    Send,
    Speak,
    Until,
    Wait,
)

_FIRST, _SECOND = Speak(Clip.FIRST), Speak(Clip.SECOND)
_DONE = Send((event(DONE),), COMPLETED)
_CLEAR = Send((event(CLEAR),), CLEARED)

EXERCISES: tuple[Exercise, ...] = (
    Exercise(
        shared.TWO_SET_UPS,
        "two utterances while a second session has another language",
        (_FIRST, _FIRST),
        beside={"language": "de"},
    ),
    Exercise(
        "language",
        "an update of the language, then an update without a language",
        (
            Send((update(language="en"), update()), UPDATED),
            _FIRST,
        ),
    ),
    Exercise(
        "done",
        "two utterances, then transcription.done",
        (_FIRST, _SECOND, _DONE),
    ),
    Exercise(
        "done-amid-speech",
        "an utterance that is ended by transcription.done instead of a commit",
        (_FIRST, Speak(Clip.SECOND, Until.AUDIO), _DONE),
    ),
    Exercise(
        "after-done",
        "audio after transcription.done",
        (_FIRST, _DONE, Send((event(APPEND, audio="AAA="),), ERROR)),
    ),
    Exercise(
        "clear",
        "an utterance that is cleared before its commit, then two more utterances",
        (Speak(Clip.SECOND, Until.AUDIO), _CLEAR, _FIRST, _FIRST),
    ),
    Exercise(
        "clear-after-commit",
        "a clear right after the commit of an utterance, then another utterance",
        (Speak(Clip.FIRST, Until.FINISH), _CLEAR, Wait.FINALS, _SECOND),
    ),
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
