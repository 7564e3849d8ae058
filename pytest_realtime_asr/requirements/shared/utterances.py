"""Shared requirements on utterances: texts, finals, and several in one session."""

from __future__ import annotations

from pytest_realtime_asr.requirements import checks
from pytest_realtime_asr.requirements.requirement import (
    REAL_TIME,
    Level,
    Proof,
    Requirement,
)
from pytest_realtime_asr.requirements.shared.clauses import HARM, bug

MUST, SHOULD = Level.MUST, Level.SHOULD

TEXTS: tuple[Requirement, ...] = (
    Requirement(
        "text-of-speech",
        "speech is transcribed",
        MUST,
        bug("vllm#47614", "sherpa-onnx#327"),
        checks.both(checks.finishes("alone"), checks.speech_has_text("alone")),
        scenarios=("alone",),
        proof=Proof(("wordless",)),
    ),
    Requirement(
        "text-while-speaking",
        "text comes while the audio is still being sent",
        SHOULD,
        HARM + ": a user who speaks sees no text before the end of the utterance",
        checks.text_during_audio("10s"),
        scenarios=("10s",),
        proof=Proof(("all-at-end",), pace=REAL_TIME),
    ),
    Requirement(
        "no-stall",
        "text keeps coming while speech is sent",
        SHOULD,
        bug("vllm#47614", "CrispASR#383"),
        checks.no_stall("10s", at_most=7.0),
        scenarios=("10s",),
        proof=Proof(("all-at-end",), pace=REAL_TIME),
    ),
    Requirement(
        "no-repetition",
        "no text repeats the same words three times in a row",
        SHOULD,
        bug("elevenlabs-python#686", "vllm#47264"),
        checks.no_repetition("alone"),
        scenarios=("alone",),
        proof=Proof(("stutters",)),
    ),
)

LENGTHS: tuple[Requirement, ...] = (
    *(
        Requirement(
            f"finishes-{name}",
            f"an utterance of {name} gets its final",
            MUST,
            bug("vllm#33962", "NVIDIA/NeMo-Speech.cpp#49"),
            checks.finishes(name),
            scenarios=(name,),
            proof=Proof((fault,)),
        )
        for name, fault in (
            ("0.1s", "no-final-short"),
            ("0.5s", "no-final"),
            ("1s", "no-final-after-1s"),
            ("2s", "no-final-after-1s"),
            ("10s", "no-final-after-1s"),
            ("35s", "no-final-long"),
        )
    ),
)

NO_LOSS = Requirement(
    "no-loss",
    "the server does not lose plain utterances at random",
    MUST,
    HARM + ": speech is lost without notice",
    checks.no_loss,
    scenarios=("alone", "utterances"),
    whole_run=True,
    proof=Proof(
        ("loses-one-in-ten",),
        beside=("0.5s", "1s", "2s", "again", "fast", "half-gain", "crowd"),
    ),
)
"""The requirement on the rate of lost utterances, over all scenarios of the run."""

EMPTY: tuple[Requirement, ...] = (
    Requirement(
        "empty-utterance-finishes",
        "an utterance without audio is answered, and the next one is transcribed",
        MUST,
        HARM + "; " + bug("vllm#34532"),
        checks.answers("empty"),
        scenarios=("empty",),
        proof=Proof(("no-final-empty",)),
    ),
    Requirement(
        "empty-utterance-is-wordless",
        "an utterance without audio has no text",
        SHOULD,
        bug("lemonade-sdk/lemonade#1739"),
        checks.wordless("empty"),
        scenarios=("empty",),
        proof=Proof(("babbles-in-silence",)),
    ),
)

PAUSES: tuple[Requirement, ...] = (
    Requirement(
        "silence-finishes",
        "an utterance of silence gets its final, and the next one is transcribed",
        MUST,
        HARM + "; " + bug("lemonade-sdk/lemonade#1739", "vllm#36015"),
        checks.finishes("silence"),
        scenarios=("silence",),
        proof=Proof(("no-final-after-silence",)),
    ),
    Requirement(
        "silence-is-wordless",
        "silence has no text",
        SHOULD,
        bug("WhisperLiveKit#150", "WhisperLive#196", "lemonade-sdk/lemonade#1739"),
        checks.wordless("silence"),
        scenarios=("silence",),
        proof=Proof(("babbles-in-silence",)),
    ),
    Requirement(
        "pause-finishes",
        "an utterance with a pause in its audio gets its final",
        MUST,
        HARM + "; " + bug("vllm#36015", "pipecat#4124"),
        checks.finishes("pause"),
        scenarios=("pause",),
        proof=Proof(("no-final-after-pause",), pace=REAL_TIME),
    ),
    Requirement(
        "pause-loses-nothing",
        "the text has the words before and after a pause",
        SHOULD,
        bug("WhisperLiveKit#234", "vllm#35863"),
        checks.has_both_clips("pause"),
        scenarios=("alone", "pause"),
        proof=Proof(("pause-loses",), pace=REAL_TIME),
    ),
    Requirement(
        "long-keeps-its-begin",
        "the start of a long utterance is in its text",
        SHOULD,
        bug("WhisperFusion#26", "WhisperLiveKit#372"),
        checks.keeps_start("35s"),
        scenarios=("alone", "35s"),
        proof=Proof(("forgets-old",)),
    ),
)

NEIGHBOURS: tuple[Requirement, ...] = (
    Requirement(
        "utterances-finish",
        "each of several utterances in a session gets its final",
        MUST,
        HARM + ": speech is lost without notice",
        checks.finishes("utterances"),
        scenarios=("utterances",),
        proof=Proof(("one-final-only",)),
    ),
    Requirement(
        "utterances-kept-apart",
        "no utterance has text of another utterance",
        MUST,
        HARM + "; " + bug("FunASR#630", "vllm#51374"),
        checks.kept_apart("utterances"),
        scenarios=("alone", "utterances"),
        proof=Proof(("echo",)),
    ),
    Requirement(
        "head-present",
        "the first word of an utterance is in its text",
        MUST,
        HARM + "; " + bug("FunASR#556"),
        checks.has_first_word("utterances"),
        scenarios=("alone", "utterances"),
        proof=Proof(("loses-later-heads",)),
    ),
    Requirement(
        "tail-present",
        "the last word of an utterance is in its text",
        MUST,
        HARM + "; " + bug("FunASR#3438", "FunASR#630", "WhisperLiveKit#122"),
        checks.has_last_word("utterances"),
        scenarios=("alone", "utterances"),
        proof=Proof(("loses-later-tails",)),
    ),
)

SAME_TEXT: tuple[Requirement, ...] = (
    *(
        Requirement(
            f"same-text-{role}",
            f"{how}, a clip has the same text as when it is sent alone",
            SHOULD,
            clause,
            checks.both(checks.finishes(role), checks.same_text(role)),
            scenarios=("alone", role),
            proof=proof,
        )
        for role, how, clause, proof in (
            (
                "20ms-chunks",
                "in chunks of 20 ms",
                bug("sgl-project/sglang#26853"),
                Proof(("small-chunks-lose",)),
            ),
            (
                "100ms-chunks",
                "in chunks of 100 ms",
                bug("sgl-project/sglang#26853"),
                Proof(("100ms-loses",), chunk=0.2),
            ),
            (
                "1s-chunks",
                "in chunks of 1 s",
                bug("sgl-project/sglang#26853"),
                Proof(("big-chunks-lose",)),
            ),
            (
                "fast",
                "at four times real time",
                "a transcript does not depend on when the audio arrives",
                Proof(("fast-loses",), pace=REAL_TIME),
            ),
            (
                "again",
                "sent a second time in a session",
                bug("vllm#51374"),
                Proof(("again-loses",)),
            ),
            (
                "crowd",
                "in eight concurrent sessions",
                "a transcript does not depend on other sessions",
                Proof(("crowd-loses",)),
            ),
            (
                "after-silence",
                "after silence",
                bug("WhisperLiveKit#129"),
                Proof(("silence-loses",)),
            ),
            (
                "half-gain",
                "at half the gain",
                "half the gain lowers the level by only 6 dB",
                Proof(("quiet-loses",)),
            ),
        )
    ),
)
"""Requirements on relations between texts; they need no reference transcript."""
