"""Shared requirements that texts lose no words, judged over many clips."""

from __future__ import annotations

from pytest_realtime_asr.requirements.checks.doubled_words import no_doubled_words
from pytest_realtime_asr.requirements.checks.lost_words import (
    CUT,
    SCENARIOS,
    Loss,
    loses_nothing,
    no_leftover_punctuation,
)
from pytest_realtime_asr.requirements.requirement import Level, Proof, Requirement
from pytest_realtime_asr.requirements.shared.clauses import HARM, bug

MUST, SHOULD = Level.MUST, Level.SHOULD
_AS_ALONE = "a transcript does not depend on how the audio is sent"


def _requirement(
    id: str, title: str, level: Level, clause: str, fault: str, *losses: Loss
) -> Requirement:
    return Requirement(
        id,
        title,
        level,
        clause,
        loses_nothing(*losses),
        scenarios=SCENARIOS,
        proof=Proof((fault,)),
    )


LOST_WORDS: tuple[Requirement, ...] = (
    _requirement(
        "heads-of-clips-present",
        "over many clips, the first word is not missing more often than other words",
        MUST,
        HARM + "; " + bug("FunASR#556"),
        "loses-first-400ms",
        Loss.HEAD,
    ),
    _requirement(
        "tails-of-clips-present",
        "over many clips, the last word is not missing more often than other words",
        MUST,
        HARM + "; " + bug("FunASR#3438", "FunASR#630", "WhisperLiveKit#122"),
        "loses-last-400ms",
        Loss.TAIL,
    ),
    _requirement(
        "long-text-goes-on",
        "the text of a long utterance does not end before the speech",
        MUST,
        HARM + "; " + bug("vllm#33962", "NVIDIA/NeMo-Speech.cpp#49"),
        "stops-after-10s",
        Loss.END,
    ),
    _requirement(
        "long-text-has-no-hole",
        "the text of a long utterance lacks no words in its middle",
        SHOULD,
        bug("WhisperLiveKit#234", "vllm#35863"),
        "hole-of-2s",
        Loss.HOLE,
        Loss.EDGES,
    ),
    _requirement(
        "same-words-between-silence",
        "clips without silence around them have no more errors than clips with silence",
        SHOULD,
        _AS_ALONE,
        "loses-first-400ms",
        Loss.SILENCE,
    ),
    _requirement(
        "same-words-in-chunks",
        "chunks of 20, 40 or 80 ms cause as many errors as the chunks of the run",
        SHOULD,
        _AS_ALONE,
        "loses-rest-of-40ms",
        Loss.CHUNKS,
        Loss.OWN_CHUNKS,
    ),
    _requirement(
        "same-words-in-bursts",
        "late audio in bursts causes as many errors as audio that comes on time",
        SHOULD,
        _AS_ALONE,
        "loses-rest-of-20ms",
        Loss.JITTER,
        Loss.NO_JITTER,
    ),
    _requirement(
        "same-words-joined",
        "clips that are joined with a pause have no more errors than clips sent alone",
        SHOULD,
        bug("WhisperLiveKit#234", "vllm#35863"),
        "stops-after-5s",
        Loss.JOINED,
    ),
    _requirement(
        "same-words-in-long",
        "clips have no more errors in a long utterance than if they are sent alone",
        SHOULD,
        bug("WhisperFusion#26", "WhisperLiveKit#372"),
        "stops-after-10s",
        Loss.LONG,
    ),
    Requirement(
        "no-doubled-words-in-long",
        "in a long text, no word is repeated in place of the next word",
        SHOULD,
        "SGLang 0.5.23 joins the texts of chunks at the wrong word: a word comes twice "
        "and the next word is lost",
        no_doubled_words,
        scenarios=SCENARIOS,
        proof=Proof(("doubles-words",)),
    ),
    Requirement(
        "no-leftover-punctuation",
        "no text starts with the punctuation of the previous utterance",
        SHOULD,
        "the punctuation of an utterance belongs to its own text",
        no_leftover_punctuation(CUT, "utterances"),
        scenarios=("utterances", CUT),
        proof=Proof(("late-question-mark",)),
    ),
)
