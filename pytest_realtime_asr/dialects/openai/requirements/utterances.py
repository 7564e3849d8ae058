"""Requirements on cleared audio, and on the texts and finals of utterances."""

from __future__ import annotations

from pytest_realtime_asr.dialects.openai.checks import answers, refusals
from pytest_realtime_asr.dialects.openai.requirements.declared import (
    GUIDE,
    READ,
    Declared,
    bug,
    clause,
    where,
)
from pytest_realtime_asr.dialects.openai.scenario_steps import CLEARED
from pytest_realtime_asr.requirements import checks, shared
from pytest_realtime_asr.requirements.requirement import Level, Proof, Requirement, each
from pytest_realtime_asr.requirements.shared import HARM

MUST, SHOULD, INFO = Level.MUST, Level.SHOULD, Level.INFO


BUFFER: tuple[Declared, ...] = (
    Requirement(
        "clear-answered",
        "a clear is answered by input_audio_buffer.cleared",
        MUST,
        clause(
            "input_audio_buffer_clear_event", f"the server will respond with {CLEARED}"
        ),
        each(answers.clears_answered),
        scenarios=("clear",),
        passive=True,
        proof=Proof(("silent-clear",)),
    ),
    Requirement(
        "clear-forgets",
        "no text contains words of cleared audio",
        MUST,
        clause(
            "input_audio_buffer_clear_event", "clears the audio bytes in the buffer"
        ),
        checks.both(checks.finishes("clear"), checks.kept_apart("clear")),
        scenarios=("alone", "clear"),
        proof=Proof(("keeps-cleared",)),
    ),
    Requirement(
        "clear-empties",
        "a commit that follows a clear is refused, since there is no audio",
        MUST,
        clause(
            "input_audio_buffer_clear_event", "clears the audio bytes in the buffer"
        ),
        refusals.commit_refused("clear-commit", "a commit after a clear"),
        scenarios=("clear-commit",),
        proof=Proof(("keeps-cleared",)),
    ),
    Requirement(
        "clear-of-nothing",
        "a clear that precedes all audio is answered like any other clear",
        SHOULD,
        clause(
            "input_audio_buffer_clear_event", f"the server will respond with {CLEARED}"
        ),
        checks.both(
            refusals.no_error("clear-nothing", "a clear without audio"),
            checks.finishes("clear-nothing"),
        ),
        scenarios=("clear-nothing",),
        proof=Proof(("strict-clear",)),
    ),
)

UTTERANCES: tuple[Declared, ...] = (
    shared.stated("text-of-speech"),
    where(
        lambda profile: profile.early,
        shared.stated(
            "text-while-speaking",
            f"{GUIDE}: some models send text before the commit ({READ})",
            level=INFO,
        ),
    ),
    shared.stated("no-repetition"),
    *shared.LENGTHS,
    shared.NO_LOSS,
    shared.stated("empty-utterance-finishes", proof=Proof(("acknowledges-empty",))),
    *shared.PAUSES,
    *shared.QUIET_NOISE,
    *(where(lambda profile: profile.early, it) for it in shared.KEEPING_UP),
    *shared.restated(
        shared.NEIGHBOURS,
        shared.stated(
            "utterances-finish",
            clause(
                "input_audio_buffer_append_event",
                "a commit creates an item from the buffer, and clears the buffer",
            ),
            proof=Proof(("one-final-only",)),
        ),
    ),
    Requirement(
        "in-flight-finish",
        "utterances that are transcribed in parallel each get a final",
        MUST,
        HARM + "; " + bug("sgl-project/sglang-omni#385"),
        checks.finishes("in-flight"),
        scenarios=("in-flight",),
        proof=Proof(("one-final-only",)),
    ),
    Requirement(
        "in-flight-kept-apart",
        "utterances that are transcribed in parallel each get their own text",
        MUST,
        f"{GUIDE}: item_id identifies items, which complete in any order ({READ}); "
        "openclaw#113723",
        checks.both(checks.finishes("in-flight"), checks.kept_apart("in-flight")),
        scenarios=("alone", "in-flight"),
        proof=Proof(("mixes-items",), final=1.0),
    ),
)
