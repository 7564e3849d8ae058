"""Tests of the checks of usage against the audio and the text."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from pytest_realtime_asr import dialects
from pytest_realtime_asr.requirements import checks
from pytest_realtime_asr.requirements.evidence import Part
from pytest_realtime_asr.requirements.requirement import each
from pytest_realtime_asr.trace.records import Record, Sender, Span
from tests.support.check_outcomes import GOOD, Bad, Found, Open, check
from tests.support.openai import CARRIER, COMMIT, HELLO, committed, completed, frame
from tests.support.sessions import (
    CREATED,
    FIRST,
    MS,
    SECOND,
    SPEAK,
    UPDATE,
    Hand,
    done,
    part,
    trace_of,
)

MATCHES = each(checks.usage_matches)
OPENAI = dialects.load("openai:sglang")
Row = tuple[float, float | None, str]  # seconds of audio, seconds counted, text


def counted(*rows: Row, detected: bool = False, by_hand: bool = False) -> Part:
    """A session with utterances whose usage counts seconds."""
    records = [Record(Sender.SERVER, MS, HELLO)]

    def ours(text: str, span: Span | None = None) -> None:
        at = (len(records) + 1) * MS
        raw = by_hand and span is None
        records.append(
            Record(Sender.CLIENT, at, text, due=at, woke=at, span=span, raw=raw)
        )

    def theirs(text: str) -> None:
        records.append(Record(Sender.SERVER, (len(records) + 1) * MS, text))

    start = 0
    for number, (seconds, seconds_counted, text) in enumerate(rows):
        stop = start + round(seconds * OPENAI.rate)
        ours(CARRIER, Span("clip", start, stop))
        start, item = stop, f"item-{number}"
        if detected:
            stopped = {"item_id": item, "audio_end_ms": 1}
            theirs(frame("input_audio_buffer.speech_stopped", **stopped))
        ours(COMMIT)
        theirs(committed(item))
        usage = {"type": "duration", "seconds": seconds_counted}
        theirs(completed(item, text, content_index=0, event_id="e", usage=usage))
    trace = trace_of(records, dialect="openai:sglang", rate=OPENAI.rate)
    spoken = dict(enumerate((FIRST, SECOND, FIRST)[: len(rows)]))
    return dialects.part(OPENAI, trace, role="utterances", spoken=spoken)


@pytest.mark.parametrize(
    ("rows", "found"),
    [
        ([(1.674, 1.674, "a")], GOOD),
        ([(1.674, 2.0, "a")], GOOD),  # rounded up
        ([(1.674, 1.0, "a")], GOOD),  # rounded down
        ([(1.674, 15.0, "a")], GOOD),  # the least that is billed
        ([(1.674, 30.0, "a")], GOOD),  # a window of Whisper
        ([(35.0, 60.0, "a")], GOOD),
        ([(10.0, 4.0, "a")], GOOD),  # only the speech in it
        (
            [(1.674, 1674.0, "a")],
            Bad(
                "usage counts 1,674 s of audio, but 1.67 s were sent; 1,674 is the "
                "number of milliseconds"
            ),
        ),
        (
            [(1.674, 1.674, "a"), (35.0, 35_001.0, "a")],
            Bad("usage counts 35,001 s of audio, but 35.00 s were sent; 35,001 is"),
        ),
        ([(1.674, 60.0, "a")], Bad("usage counts 60 s of audio, but 1.67 s were sent")),
        ([(35.0, 0.6, "a")], Bad("usage counts 0.6 s of audio, but 35.00 s were")),
        # Other checks are about these.
        ([(1.674, 0.0, "a")], Open("no text came with a usage")),
        ([(1.674, -1.0, "a")], Open("no text came with a usage")),
        ([(1.674, 1674.0, " ")], Open("no text came with a usage")),
        ([(1.674, None, "a")], Open("no text came with a usage")),
    ],
)
def test_seconds_of_audio(rows: Sequence[Row], found: Found) -> None:
    check(MATCHES, counted(*rows), found)


def test_usage_of_detected_or_hand_written_audio_is_undecided() -> None:
    wrong = (1.674, 1674.0, "a")
    check(MATCHES, counted(wrong, detected=True), Open("no text came with a usage"))
    check(MATCHES, counted(wrong, by_hand=True), Open("no text came with a usage"))


def told(*rows: tuple[str, int, int], hand: bool = False) -> Part:
    """A session with the text, the prompt and the completion tokens of utterances."""
    frames = [
        frame
        for text, prompt, completion in rows
        for frame in (*SPEAK, done(text, prompt, completion, prompt + completion))
    ]
    stray = (Hand("{}"),) if hand else ()
    spoken = dict(enumerate((FIRST, SECOND, FIRST)[: len(rows)]))
    return part("utterances", CREATED, UPDATE, *stray, *frames, spoken=spoken)


@pytest.mark.parametrize(
    ("evidence", "found"),
    [
        (told(("turn right and stop", 2, 4)), GOOD),
        (told(("turn right and stop", 2, 2)), GOOD),
        (told(("turn right and stop", 2, 400)), GOOD),  # a token each 80 ms, and more
        (told(("\u8bf7\u5411\u53f3\u8f6c", 2, 1)), GOOD),  # no spaces
        (
            told(("turn right and stop", 2, 1)),
            Bad("usage counts 1 tokens for a text of 4 words: 'turn right and stop'"),
        ),
        (told(("turn right and stop", 2, 0)), Open("no text came with a usage")),
        (
            told(("turn right and stop", 2, 1), hand=True),
            Open("no text came with a usage"),
        ),
        (
            # A frame that lacks a field has one violation, that of its form.
            part(
                "it",
                CREATED,
                UPDATE,
                *SPEAK,
                '{"type":"transcription.done","text":"a b c d","usage":'
                '{"prompt_tokens":1,"completion_tokens":1}}',
            ),
            Open("the frame that seems to violate the requirement has wrong fields"),
        ),
    ],
)
def test_tokens_of_a_text(evidence: Part, found: Found) -> None:
    check(MATCHES, evidence, found)


A, B = FIRST.text, SECOND.text


@pytest.mark.parametrize(
    ("evidence", "found"),
    [
        (told((A, 20, 4), (B, 22, 4), (A, 20, 4)), GOOD),
        (told((A, 39, 4), (B, 39, 4), (A, 39, 4)), GOOD),  # always the first prompt
        (told((A, 20, 4), (B, 26, 4), (A, 28, 5)), GOOD),  # earlier texts as context
        (
            told((A, 20, 4), (B, 42, 4), (A, 62, 4)),
            Bad(
                "the usage of utterance 3 counts 62 prompt tokens, but utterance 1 has "
                "the same clip and counts 20: the usage includes the 42 prompt tokens "
                "of utterance 2"
            ),
        ),
        (
            told((A, 39, 4), (B, 39, 8), (A, 39, 12)),
            Bad("the usage of utterance 3 counts 12 completion tokens, but"),
        ),
        (told((A, 20, 4), (B, 22, 8)), Open("no clip has two finals with a usage")),
        # The text has the words of the utterance before, and the count is that of it.
        (told((A, 20, 4), (B, 22, 4), (f"{B} {A}", 20, 8)), Open("no clip has two")),
        (counted((1.7, 1.7, A), (1.6, 1.6, B), (1.7, 1.7, A)), GOOD),
        (
            counted((1.7, 1.7, A), (1.6, 3.3, B), (1.7, 5.0, A)),
            Bad("the usage of utterance 3 counts 5 seconds, but utterance 1 has the"),
        ),
        (
            counted((1.7, 2.0, A), (1.6, 4.0, B), (1.7, 5.0, A)),
            Bad("the usage of utterance 3 counts 5 seconds, but utterance 1 has the"),
        ),
        (counted((1.7, 30.0, A), (1.6, 30.0, B), (1.7, 30.0, A)), GOOD),
        (counted((1.7, None, A), (1.6, 1.0, B), (1.7, 1.0, A)), Open("no clip has")),
    ],
)
def test_the_counts_of_a_clip_do_not_grow(evidence: Part, found: Found) -> None:
    check(checks.usage_of_each("utterances"), evidence, found)
