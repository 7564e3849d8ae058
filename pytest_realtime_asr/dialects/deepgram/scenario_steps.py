"""The scenarios of the suite that only this protocol has, as lists of steps."""

from __future__ import annotations

from functools import cache

from pytest_realtime_asr.dialects.deepgram.client import ALIVE
from pytest_realtime_asr.dialects.deepgram.events import (
    ERROR,
    FINALIZED,
    METADATA,
    CloseStream,
    Finalize,
)
from pytest_realtime_asr.dialects.deepgram.options import LAWS
from pytest_realtime_asr.dialects.deepgram.profile import Profile
from pytest_realtime_asr.requirements.scenario_steps import (
    Clip,
    Exercise,
    Send,
    Speak,
    Until,
    Wait,
)
from pytest_realtime_asr.trace.json_events import encode

_FIRST, _SECOND = Speak(Clip.FIRST), Speak(Clip.SECOND)
NO_JSON = '{"type":"KeepAlive"'
_UNASKED = {"interim_results": False, "vad_events": False, "utterance_end_ms": None}

_ANY_PROFILE: tuple[Exercise, ...] = (
    Exercise(
        "keepalive",
        "a KeepAlive and an invalid frame in an idle session, then an utterance",
        # The answer to the second frame shows that the first one has been read.
        (Send((ALIVE.frame,)), Send((NO_JSON,), ERROR), _FIRST),
    ),
    Exercise(
        "nothing-asked",
        "an utterance in a session that asks for neither interim results nor events",
        (_FIRST,),
        _UNASKED,
    ),
    Exercise(
        "bad-option",
        "a session with an invalid option",
        (),
        {"interim_results": "neither"},
    ),
    Exercise(
        "empty-frame",
        "an utterance, then a binary frame without data, then an invalid frame",
        (Speak(Clip.FIRST, Until.AUDIO), Send((b"",)), Send((NO_JSON,), ERROR)),
    ),
    Exercise(
        "no-keepalive",
        "a session in which the client sends nothing",
        (Wait.END,),
        keepalive=False,
    ),
)
_FINALIZING: tuple[Exercise, ...] = (
    Exercise(
        "close-stream",
        "two utterances; the second is ended by CloseStream",
        (
            _FIRST,
            Speak(Clip.SECOND, Until.AUDIO),
            Send((encode(CloseStream()),), METADATA),
            Wait.END,
        ),
    ),
    Exercise(
        "speech-events",
        "speech, silence, Finalize, in a session with SpeechStarted and UtteranceEnd",
        (
            # Finalize may end the utterance, so the silence comes before it.
            Speak(Clip.FIRST, Until.AUDIO),
            Speak(Clip.SILENCE, Until.AUDIO),
            Speak(Clip.SILENCE, Until.AUDIO),
            Wait.SETTLED,
            Send((encode(Finalize()),), FINALIZED),
            Wait.SETTLED,
        ),
        {"interim_results": True, "vad_events": True, "utterance_end_ms": 1000},
    ),
    Exercise(
        "in-flight",
        "three utterances, all finalized before the first answer comes",
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


def _formats(profile: Profile) -> tuple[Exercise, ...]:
    utterances = (_FIRST, _FIRST) if profile.finalizes else (_FIRST,)
    companded = tuple(
        Exercise(
            name,
            f"a clip in {name}",
            utterances,
            {"encoding": name, "sample_rate": 8_000},
        )
        for name in (LAWS if profile.companded else ())
    )
    rates = tuple(
        Exercise(f"{rate}hz", f"a clip at {rate} Hz", utterances, {"sample_rate": rate})
        for rate in profile.rates[1:]
    )
    return companded + rates


@cache
def exercises(profile: Profile) -> tuple[Exercise, ...]:
    """Return the exercises that the suite runs on servers of this profile."""
    finalizing = _FINALIZING if profile.finalizes else ()
    return (*_ANY_PROFILE, *finalizing, *_formats(profile))
