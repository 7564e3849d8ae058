"""The requirements on a server of Deepgram's protocol.

The level is MUST if Deepgram's documents demand the behaviour, or if a violation harms
every client. The level is SHOULD if clients rely on the behaviour, or if a client
library is its only source. The level is INFO for a documented limit that a server may
change.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

from pytest_realtime_asr.dialects.deepgram import events
from pytest_realtime_asr.dialects.deepgram.checks import results, session
from pytest_realtime_asr.dialects.deepgram.options import LAWS
from pytest_realtime_asr.dialects.deepgram.profile import Profile, capabilities
from pytest_realtime_asr.dialects.deepgram.server import SCHEMA_ERROR
from pytest_realtime_asr.requirements import checks, shared
from pytest_realtime_asr.requirements.order import order
from pytest_realtime_asr.requirements.requirement import (
    Level,
    Proof,
    Requirement,
    SessionCheck,
    each,
)
from pytest_realtime_asr.requirements.shared import HARM

_READ = "read 2026-11-30"
_SDK = f"deepgram-sdk 7.17.0, listen/v1/types ({_READ})"
_WLK = f"whisperlivekit 0.2.26, deepgram_compat.py ({_READ})"

MUST, SHOULD, INFO = Level.MUST, Level.SHOULD, Level.INFO


def _docs(page: str, sentence: str) -> str:
    return f"Deepgram docs, {page}: {sentence} ({_READ})"


_RESULTS = _docs(
    "listen-streaming",
    "the fields of Results, Metadata, UtteranceEnd and SpeechStarted",
)
_INTERIM = _docs(
    "understand-endpointing-interim-results",
    "is_final marks the final transcript of a range of audio",
)
_FINALIZE = _docs("finalize", "the server processes all audio and returns the results")
_CLOSE = _docs(
    "close-stream",
    "the server processes all audio, sends the results and a summary, and closes",
)
_KEEP = _docs("audio-keep-alive", "KeepAlive prevents the timeout, and has no answer")


@cache
def requirements(profile: Profile) -> tuple[Requirement, ...]:
    """Return the requirements on the servers of a profile, and on their clients."""
    return (
        *shared.requirements(capabilities(profile), *_stated(profile)),
        *_segments(profile),
        *_words(),
        *_ends(profile),
        *_options(profile),
        *(_several() if profile.finalizes else ()),
        *(_formats(profile)),
        *shared.binding_clients(
            events.table(finalizes=profile.finalizes, greets=profile.greeting),
            start=events.OPENING if profile.greeting else events.IDLE,
            clauses=(_CLOSE, _RESULTS, _RESULTS),
        ),
    )


def _stated(profile: Profile) -> Iterator[Requirement]:
    """Yield shared requirements with a clause, check or proof for this protocol."""
    if profile.greeting:
        yield shared.stated("first-event", _WLK, each(session.opened_by_metadata))
    yield shared.stated(
        "unique-ids", _docs("listen-streaming", "request_id is the id of the session")
    )
    yield shared.stated(
        "crowd-has-unique-ids",
        _docs("listen-streaming", "request_id is the id of the session"),
    )
    table = events.table(finalizes=profile.finalizes, greets=profile.greeting)
    start = events.OPENING if profile.greeting else events.IDLE
    yield shared.stated(
        "order",
        _docs("finalize", "no transcript may reappear after the answer to Finalize")
        if profile.finalizes
        else _CLOSE,
        each(order(table, start=start)),
        proof=Proof(("late-delta",)),
    )
    yield shared.stated("well-formed", f"{_RESULTS}; {_SDK}")
    yield shared.stated(
        "closes-are-explained",
        _docs(
            "stt-troubleshooting-websocket-data-and-net-errors",
            "the reason of the close frame has a code such as NET-0001",
        ),
        session.explained_close,
    )
    yield shared.stated(
        "no-early-text", check=each(results.no_early_text), proof=_EARLY
    )
    yield shared.stated(
        "text-while-speaking",
        _docs("interim-results", "interim transcripts come while audio is sent"),
    )
    yield shared.stated("long-keeps-its-begin", proof=Proof(("loses-first-segment",)))
    yield shared.stated("long-text-has-no-hole", proof=Proof(("loses-third-segment",)))
    yield shared.stated(
        "idle-outlived",
        _KEEP,
        level=MUST,
        proof=Proof(("ignores-keepalive",), pace=1.5),
    )
    yield shared.stated(
        "wrong-key-refused",
        "RFC 9110, section 15.5.2: 401 if credentials are not valid; " + _SDK,
    )
    if profile.refusals:
        yield shared.stated("errors-have-codes", _SDK)
        yield shared.stated(
            "unknown-event-amid-speech",
            f"an error does not end the session; {_SDK}",
        )
    if profile.finalizes:
        yield shared.stated(
            "utterances-finish", _FINALIZE, proof=Proof(("one-final-only",))
        )
    else:
        yield shared.stated(
            "empty-utterance-finishes", _CLOSE, proof=Proof(("no-metadata",))
        )
        yield shared.stated(
            "empty-utterance-is-wordless", proof=Proof(("babbles-when-empty",))
        )


_EARLY = Proof(("early-results",))


def _passive(
    id: str,
    title: str,
    level: Level,
    clause: str,
    check: SessionCheck,
    fault: str,
    *scenarios: str,
) -> Requirement:
    """Return a requirement that is checked on each session of each test."""
    return Requirement(
        id,
        title,
        level,
        clause,
        each(check),
        scenarios=scenarios or ("alone",),
        passive=True,
        proof=Proof((fault,)),
    )


def _segments(profile: Profile) -> Iterator[Requirement]:
    yield _passive(
        "segments-in-order",
        "no result begins before the end of the last settled segment",
        MUST,
        _INTERIM,
        results.segments_in_order,
        "segments-overlap",
        "10s",
    )
    if profile.contiguous and profile.finalizes:
        yield _passive(
            "segments-cover-audio",
            "the settled segments cover the audio without a gap",
            SHOULD,
            _docs(
                "using-interim-results",
                "each segment begins where the segment before it ends",
            ),
            results.segments_cover_audio,
            "short-durations",
        )
    yield _passive(
        "same-request-id",
        "all results of a session have the same request id",
        SHOULD,
        _docs("listen-streaming", "request_id is the id of the session"),
        results.same_request_id,
        "changes-request-id",
    )


def _words() -> Iterator[Requirement]:
    yield _passive(
        "words-in-segment",
        "the words of a result are in order, and inside its segment",
        SHOULD,
        _docs("listen-streaming", "start and end of a word are in seconds"),
        results.words_in_segment,
        "words-in-ms",
    )
    yield _passive(
        "words-match-text",
        "the listed words of a settled segment are the words of its transcript",
        SHOULD,
        _SDK,
        results.words_match_text,
        "first-word-untimed",
    )
    yield _passive(
        "confidences-in-range",
        "each confidence is from 0 to 1",
        SHOULD,
        _docs("understanding-word-confidence-scores", "a confidence is from 0 to 1"),
        results.confidences,
        "results-in-percent",
    )


def _ends(profile: Profile) -> Iterator[Requirement]:
    scenario = "close-stream" if profile.finalizes else "alone"
    yield _passive(
        "close-settles-text",
        "CloseStream settles all text before Metadata",
        MUST,
        _CLOSE,
        session.close_settles,
        "close-loses-rest",
        scenario,
    )
    yield _passive(
        "close-is-summarised",
        "CloseStream is answered by one Metadata, after all results",
        MUST,
        _CLOSE,
        session.metadata_at_end,
        "no-metadata",
        scenario,
    )
    yield _passive(
        "close-is-normal",
        "the server closes with the code 1000 after CloseStream",
        SHOULD,
        _CLOSE,
        session.closes_normally,
        "closes-as-failed",
        scenario,
    )
    yield _passive(
        "metadata-counts-audio",
        "the duration in Metadata is the length of the audio",
        SHOULD,
        _RESULTS,
        session.metadata_counts_audio,
        "metadata-in-ms",
        scenario,
    )
    yield Requirement(
        "keepalive-is-silent",
        "KeepAlive is not answered",
        SHOULD,
        _KEEP,
        session.keepalive_unanswered("keepalive"),
        scenarios=("keepalive",),
        proof=Proof(("answers-keepalive",)),
    )
    if profile.finalizes:
        yield Requirement(
            "idle-is-closed",
            "a session without audio or KeepAlive is closed with 1011 and NET-0001",
            INFO,
            _docs("audio-keep-alive", "the connection is closed after 10 seconds"),
            session.closed_when_idle("no-keepalive", least=9.5, most=12.5),
            scenarios=("no-keepalive",),
            proof=Proof(("closes-idle-early",)),
        )
    yield Requirement(
        "empty-frame-explained",
        "if an empty binary frame ends a session, the server gives a reason",
        SHOULD,
        _docs(
            "stt-troubleshooting-websocket-data-and-net-errors",
            "an empty binary frame may close the connection",
        ),
        session.empty_frame_explained("empty-frame"),
        scenarios=("empty-frame",),
        proof=Proof(("empty-frame-dies",)),
    )


def _options(profile: Profile) -> Iterator[Requirement]:
    yield Requirement(
        "interims-only-if-asked",
        "no interim results come without interim_results=true",
        MUST,
        _docs("interim-results", "the default of interim_results is false"),
        checks.both(
            checks.finishes("nothing-asked"),
            session.only_if_asked("nothing-asked", interims=True),
        ),
        scenarios=("nothing-asked",),
        proof=Proof(("unasked-interims",)),
    )
    yield Requirement(
        "events-only-if-asked",
        "SpeechStarted and UtteranceEnd come only if the options ask for them",
        SHOULD,
        _docs("speech-started", "vad_events=true enables the event"),
        session.only_if_asked(
            "nothing-asked", events.SpeechStarted, events.UtteranceEnd
        ),
        scenarios=("nothing-asked",),
        proof=Proof(("unasked-speech-events",)),
    )
    yield Requirement(
        "bad-option-refused",
        "an option with an invalid value is refused",
        SHOULD,
        _docs("errors", "400 for invalid query parameters")
        if profile.refused < 1000
        else _WLK,
        session.options_refused("bad-option", profile.refused),
        scenarios=("close", "bad-option"),
        proof=Proof(("accepts-any-option",)),
    )
    yield shared.refused("bad-json", _SDK, level=SHOULD)
    if profile.refusals:
        yield shared.refused("no-object", _SDK, level=SHOULD)
        yield shared.refused("no-type", _SDK, level=SHOULD)
        yield shared.refused("unknown-event", _SDK, SCHEMA_ERROR, level=SHOULD)


def _several() -> Iterator[Requirement]:
    """Yield the requirements on servers whose sessions have several utterances."""
    yield Requirement(
        "in-flight-finish",
        "each of several utterances gets its own answer to Finalize",
        SHOULD,
        _FINALIZE,
        checks.both(checks.finishes("in-flight"), checks.kept_apart("in-flight")),
        scenarios=("alone", "in-flight"),
        proof=Proof(("one-final-only",)),
    )
    yield Requirement(
        "stray-finalize-spoils-nothing",
        "a Finalize without audio does not affect later utterances",
        MUST,
        HARM + ": the start of the next utterance, or all of it, is lost",
        checks.both(checks.finishes("stray-final"), checks.same_text("stray-final")),
        scenarios=("alone", "stray-final"),
        proof=Proof(("stray-finalize-mutes",)),
    )
    yield Requirement(
        "second-finalize-spoils-nothing",
        "a second Finalize for an utterance does not affect later utterances",
        MUST,
        HARM + ": the start of the next utterance, or all of it, is lost",
        checks.both(checks.finishes("second-final"), checks.same_text("second-final")),
        scenarios=("alone", "second-final"),
        proof=Proof(("stray-finalize-mutes",)),
    )
    yield Requirement(
        "speech-start-reported",
        "with vad_events, SpeechStarted names a time inside the audio",
        SHOULD,
        _docs("speech-started", "vad_events=true enables the event"),
        session.speech_started("speech-events"),
        scenarios=("speech-events",),
        proof=Proof(("no-speech-started",)),
    )
    yield Requirement(
        "utterance-end-reported",
        "with utterance_end_ms, UtteranceEnd names the end of the last settled word",
        SHOULD,
        _docs(
            "utterance-end",
            "the message is sent if the gap after the last settled word is long enough",
        ),
        session.utterance_end("speech-events"),
        scenarios=("speech-events",),
        proof=Proof(("utterance-end-at-zero",)),
    )


def _formats(profile: Profile) -> Iterator[Requirement]:
    names = [(f"{rate}hz", f"at {rate} Hz") for rate in profile.rates[1:]]
    if profile.companded:
        names += [(name, f"in {name}") for name in LAWS]
    for role, how in names:
        yield Requirement(
            f"same-text-{role}",
            f"a clip has the same text {how} as in the default format",
            SHOULD,
            _docs("encoding", "encoding and sample_rate describe raw audio"),
            checks.both(checks.finishes(role), checks.same_text(role)),
            scenarios=("alone", role),
            proof=Proof(("reads-at-16000hz",)),
        )
