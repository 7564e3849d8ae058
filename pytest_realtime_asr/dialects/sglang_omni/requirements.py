"""The requirements on a server of SGLang-Omni's protocol.

The protocol has no document, so the clauses name the modules of release 0.1.9. The
level is MUST if a violation makes the texts useless to a client, or if it harms every
client. Every client is harmed if the process ends, if accepted input gets no answer, if
a session gets the text of another session, or if text is lost. The level is SHOULD for
all other behaviour that clients rely on.
"""

from __future__ import annotations

from pytest_realtime_asr.dialects.sglang_omni import checks as own
from pytest_realtime_asr.dialects.sglang_omni.events import (
    COMPLETED,
    START,
    TABLE,
    Completed,
)
from pytest_realtime_asr.requirements import checks, shared
from pytest_realtime_asr.requirements.capability import EVERY, Capability
from pytest_realtime_asr.requirements.order import order
from pytest_realtime_asr.requirements.requirement import (
    Check,
    Level,
    Proof,
    Requirement,
    SessionCheck,
    each,
)
from pytest_realtime_asr.requirements.shared import HARM, bug
from pytest_realtime_asr.trace.records import Sender

CAPABILITIES = EVERY - {Capability.USAGE, Capability.WORD_TIMES}
_READ = "read 2026-11-30"
_RELEASE = "SGLang-Omni 0.1.9"
_OWN = ("session.", "transcription.", "input_audio_buffer.", "error")

MUST, SHOULD = Level.MUST, Level.SHOULD


def _session(sentence: str) -> str:
    return f"{_RELEASE}, serve/realtime/transcription_session.py: {sentence} ({_READ})"


def _events(sentence: str) -> str:
    return f"{_RELEASE}, serve/realtime/events.py: {sentence} ({_READ})"


def _of_frames(
    id: str,
    title: str,
    clause: str,
    check: SessionCheck,
    *faults: str,
    level: Level = MUST,
    scenario: str = "utterances",
    final: float = 0.02,
) -> Requirement:
    """Return a requirement on the frames of every session.

    In the self-test, the fake server has all ``faults``, so that it violates the
    requirement. This server delays each final by ``final`` seconds.
    """
    return Requirement(
        id,
        title,
        level,
        clause,
        each(check),
        scenarios=(scenario,),
        passive=True,
        proof=Proof(faults, final=final),
    )


def _played(
    id: str,
    title: str,
    clause: str,
    check: Check,
    scenario: str,
    *faults: str,
    level: Level = MUST,
    beside: tuple[str, ...] = (),
    final: float = 0.02,
) -> Requirement:
    """Return a requirement on the sessions of a scenario.

    ``beside`` are further scenarios that the check needs. In the self-test, the fake
    server has all ``faults``, so that it violates the requirement. This server delays
    each final by ``final`` seconds.
    """
    return Requirement(
        id,
        title,
        level,
        clause,
        check,
        scenarios=(*beside, scenario),
        proof=Proof(faults, final=final),
    )


def _refused(id: str, title: str, what: str, clause: str, *codes: str) -> Requirement:
    """Return the requirement that an invalid frame is refused with one of ``codes``."""
    return _played(
        f"{id}-refused",
        title,
        clause,
        checks.refused(id, what, *codes),
        id,
        "wrong-codes" if codes else "tolerant",
        level=SHOULD,
    )


_INVALID_EVENT = _session("code invalid_event if an event does not fit its schema")

_SHARED = shared.requirements(
    CAPABILITIES,
    shared.stated(
        "first-event",
        _session("session.created is sent first"),
        each(checks.first_event(own.identity)),
    ),
    shared.stated("unique-ids", _session("each session has a random id")),
    shared.stated(
        "update-again", _session("session.update is accepted while no audio is held")
    ),
    shared.stated(
        "order", _session("the order of events"), each(order(TABLE, start=START))
    ),
    shared.stated("well-formed", _events("the fields of each event")),
    shared.stated(
        "known-events",
        _events("the types of events"),
        each(checks.known_events(Sender.SERVER, _OWN)),
    ),
    shared.stated("errors-have-codes", _events("code is required")),
    # With such long chunks, early text has 100 ms to come before the first audio.
    shared.stated("no-early-text", proof=Proof(("foretells",), chunk=0.8)),
    shared.stated(
        "unknown-event-amid-speech",
        _session("an error leaves the session and the segment open"),
    ),
    shared.stated(
        "binary-answered",
        _session("code invalid_json if a frame is not text"),
    ),
    shared.stated("oversized-frame-closed", proof=Proof(("any-size", "tolerant"))),
    shared.stated(
        "text-while-speaking",
        _session("the text of the open segment is sent at each decode interval"),
    ),
    shared.stated("empty-utterance-finishes", proof=Proof(("tolerant",))),
    shared.stated(
        "utterances-finish",
        _session("the audio after a commit is the next segment"),
        proof=Proof(("one-final-only",)),
    ),
    shared.stated("wrong-key-refused", "RFC 9110, section 15.5.2: 401 without a key"),
    shared.stated("crowd-has-unique-ids", _session("each session has a random id")),
)

_SESSION: tuple[Requirement, ...] = (
    _of_frames(
        "event-index",
        "event_index is 1 in the first event, and grows by 1 with each event",
        _session("event_index counts the events that are sent"),
        own.indexes_count_up,
        "skips-indexes",
    ),
    _of_frames(
        "event-ids-are-unique",
        "each event has its own id",
        _session("each event has a random event_id"),
        own.event_ids,
        "same-event-ids",
        level=SHOULD,
    ),
    _of_frames(
        "session-transcribes",
        "the session object describes a transcription session",
        _events("object, intent and input_audio_format each allow one value only"),
        own.transcribes,
        "conversing",
    ),
    _of_frames(
        "update-answered",
        "each update is answered by the updated session or by an error",
        _session("session.updated is sent once the update is applied"),
        own.updates_answered,
        "silent-update",
    ),
    _played(
        "update-shows-what-holds",
        "session.updated shows the language of the last update that sets a language",
        _session("only the settings that an update names are changed"),
        own.update_shown("language"),
        "language",
        "hides-language",
        level=SHOULD,
    ),
)

_SEGMENTS: tuple[Requirement, ...] = (
    _of_frames(
        "commit-answered",
        "each commit of audio is answered by a committed segment or by an error",
        _session("input_audio_buffer.committed is sent for each segment that ends"),
        own.commits_answered,
        "silent-segments",
    ),
    _of_frames(
        "segments-are-committed",
        "each settled segment was named by an earlier input_audio_buffer.committed",
        _session("the final of a segment is computed after its commit"),
        own.committed_first,
        "other-segment-ids",
    ),
    _of_frames(
        "segments-committed-once",
        "no segment is committed twice",
        _session("a committed segment is no longer open"),
        own.committed_once,
        "commits-twice",
    ),
    _of_frames(
        "segments-end",
        "each committed segment is settled, or its transcription fails",
        _session("each committed segment is decoded or fails with transcription_failed")
        + "; sgl-project/sglang-omni#385",
        own.committed_end,
        "no-final",
    ),
    _of_frames(
        "segments-settled-once",
        "a segment is not sent again after its text is settled",
        HARM + ": a client may have used the first text, or may show the text twice",
        own.settled_once,
        "unsettles-segments",
    ),
    _of_frames(
        "segment-ids-count-up",
        "no segment comes after a segment with a higher number",
        _session("segment_id grows by 1 with each segment"),
        own.ids_count_up,
        "counts-segments-down",
    ),
    _of_frames(
        "segment-times-in-order",
        "segments do not overlap, and the start of a segment does not change",
        _session("a segment starts where the audio before it ends"),
        own.times_in_order,
        "overlaps-segments",
    ),
    _of_frames(
        "segment-times-inside-audio",
        "no segment ends later than the audio that was sent",
        _session("audio_end_ms is the end of the audio that was decoded"),
        own.inside_the_audio,
        "runs-ahead",
    ),
    _played(
        "in-flight-finish",
        "each utterance that is committed before the first final gets a final",
        HARM + "; " + bug("sgl-project/sglang-omni#385", read=_READ),
        checks.finishes("in-flight"),
        "in-flight",
        "one-final-only",
    ),
    _played(
        "in-flight-kept-apart",
        "each utterance that is committed before the first final gets its own text",
        _session("committed segments are decoded one after the other"),
        checks.both(checks.finishes("in-flight"), checks.kept_apart("in-flight")),
        "in-flight",
        "mixes-items",
        beside=("alone",),
        final=1.0,
    ),
)

_END: tuple[Requirement, ...] = (
    _of_frames(
        "completed-once",
        "transcription.done is answered by one transcription.completed",
        _session("transcription.completed is sent once all segments are settled"),
        own.completed_once,
        "completes-twice",
        scenario="done",
    ),
    _of_frames(
        "completed-joins-segments",
        "the text of transcription.completed is the text of all settled segments",
        _session("the texts of all segments are joined in the order of their numbers"),
        own.completed_joins,
        "completes-in-part",
        scenario="done",
    ),
    _played(
        "done-commits",
        "transcription.done commits the audio before it, and no text is lost",
        _session("transcription.done ends the open segment"),
        own.ends_with_final("done-amid-speech"),
        "done-amid-speech",
        "done-discards",
    ),
    _played(
        "input-after-done-refused",
        "audio after transcription.done is refused as input_already_done",
        _session("code input_already_done"),
        own.answered_by(
            "after-done",
            Completed,
            f"audio after {COMPLETED}",
            codes=("input_already_done",),
        ),
        "after-done",
        "wrong-codes",
        level=SHOULD,
    ),
    _of_frames(
        "clear-answered",
        "a clear is answered by input_audio_buffer.cleared",
        _session("input_audio_buffer.cleared is sent once the audio is discarded"),
        own.clears_answered,
        "silent-clear",
        scenario="clear",
    ),
    _played(
        "clear-forgets",
        "no text contains words of cleared audio",
        _session("a clear empties the buffer"),
        checks.both(checks.finishes("clear"), checks.kept_apart("clear")),
        "clear",
        "keeps-cleared",
        beside=("alone",),
    ),
    _played(
        "clear-keeps-committed",
        "a clear does not discard a committed utterance",
        HARM + ": the text of a committed utterance never comes",
        checks.finishes("clear-after-commit"),
        "clear-after-commit",
        "clear-discards-all",
        final=1.0,
    ),
)

_REFUSALS: tuple[Requirement, ...] = (
    _of_frames(
        "errors-have-types",
        "each error has one of the two documented types",
        _events("type is invalid_request_error or server_error"),
        own.errors_have_types,
        "typeless",
        scenario="unknown-event",
    ),
    shared.refused("bad-json", _session("code invalid_json"), "invalid_json"),
    shared.refused("no-object", _session("code invalid_event"), "invalid_event"),
    shared.refused("no-type", _session("code unsupported_event"), "unsupported_event"),
    shared.refused(
        "unknown-event", _session("code unsupported_event"), "unsupported_event"
    ),
    shared.refused("append-without-audio", _INVALID_EVENT, "invalid_event"),
    shared.refused("append-wrong-type", _INVALID_EVENT, "invalid_event"),
    shared.refused("bad-base64", _session("code invalid_audio"), "invalid_audio"),
    shared.refused(
        "foreign-characters",
        "RFC 4648, section 3.3: MUST reject characters outside the alphabet; "
        f"{_RELEASE} drops them",
        level=SHOULD,
    ),
    _refused(
        "odd-bytes",
        "audio that ends in half a sample is refused as invalid_audio",
        "half a sample",
        _session("code invalid_audio if a sample is not complete")
        + "; huggingface/speech-to-speech#410",
        "invalid_audio",
    ),
    _played(
        "refusal-amid-speech",
        "refused audio in mid-utterance does not affect the utterance",
        _session("an error leaves the session and the segment open"),
        checks.refused("odd-bytes-amid-speech", "half a sample", "invalid_audio"),
        "odd-bytes-amid-speech",
        "odd-audio-closes",
    ),
    _refused(
        "update-without-session",
        "an update without a session is refused as invalid_event",
        "an update without a session",
        _INVALID_EVENT,
        "invalid_event",
    ),
    _refused(
        "unknown-setting",
        "an update of an unknown setting is refused as invalid_event",
        "an unknown setting",
        _events("the settings are language, turn_detection and input_audio_format"),
        "invalid_event",
    ),
    _refused(
        "unknown-format",
        "an audio format other than pcm16 is refused as invalid_event",
        "an unknown audio format",
        _events("input_audio_format is pcm16"),
        "invalid_event",
    ),
    _refused(
        "semantic-detection",
        "semantic turn detection is refused as unsupported_turn_detection",
        "semantic turn detection",
        _session("code unsupported_turn_detection"),
        "unsupported_turn_detection",
    ),
    _refused(
        "update-amid-speech",
        "an update of the language during an utterance is refused as session_active",
        "an update of the language during an utterance",
        _session("code session_active while audio is not committed"),
        "session_active",
    ),
    _played(
        "stray-commit-spoils-nothing",
        "a commit without audio does not affect later utterances",
        HARM + ": the start of the next utterance, or all of it, is lost",
        checks.both(checks.finishes("stray-final"), checks.same_text("stray-final")),
        "stray-final",
        "refused-final-mutes",
        beside=("alone",),
    ),
    _played(
        "second-commit-spoils-nothing",
        "a second commit of the same utterance does not affect later utterances",
        HARM + ": the start of the next utterance, or all of it, is lost",
        checks.both(checks.finishes("second-final"), checks.same_text("second-final")),
        "second-final",
        "refused-final-mutes",
        beside=("alone",),
    ),
    _played(
        "overflow-code",
        "audio that exceeds the buffer is refused as audio_buffer_overflow",
        _session("code audio_buffer_overflow") + "; sgl-project/sglang-omni#706",
        own.overflow_code("big-audio"),
        "big-audio",
        "refuses-big",
        level=SHOULD,
    ),
)

# An utterance without audio is refused, so it has no text to check.
_LEFT_OUT = {"empty-utterance-is-wordless"}

REQUIREMENTS: tuple[Requirement, ...] = (
    *(each for each in _SHARED if each.id not in _LEFT_OUT),
    *_SESSION,
    *_SEGMENTS,
    *_END,
    *_REFUSALS,
    *shared.binding_clients(
        TABLE,
        start=START,
        clauses=(
            _session("the order of events"),
            _events("the fields of each event"),
            _events("the types of events"),
        ),
    ),
)
