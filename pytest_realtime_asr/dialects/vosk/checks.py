"""Checks of the messages of vosk-server's protocol."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from pytest_realtime_asr.dialects.vosk.events import (
    Audio,
    Config,
    Eof,
    PartialResult,
    Reset,
    Result,
    Word,
)
from pytest_realtime_asr.requirements import checks
from pytest_realtime_asr.requirements.checks.combinators import any_session
from pytest_realtime_asr.requirements.evidence import Part
from pytest_realtime_asr.requirements.requirement import (
    Check,
    Outcome,
    Satisfied,
    Undecided,
    Violated,
)
from pytest_realtime_asr.text.number_format import several
from pytest_realtime_asr.trace.recording import Recording
from pytest_realtime_asr.trace.records import Ending, Sender

_SLACK = 0.1  # s by which a word may end after the audio that was sent
_LEAST = 2  # words of a segment whose repetition is taken for no chance
_NORMAL = 1000
_ABNORMAL = 1006  # the code of a connection that ended without a close frame


@dataclass(frozen=True, slots=True)
class _Exchanged:
    """The messages that a server must answer in a session, and the answers.

    ``asked`` is the number of messages that the server must answer; messages after
    ``eof`` do not count. These messages are numbered from 1. ``finishes`` has the
    number of each message that completes an utterance. ``replies`` has the indexes of
    the answers in the recording, in order. ``unknown`` has the indexes of texts that
    are not a message of the protocol. ``late`` says whether the client sent a message
    after ``eof``.
    """

    asked: int
    replies: tuple[int, ...]
    finishes: tuple[int, ...]
    unknown: tuple[int, ...]
    late: bool


def one_reply(recording: Recording) -> Outcome:
    """Check that each message except the configuration gets exactly one answer."""
    found = _exchanged(recording)
    count = len(found.replies)
    if found.unknown:
        return Undecided("a text that is not a message of the protocol was sent")
    if found.late:
        return Undecided("a message was sent after the end of the audio")
    if not found.asked and not count:
        return Undecided("the client sent no message that a server must answer")
    if count > found.asked:
        return Violated(
            f"{several(count, 'answer')} came for {several(found.asked, 'message')}",
            found.replies[found.asked :],
        )
    if count == found.asked:
        return Satisfied()
    end = recording.trace.end
    if checks.cut(recording):
        return Undecided("the client ended the session before all answers had come")
    if end.how is Ending.CLOSED_BY_PEER and end.code != _NORMAL:
        return Undecided(f"the server closed the session {end.coded}")
    return Violated(
        f"only {several(count, 'answer')} came for "
        f"{several(found.asked, 'message')}: {checks.ended(recording)}",
        found.replies[-1:],
        by_end=True,
    )


def result_at_end(recording: Recording) -> Outcome:
    """Check that the answer to the end of the audio is a result."""
    found = _exchanged(recording)
    if found.unknown:
        return Undecided("a text that is not a message of the protocol was sent")
    judged = False
    for place in found.finishes:
        if place > len(found.replies):
            if checks.cut(recording):
                return Undecided("the client ended the session before the result")
            return Violated(
                f"no result came for the end of the audio: {checks.ended(recording)}",
                found.replies[-1:],
                by_end=True,
                by_loss=True,
            )
        index = found.replies[place - 1]
        if not isinstance(recording.messages[index], Result):
            return Violated(
                "the answer to the end of the audio is a partial; it must be a result",
                (index,),
            )
        judged = True
    return Satisfied() if judged else Undecided("no utterance was completed")


def closes_after_end(recording: Recording) -> Outcome:
    """Check that the server closes with code 1000 after its answer to ``eof``."""
    eof = next(iter(checks.records(recording, Eof, Sender.CLIENT)), None)
    found = _exchanged(recording)
    if eof is None or len(found.replies) < found.asked:
        return Undecided("the end of the audio was not answered")
    end = recording.trace.end
    if end.how is Ending.CLOSED_BY_PEER and end.code == _NORMAL:
        return Satisfied()
    if end.how in (Ending.CLOSED_BY_US, Ending.CLOSED_BY_PEER):
        ended = "left the session open"
        if end.how is Ending.CLOSED_BY_PEER:
            ended = f"closed {end.coded}"
        return Violated(
            f"after the answer to the end of the audio, the server {ended}; it must "
            "close with code 1000",
            found.replies[-1:],
            by_end=True,
        )
    return Undecided(checks.ended(recording))


def text_answered(part: Part) -> Outcome:
    """Check that the server answers an unknown text, or closes with a code."""
    recording = part.recording
    found = _exchanged(recording)
    if not found.unknown:
        return Undecided("no unknown text was sent")
    end = recording.trace.end
    completed = end.code == _NORMAL and len(found.replies) >= found.asked
    coded = end.how is Ending.CLOSED_BY_PEER and end.code not in (None, _ABNORMAL)
    if coded and not completed:
        return Satisfied()
    if len(found.replies) >= found.asked + len(found.unknown):
        return Satisfied()
    if end.how is Ending.CANCELLED:
        return Undecided("the session was cancelled")
    return Violated(
        "the server neither answered a text that is not a message of the protocol, "
        "nor closed the session with a code",
        found.unknown,
    )


def replies_are_text(recording: Recording) -> Outcome:
    """Check that every message of the server is a text frame."""
    sent = [
        (index, record)
        for index, record in enumerate(recording.trace.records)
        if record.sender is Sender.SERVER
    ]
    binary = tuple(index for index, record in sent if record.data is not None)
    if binary:
        return Violated("a message of the server is a binary frame", binary)
    return Satisfied() if sent else Undecided("the server sent nothing")


# Words


def words_match_text(recording: Recording) -> Outcome:
    """Check that the words of each result are the words of its text."""
    judged = False
    for index, message in _results(recording):
        best = message.best
        if not best.result:
            continue
        judged = True
        words = " ".join(word.word for word in best.result)
        if words.split() != best.text.split():
            return Violated(
                f"the text of a result is {best.text!r}, but its words are {words!r}",
                (index,),
            )
    return Satisfied() if judged else Undecided("no result has words")


def words_when_asked(recording: Recording) -> Outcome:
    """Check that results have words if, and only if, the client asked for them."""
    asked: bool | None = None
    judged = False
    for index, message in enumerate(recording.messages):
        match message:
            case Config(config=settings) if settings.words is not None:
                asked = bool(settings.words)
            case Audio() if asked is None:
                return Undecided(
                    "the configuration does not say whether results have words"
                )
            case Result() if message.best.text:
                judged = True
                if bool(message.best.result) is not asked:
                    has = "has no words" if asked else "has words"
                    return Violated(
                        f"the result {message.best.text!r} {has}, although the "
                        f"configuration says words = {str(asked).lower()}",
                        (index,),
                    )
    return Satisfied() if judged else Undecided("no result with a text came")


def words_inside_audio(recording: Recording) -> Outcome:
    """Check that words are in order, and lie in the audio sent before their result.

    Times are in seconds from the start of the session. The end of a word may be at most
    0.1 s after the end of the audio that was sent.
    """
    rate = recording.trace.rate
    heard, before, judged = 0.0, 0.0, False
    for index, message in enumerate(recording.messages):
        match message:
            case Audio(size=size):
                heard += size / 2 / rate
            case Result():
                for word in message.best.result:
                    judged = True
                    if problem := _misplaced(word, before, heard):
                        return Violated(problem, (index,))
                    before = word.start
    return Satisfied() if judged else Undecided("no result has words")


def _misplaced(word: Word, before: float, heard: float) -> str:
    """Return what is wrong with the times of a word, or "" if nothing is wrong.

    ``before`` is the start of the previous word, and ``heard`` is the length of the
    audio sent so far, both in seconds.
    """
    times = f"the word {word.word!r} lasts from {word.start:g} to {word.end:g} s"
    if not 0 <= word.start <= word.end:
        return (
            f"{times}; a word must start at 0 s or later, and not end before its start"
        )
    if word.start < before - _SLACK:
        return f"{times}, but the word before it starts at {before:g} s"
    if word.end > heard + _SLACK:
        return f"{times}, but only {heard:.2f} s of audio were sent"
    return ""


def confidences(recording: Recording) -> Outcome:
    """Check that each confidence is from 0 to 1."""
    judged = False
    for index, message in _results(recording):
        for word in message.best.result:
            if word.conf is None:
                continue
            judged = True
            if not 0 <= word.conf <= 1.0001:  # sums of floats may be a little above 1
                return Violated(
                    f"the confidence of {word.word!r} is {word.conf:g}; it must be "
                    "from 0 to 1",
                    (index,),
                )
    return Satisfied() if judged else Undecided("no word has a confidence")


# Segments


def not_repeated(role: str) -> Check:
    """Return a check that no text begins with the words of the result before it.

    The scenario must send different clips, so that the speech itself repeats nothing.
    """

    def check(part: Part) -> Outcome | None:
        settled: list[str] = []
        segments = 0
        for index, message in enumerate(part.recording.messages):
            match message:
                case PartialResult(partial=text):
                    words = text.split()
                case Result():
                    words = message.best.text.split()
                case _:
                    continue
            if len(settled) >= _LEAST and words[: len(settled)] == settled:
                return Violated(
                    f"the text {' '.join(words)!r} repeats the segment "
                    f"{' '.join(settled)!r}, which a result had settled",
                    (index,),
                )
            if isinstance(message, Result) and words:
                settled = words
                segments += 1
        return Satisfied() if segments > 1 else None

    return any_session(check, role, nothing="no session has two segments with words")


def _results(recording: Recording) -> Iterator[tuple[int, Result]]:
    for index, message in enumerate(recording.messages):
        if isinstance(message, Result):
            yield index, message


def _exchanged(recording: Recording) -> _Exchanged:
    asked = 0
    over = late = False
    replies, finishes, unknown = [], [], []
    for index, message in enumerate(recording.messages):
        sender = recording.trace.records[index].sender
        match message:
            case PartialResult() | Result():
                replies.append(index)
            case _ if sender is Sender.SERVER:
                continue
            case _ if over:
                late = True
            case Config():
                continue
            case Audio():
                asked += 1
            case Eof() | Reset():
                asked += 1
                finishes.append(asked)
                over = isinstance(message, Eof)
            case _:
                unknown.append(index)
    return _Exchanged(asked, tuple(replies), tuple(finishes), tuple(unknown), late)
