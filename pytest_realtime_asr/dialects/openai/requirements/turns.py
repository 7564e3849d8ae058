"""Requirements on turns that the server detects."""

from __future__ import annotations

from pytest_realtime_asr.dialects.openai.checks import turns
from pytest_realtime_asr.dialects.openai.requirements.declared import (
    Declared,
    bug,
    clause,
)
from pytest_realtime_asr.requirements import checks
from pytest_realtime_asr.requirements.requirement import Level, Proof, Requirement
from pytest_realtime_asr.requirements.shared import HARM

MUST, SHOULD, INFO = Level.MUST, Level.SHOULD, Level.INFO


TURNS: tuple[Declared, ...] = (
    Requirement(
        "turns-finish",
        "an utterance gets its final after the server has detected its end",
        MUST,
        clause(
            "input_audio_buffer_commit_event",
            "in server VAD mode the server commits the audio buffer automatically",
        ),
        checks.finishes("turns"),
        scenarios=("turns",),
        proof=Proof(("no-final",)),
    ),
    Requirement(
        "turn-order",
        "the start, the stop and the commit of a turn name the same item",
        MUST,
        clause(
            "input_audio_buffer_speech_started_event",
            "item_id is the id of the item that is created when speech stops; "
            "speech_stopped has the same item_id",
        ),
        turns.in_role("turns", turns.turns_in_order),
        scenarios=("turns",),
        proof=Proof(("other-turns",)),
    ),
    Requirement(
        "turn-times",
        "the start and end times of a turn match the position of its audio",
        MUST,
        clause(
            "input_audio_buffer_speech_started_event",
            "milliseconds from the start of all audio that was written to the buffer",
        ),
        turns.in_role("turns", turns.turns_match_audio),
        scenarios=("turns",),
        proof=Proof(("restarts-times",)),
    ),
    Requirement(
        "same-text-turns",
        "a clip has the same text whether the server or the client commits it",
        SHOULD,
        bug("FunASR#556", "FunASR#630"),
        checks.both(checks.finishes("turns"), checks.same_text("turns")),
        scenarios=("alone", "turns"),
        proof=Proof(("turn-loses",)),
    ),
    Requirement(
        "no-turn-in-silence",
        "no turn is detected in silence",
        SHOULD,
        bug("WhisperLiveKit#150", "WhisperLive#196"),
        turns.in_role("hush", turns.no_turn_in_silence),
        scenarios=("hush",),
        proof=Proof(("hears-things",)),
    ),
    Requirement(
        "turn-after-silence-finishes",
        "with turn detection, an utterance after silence gets its final",
        MUST,
        HARM + "; " + bug("WhisperLiveKit#129", "pipecat#4124"),
        checks.finishes("hush"),
        scenarios=("hush",),
        proof=Proof(("no-final",)),
    ),
    Requirement(
        "commit-after-turn-is-wordless",
        "a commit of the silence after a turn yields no words",
        SHOULD,
        bug("lemonade-sdk/lemonade#1739", "betalgo/openai#674"),
        turns.in_role("turn-commit", turns.silent_commit_has_no_text),
        scenarios=("turn-commit",),
        proof=Proof(("babbles-of-empty",)),
    ),
    Requirement(
        "commit-after-turn-spoils-nothing",
        "a commit of the silence after a turn does not affect later turns",
        MUST,
        HARM + ": the start of the next utterance, or all of it, is lost",
        checks.both(
            checks.finishes("turn-commit"), checks.has_first_word("turn-commit")
        ),
        scenarios=("alone", "turn-commit"),
        proof=Proof(("closes-on-error",)),
    ),
)
