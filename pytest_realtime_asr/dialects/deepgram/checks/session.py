"""Checks of the end of a session, and of events that depend on its options."""

from __future__ import annotations

import re

from pytest_realtime_asr.dialects.deepgram.checks.results import SLACK, results
from pytest_realtime_asr.dialects.deepgram.events import (
    Audio,
    CloseStream,
    Error,
    Finalize,
    KeepAlive,
    Metadata,
    Results,
    SpeechStarted,
    UtteranceEnd,
)
from pytest_realtime_asr.requirements import checks
from pytest_realtime_asr.requirements.checks.combinators import any_session, per_session
from pytest_realtime_asr.requirements.evidence import Part
from pytest_realtime_asr.requirements.requirement import (
    Check,
    Outcome,
    Satisfied,
    Undecided,
    Violated,
)
from pytest_realtime_asr.trace.recording import Message, Recording
from pytest_realtime_asr.trace.records import Ending, Sender
from pytest_realtime_asr.trace.timeline import Heard

_NOT_CLOSED = Undecided("the client did not send CloseStream")
_EXPLAINED = re.compile(r"(?:DATA|NET)-\d{4}")  # the codes in the reason of a close


def _closed(recording: Recording) -> int | None:
    """Return the index of the first `CloseStream`, ``None`` if none was sent."""
    found = checks.records(recording, CloseStream, Sender.CLIENT)
    return found[0] if found else None


def close_settles(recording: Recording) -> Outcome:
    """Check that all text is settled before `Metadata` answers `CloseStream`."""
    closed = _closed(recording)
    if closed is None:
        return _NOT_CLOSED
    ends = [i for i in _metadata(recording) if i > closed]
    if not ends:
        return Undecided("no Metadata came after CloseStream")
    before = [(i, each) for i, each in results(recording) if i < ends[0]]
    if not before:
        return Undecided("no results came")
    index, last = before[-1]
    if last.is_final or not last.best.transcript.strip():
        return Satisfied()
    return Violated(
        f"the text {last.best.transcript!r} was not settled before Metadata", (index,)
    )


def _metadata(recording: Recording) -> list[int]:
    return checks.records(recording, Metadata, Sender.SERVER)


def metadata_at_end(recording: Recording) -> Outcome:
    """Check that one `Metadata` answers `CloseStream`, and comes after all results."""
    closed = _closed(recording)
    if closed is None:
        return _NOT_CLOSED
    ends = [index for index in _metadata(recording) if index > closed]
    if len(ends) > 1:
        return Violated("a second Metadata came after CloseStream", tuple(ends[1:]))
    if ends:
        later = [index for index, _ in results(recording) if index > ends[0]]
        if later:
            return Violated("results came after Metadata", tuple(later))
        return Satisfied()
    if checks.cut(recording):
        return Undecided("the client ended the session before Metadata")
    return Violated(
        f"no Metadata came after CloseStream: {checks.ended(recording)}",
        (closed,),
        by_end=True,
    )


def closes_normally(recording: Recording) -> Outcome:
    """Check that the server closes with the code 1000 after `CloseStream`."""
    if _closed(recording) is None:
        return _NOT_CLOSED
    end = recording.trace.end
    if checks.cut(recording):
        return Undecided("the client closed the session first")
    if end.how is Ending.CLOSED_BY_PEER and end.code == 1000:
        return Satisfied()
    return Violated(
        f"the session ended {end.coded} after CloseStream; the expected code is 1000",
        (),
        by_end=True,
    )


def metadata_counts_audio(recording: Recording) -> Outcome:
    """Check that `Metadata` after `CloseStream` states the length of the audio."""
    closed = _closed(recording)
    if closed is None:
        return _NOT_CLOSED
    ends = [index for index in _metadata(recording) if index > closed]
    if not ends:
        return Undecided("no Metadata came after CloseStream")
    asked = recording.trace.records[closed].at
    samples: dict[int, int] = {}
    for event in recording.timeline.events:
        if isinstance(event, Heard) and event.sent <= asked:
            samples[event.item] = event.samples
    sent = sum(samples.values()) / recording.timeline.rate
    message = recording.messages[ends[0]]
    assert isinstance(message, Metadata)
    if abs(message.duration - sent) > SLACK:
        return Violated(
            f"the duration in Metadata is {message.duration:g}, but {sent:g} s of "
            "audio were sent",
            (ends[0],),
        )
    return Satisfied()


def opened_by_metadata(recording: Recording) -> Outcome:
    """Check that the first event is `Metadata` with an id, unless it is an error."""
    first = next(
        (
            message
            for record, message in zip(
                recording.trace.records, recording.messages, strict=True
            )
            if record.sender is Sender.SERVER
        ),
        None,
    )
    if isinstance(first, Error):
        return Undecided("the server refused the session")
    return _FIRST(recording)


def _identity(message: Message) -> str | None:
    """Return the id of the session in a `Metadata`; ``None`` for other messages."""
    return message.request_id if isinstance(message, Metadata) else None


_FIRST = checks.first_event(_identity)


def keepalive_unanswered(role: str) -> Check:
    """Return a check that a `KeepAlive` before the first audio gets no answer."""

    def check(part: Part) -> Outcome:
        if not checks.records(part.recording, KeepAlive, Sender.CLIENT):
            return Undecided("no KeepAlive was sent")
        if not checks.sent_after_hand(part.recording):
            return Undecided("the server sent nothing after KeepAlive")
        for index, message in enumerate(part.recording.messages):
            sender = part.trace.records[index].sender
            if isinstance(message, Audio):
                break
            if isinstance(message, Error):
                return Satisfied()  # it answers a later frame
            if sender is Sender.SERVER and not isinstance(message, Metadata):
                return Violated("KeepAlive was answered by an event", (index,))
        return Undecided("the server answered no frame that was sent after KeepAlive")

    return per_session(check, role)


def only_if_asked(role: str, *kinds: type, interims: bool = False) -> Check:
    """Return a check that the server sends only events for which the client asked.

    In the sessions that have the role ``role``, the client does not ask for events of
    the types ``kinds``. If ``interims`` is true, the client does not ask for interim
    results either.
    """

    def check(part: Part) -> Outcome | None:
        messages = part.recording.messages
        if not any(isinstance(message, Results) for message in messages):
            return None
        for index, message in enumerate(messages):
            interim = interims and isinstance(message, Results) and not message.is_final
            if interim or isinstance(message, kinds):
                what = "a result with is_final false" if interim else message.move
                return Violated(
                    f"{what} came, but the client did not ask for it", (index,)
                )
        return Satisfied()

    return any_session(check, role, nothing="no results came")


def speech_started(role: str) -> Check:
    """Return a check that `SpeechStarted` comes and names a time inside the audio."""

    def check(part: Part) -> Outcome:
        found = checks.records(part.recording, SpeechStarted, Sender.SERVER)
        if not found:
            if part.timeline.final is None:
                return Undecided("no final came")
            return Violated("no SpeechStarted came for speech", ())
        sent = sum(
            event.size for event in part.timeline.events if isinstance(event, Heard)
        ) / (2 * part.timeline.rate)
        for index in found:
            message = part.recording.messages[index]
            assert isinstance(message, SpeechStarted)
            if not -SLACK <= message.timestamp <= sent + SLACK:
                return Violated(
                    f"speech started at {message.timestamp:g} s, outside the "
                    f"{sent:g} s of audio",
                    (index,),
                )
        return Satisfied()

    return per_session(check, role)


def utterance_end(role: str) -> Check:
    """Return a check that `UtteranceEnd` names the end of the last settled word.

    The absence of `UtteranceEnd` is a violation only if all words were settled before
    the first `Finalize`. The documentation does not say whether a server that settles
    the words only in its answer to `Finalize` must still report the end.
    """

    def check(part: Part) -> Outcome:
        last: float | None = None
        found = False
        for index, message in enumerate(part.recording.messages):
            if isinstance(message, Results) and message.is_final and message.best.words:
                last = message.best.words[-1].end
            if not isinstance(message, UtteranceEnd):
                continue
            found = True
            if last is None or abs(message.last_word_end - last) > SLACK:
                known = (
                    "no word was settled" if last is None else f"it ended at {last:g} s"
                )
                return Violated(
                    f"UtteranceEnd says that the last word ended at "
                    f"{message.last_word_end:g} s, but {known}",
                    (index,),
                )
        if found:
            return Satisfied()
        if last is None:
            return Undecided("no word was settled")
        if not _settled_by_itself(part.recording):
            return Undecided(
                "the last word was settled only after Finalize, and no UtteranceEnd "
                "came then"
            )
        return Violated("no UtteranceEnd came in the silence after the last word", ())

    return per_session(check, role)


def _settled_by_itself(recording: Recording) -> bool:
    """Return whether all words were settled before the first `Finalize`, if any."""
    settled = False
    for message in recording.messages:
        if isinstance(message, Finalize):
            break
        if isinstance(message, Results) and message.best.words:
            settled = message.is_final
    return settled


def empty_frame_explained(role: str) -> Check:
    """Return a check that a server gives a reason if an empty frame ends a session."""

    def check(part: Part) -> Outcome:
        if not any(record.raw for record in part.trace.records):
            return Undecided("no empty frame was sent")
        end = part.trace.end
        if part.timeline.refusals:
            return Satisfied()
        if checks.cut(part.recording):
            if checks.sent_after_hand(part.recording):
                return Satisfied()
            return Undecided("the server sent nothing after the empty frame")
        if end.how is Ending.CLOSED_BY_PEER and end.code not in (1005, 1006, 1011):
            return Satisfied()
        return Violated(
            f"an empty binary frame ended the session without a reason: "
            f"{checks.why(part)}",
            (),
            by_end=True,
        )

    return per_session(check, role)


def closed_when_idle(role: str, *, least: float, most: float) -> Check:
    """Return a check that an idle session is closed with code 1011 and ``NET-0001``.

    The session must be closed at least ``least`` and at most ``most`` seconds after it
    opened.
    """

    def check(part: Part) -> Outcome:
        end, opened = part.trace.end, part.trace.opened
        if opened is None:
            return Undecided(f"the session was not opened: {checks.why(part)}")
        seconds = (end.at - opened) / 1e9
        if end.how is not Ending.CLOSED_BY_PEER:
            return Violated(f"the session was still open after {seconds:.1f} s", ())
        if end.code != 1011 or "NET-0001" not in end.reason:
            return Violated(
                f"the idle session was not closed with 1011 and NET-0001; it ended "
                f"{end.coded}: {end.reason}",
                (),
                by_end=True,
            )
        if not least <= seconds <= most:
            return Violated(
                f"the idle session was closed after {seconds:.1f} s, not after "
                f"{least:g} to {most:g} s",
                (),
                by_end=True,
            )
        return Satisfied()

    return per_session(check, role)


def _explained_end(part: Part) -> Outcome | None:
    end = part.trace.end
    if part.trace.opened is None:
        return None
    if end.how is Ending.CLOSED_BY_PEER and _EXPLAINED.match(end.reason):
        return Satisfied()
    return checks.explained_end(part)


explained_close = any_session(_explained_end, nothing="no session was opened")
"""A check that the server gives a reason for each session that it ends.

The reason may be an error before the end, or be part of the close.
"""


def options_refused(role: str, code: int) -> Check:
    """Return a check that invalid options are refused.

    A ``code`` below 1000 is the HTTP status of the handshake. Any other ``code`` is the
    close code of the session.
    """
    status = code < 1000
    return checks.handshake_refused(
        role,
        (code,) if status else (),
        codes=() if status else (code,),
        without="no session with an invalid option was opened",
    )
