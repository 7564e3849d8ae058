"""The checks of the segments, words and confidences of results."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise

from pytest_realtime_asr.dialects.deepgram.events import Results
from pytest_realtime_asr.requirements.requirement import (
    Outcome,
    Satisfied,
    Undecided,
    Violated,
)
from pytest_realtime_asr.trace.recording import Recording
from pytest_realtime_asr.trace.timeline import Heard, Partial

SLACK = 0.1  # s by which times may differ, since servers round to frames of audio
_NONE = Undecided("no results came")


def results(recording: Recording) -> Iterator[tuple[int, Results]]:
    """Yield the results of a session, each with the index of its record."""
    for index, message in enumerate(recording.messages):
        if isinstance(message, Results):
            yield index, message


def segments_in_order(recording: Recording) -> Outcome:
    """Check that no result begins before the end of the last settled segment."""
    settled, found = 0.0, False
    for index, each in results(recording):
        found = True
        if each.start < settled - SLACK:
            return Violated(
                f"a result begins at {each.start:g} s, but the audio up to "
                f"{settled:g} s was settled before",
                (index,),
            )
        if each.is_final:
            settled = max(settled, each.end)
    return Satisfied() if found else _NONE


def segments_cover_audio(recording: Recording) -> Outcome:
    """Check that the settled segments cover the audio of each utterance.

    Each settled segment must begin where the segment before it ends. A segment that
    answers `Finalize` must end at the end of the audio that was sent before `Finalize`.
    """
    if any(record.raw for record in recording.trace.records):
        return Undecided("the length of the audio in a hand-written frame is not known")
    lengths = _lengths(recording)
    end, answers, index = 0.0, 0, None
    for index, each in results(recording):
        if not each.is_final:
            continue
        if abs(each.start - end) > SLACK:
            return Violated(
                f"a segment begins at {each.start:g} s, but the segment before it "
                f"ended at {end:g} s",
                (index,),
            )
        end = each.end
        if not each.from_finalize or answers == len(lengths):
            continue
        sent = lengths[answers]
        answers += 1
        if abs(end - sent) > SLACK:
            return Violated(
                f"the segments end at {end:g} s, but Finalize was sent after "
                f"{sent:g} s of audio",
                (index,),
            )
    return Satisfied() if answers else Undecided("no answer to Finalize came")


def _lengths(recording: Recording) -> list[float]:
    """Return the length (s) of the session's audio at the end of each utterance."""
    samples: dict[int, int] = {}
    for event in recording.timeline.events:
        if isinstance(event, Heard):
            samples[event.item] = event.samples
    ends, total = [], 0
    for item in sorted(samples):
        total += samples[item]
        ends.append(total / recording.timeline.rate)
    return ends


def words_in_segment(recording: Recording) -> Outcome:
    """Check that the words of a result are in order and inside the result's segment."""
    found = False
    for index, each in results(recording):
        words = each.best.words
        for word in words:
            found = True
            inside = each.start - SLACK <= word.start <= word.end <= each.end + SLACK
            if not inside:
                return Violated(
                    f"the word {word.word!r} is at {word.start:g} to {word.end:g} s, "
                    f"outside its segment of {each.start:g} to {each.end:g} s",
                    (index,),
                )
        for before, after in pairwise(words):
            if after.start < before.start:
                return Violated(
                    f"the word {after.word!r} begins at {after.start:g} s, before "
                    f"the word {before.word!r} at {before.start:g} s",
                    (index,),
                )
    return Satisfied() if found else Undecided("no words with times came")


def words_match_text(recording: Recording) -> Outcome:
    """Check that the words of a settled segment are the words of its transcript.

    Case, punctuation and white space are not compared.
    """
    found = False
    for index, each in results(recording):
        if not each.is_final or not each.best.words:
            continue
        found = True
        text = each.best.transcript
        words = "".join(word.punctuated_word or word.word for word in each.best.words)
        if _letters(words) != _letters(text):
            listed = " ".join(word.word for word in each.best.words)
            return Violated(
                f"the words {listed!r} do not match the transcript {text!r}", (index,)
            )
    return Satisfied() if found else Undecided("no words with times came")


def _letters(text: str) -> str:
    return re.sub(r"[\W_]", "", text.casefold())


def confidences(recording: Recording) -> Outcome:
    """Check that each confidence is from 0 to 1."""
    found = False
    for index, each in results(recording):
        found = True
        for name, value in (
            ("transcript", each.best.confidence),
            *((repr(word.word), word.confidence) for word in each.best.words),
        ):
            if not 0 <= value <= 1:
                return Violated(
                    f"the confidence of {name} is {value:g}, not from 0 to 1", (index,)
                )
    return Satisfied() if found else _NONE


def same_request_id(recording: Recording) -> Outcome:
    """Check that all results have the same request id."""
    first: str | None = None
    for index, each in results(recording):
        name = each.metadata.request_id
        if not name:
            return Violated("a result has an empty request_id", (index,))
        if first is not None and name != first:
            return Violated(
                f"the request_id changed from {first!r} to {name!r}", (index,)
            )
        first = name
    return Satisfied() if first else _NONE


def no_early_text(recording: Recording) -> Outcome:
    """Check that no text comes before the first audio of the session."""
    heard = False
    for event in recording.timeline.events:
        heard |= isinstance(event, Heard)
        if isinstance(event, Partial) and event.added.strip():
            if heard:
                return Satisfied()
            return Violated(
                f"the text {event.added!r} came before any audio was sent",
                tuple(
                    index
                    for index, record in enumerate(recording.trace.records)
                    if record.at == event.at
                ),
            )
    return Undecided("no text came")
