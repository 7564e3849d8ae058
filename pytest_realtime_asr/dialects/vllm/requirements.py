"""The requirements on a server of vLLM's protocol.

A requirement has the level MUST if vLLM's documentation demands the behaviour, or if a
violation harms every client. Such a violation ends the server process, leaves accepted
input without an answer, sends the text of another session, loses the start or the end
of an utterance, or shows a stack trace or a secret. The level is SHOULD if clients rely
on the behaviour, and INFO if the behaviour is only a documented peculiarity.
"""

from __future__ import annotations

from pytest_realtime_asr.dialects.vllm import checks as own
from pytest_realtime_asr.dialects.vllm.events import (
    START,
    TABLE,
)
from pytest_realtime_asr.dialects.vllm.invalid_frames import PATH
from pytest_realtime_asr.requirements import checks, shared
from pytest_realtime_asr.requirements.order import order
from pytest_realtime_asr.requirements.requirement import (
    Level,
    Proof,
    Requirement,
    each,
)
from pytest_realtime_asr.requirements.shared import HARM, READ, bug
from pytest_realtime_asr.trace.records import Sender

DOCUMENTED = "vLLM 0.33.0, speech_to_text/realtime/api_router.py"
CODES = "vLLM 0.33.0, speech_to_text/realtime/connection.py"
SHAPES = "vLLM 0.33.0, speech_to_text/realtime/protocol.py"
_OWN = ("session.", "transcription.", "input_audio_buffer.", "conversation.", "error")

MUST, SHOULD, INFO = Level.MUST, Level.SHOULD, Level.INFO


def _clause(where: str, sentence: str) -> str:
    return f"{where}: {sentence} ({READ})"


REQUIREMENTS: tuple[Requirement, ...] = (
    shared.FIRST_UTTERANCE,
    shared.stated(
        "first-event",
        _clause(DOCUMENTED, "the server sends session.created on connection"),
        each(checks.first_event(own.identity)),
    ),
    Requirement(
        "created-now",
        "session.created states when the session was created",
        SHOULD,
        _clause(SHAPES, "the field `created` is a Unix time in seconds"),
        each(own.created_now),
        scenarios=("utterances",),
        passive=True,
        proof=Proof(("old-clock",)),
    ),
    shared.stated(
        "unique-ids",
        _clause(SHAPES, "each id is random"),
    ),
    Requirement(
        "update-is-silent",
        "an accepted session.update is not answered",
        INFO,
        _clause(CODES, "an accepted update gets no answer"),
        own.unacknowledged,
        scenarios=("update-again",),
        proof=Proof(("acknowledges",)),
    ),
    shared.stated(
        "update-again",
        _clause(CODES, "session.update is accepted at any time"),
    ),
    Requirement(
        "unknown-fields-ignored",
        "an unknown field is ignored",
        SHOULD,
        _clause(SHAPES, "an event may have fields that are not in its schema"),
        checks.finishes("extra-field"),
        scenarios=("extra-field",),
        proof=Proof(("strict-fields",)),
    ),
    Requirement(
        "audio-before-update",
        "audio can be sent before session.update",
        SHOULD,
        _clause(CODES, "audio is queued even before the model is validated"),
        checks.both(checks.finishes("early-audio"), checks.has_clip("early-audio")),
        scenarios=("alone", "early-audio"),
        proof=Proof(("no-early-audio",)),
    ),
    # The shapes and the order of events
    shared.stated(
        "order",
        _clause(DOCUMENTED, "the order of events"),
        each(order(TABLE, start=START)),
    ),
    shared.stated(
        "well-formed",
        _clause(SHAPES, "the fields of each event"),
    ),
    shared.stated(
        "known-events",
        _clause(SHAPES, "the types of events") + "; mastra-ai/mastra#16759",
        each(checks.known_events(Sender.SERVER, _OWN)),
    ),
    shared.stated(
        "deltas-add-up",
        _clause(CODES, "done.text is the concatenation of the deltas")
        + "; huggingface/speech-to-speech#474, vllm-omni#3907",
        each(own.deltas_add_up),
    ),
    Requirement(
        "one-final",
        "each utterance ends in exactly one final",
        MUST,
        _clause(DOCUMENTED, "transcription.done ends each utterance") + "; vllm#33962",
        each(own.one_final),
        scenarios=("utterances",),
        passive=True,
        proof=Proof(("two-finals",)),
    ),
    shared.stated(
        "usage-adds-up",
        _clause(CODES, "total_tokens is the sum of prompt and completion tokens"),
        each(own.usage_adds_up),
    ),
    shared.stated(
        "usage-counts",
        _clause(
            CODES,
            "the field `usage` counts all tokens of the prompt and of the text",
        ),
        each(own.tokens_for_text),
    ),
    *shared.USAGE,
    shared.stated(
        "errors-have-codes",
        _clause(CODES, "each error is sent with a code"),
    ),
    *shared.restated(
        shared.DISCLOSURE,
        shared.stated("no-early-text", proof=Proof(("early-text",))),
    ),
    # Refusals; the session and the server must survive them
    shared.refused(
        "bad-json",
        _clause(CODES, "code invalid_json"),
        "invalid_json",
    ),
    shared.refused(
        "no-object",
        _clause(CODES, "code processing_error"),
    ),
    *shared.JSON,
    shared.refused(
        "no-type",
        _clause(CODES, "code unknown_event"),
        "unknown_event",
    ),
    shared.refused(
        "unknown-event",
        _clause(CODES, "code unknown_event"),
        "unknown_event",
    ),
    Requirement(
        "foreign-events-refused",
        "events of OpenAI's protocol are refused",
        MUST,
        _clause(CODES, "code unknown_event") + "; huggingface/speech-to-speech#536",
        checks.refused(
            "foreign-events", "an event of OpenAI's protocol", "unknown_event"
        ),
        scenarios=("foreign-events",),
        proof=Proof(("wrong-codes",)),
    ),
    shared.refused(
        "append-without-audio",
        _clause(
            CODES, "an event that violates its schema is answered by processing_error"
        ),
    ),
    shared.refused(
        "append-wrong-type",
        _clause(
            CODES, "an event that violates its schema is answered by processing_error"
        ),
    ),
    Requirement(
        "commit-wrong-type-refused",
        "a commit whose `final` is neither true nor false is refused",
        MUST,
        _clause(
            CODES, "an event that violates its schema is answered by processing_error"
        ),
        checks.refused("commit-wrong-type", "a commit with an invalid `final`"),
        scenarios=("commit-wrong-type",),
        proof=Proof(("tolerant",)),
    ),
    Requirement(
        "commit-not-boolean-refused",
        "a commit whose `final` is a string or a number is refused",
        SHOULD,
        _clause(SHAPES, "final is true or false")
        + '; vLLM 0.33.0 takes "yes" and 1 for true, and so ends the utterance',
        checks.refused("commit-not-boolean", "a commit with an invalid `final`"),
        scenarios=("commit-not-boolean",),
        proof=Proof(("tolerant",)),
    ),
    Requirement(
        "update-without-model-refused",
        "a set-up without a model is refused",
        MUST,
        _clause(CODES, "model is required"),
        checks.refused("update-without-model", "a set-up without a model"),
        scenarios=("update-without-model",),
        proof=Proof(("tolerant",)),
    ),
    Requirement(
        "update-without-model-code",
        "a set-up without a model is refused with the code invalid_event",
        MUST,
        _clause(CODES, "code invalid_event"),
        checks.refused(
            "update-without-model", "a set-up without a model", "invalid_event"
        ),
        scenarios=("update-without-model",),
        since="0.22",
        proof=Proof(("wrong-codes",)),
    ),
    Requirement(
        "update-wrong-type-refused",
        "a set-up whose model is not a string is refused",
        SHOULD,
        _clause(SHAPES, "model is a string"),
        checks.refused("update-wrong-type", "a model that is not a string"),
        scenarios=("update-wrong-type",),
        proof=Proof(("tolerant",)),
    ),
    shared.refused(
        "unknown-model",
        "vLLM 0.16.0 checks the model, but ignores the result and accepts any model",
        level=SHOULD,
        proof=Proof(("accepts-any-model",)),
    ),
    Requirement(
        "unknown-model-code",
        "an unknown model is refused with the code model_not_found",
        MUST,
        _clause(CODES, "code model_not_found"),
        checks.refused("unknown-model", "an unknown model", "model_not_found"),
        scenarios=("unknown-model",),
        since="0.22",
        proof=Proof(("wrong-codes",)),
    ),
    Requirement(
        "early-commit-refused",
        "a commit before session.update is refused",
        MUST,
        _clause(CODES, "code model_not_validated"),
        checks.refused(
            "early-commit", "a commit before session.update", "model_not_validated"
        ),
        scenarios=("early-commit",),
        proof=Proof(("wrong-codes",)),
    ),
    Requirement(
        "early-commit-has-no-effect",
        "a refused commit starts no utterance",
        SHOULD,
        "vLLM 0.16.0 refuses the commit, but still starts an utterance",
        checks.starts_nothing("refused-begin"),
        scenarios=("refused-begin",),
        proof=Proof(("starts-anyway",)),
    ),
    Requirement(
        "early-final-refused",
        "a final commit before session.update is refused",
        MUST,
        _clause(CODES, "code model_not_validated"),
        checks.refused(
            "early-final",
            "a final commit before session.update",
            "model_not_validated",
        ),
        scenarios=("early-final",),
        proof=Proof(("wrong-codes",)),
    ),
    Requirement(
        "early-final-spoils-nothing",
        "a refused final commit does not affect later utterances",
        MUST,
        HARM + ": the start of the next utterance, or all of it, is lost",
        checks.both(checks.finishes("early-final"), checks.same_text("early-final")),
        scenarios=("alone", "early-final"),
        proof=Proof(("refused-final-kept",)),
    ),
    Requirement(
        "paths-removed",
        "an error does not repeat a file path that the client sent",
        SHOULD,
        _clause(
            "vLLM 0.33.0, serve/exception_handling/utils.py",
            "paths are removed from messages",
        ),
        checks.never_repeated(PATH, "a path"),
        scenarios=("path-in-audio",),
        proof=Proof(("echoes",)),
    ),
    shared.refused(
        "bad-base64",
        _clause(CODES, "code invalid_audio"),
        "invalid_audio",
    ),
    shared.refused(
        "foreign-characters",
        "RFC 4648, section 3.3: decoders MUST reject characters outside the alphabet; "
        "vLLM and sglang-omni drop these characters",
        "invalid_audio",
        level=SHOULD,
    ),
    Requirement(
        "odd-bytes-refused",
        "audio that ends in half a sample is refused",
        MUST,
        _clause(CODES, "code invalid_audio")
        + "; huggingface/speech-to-speech#410, wyoming-faster-whisper#98",
        checks.refused("odd-bytes", "half a sample", "invalid_audio"),
        scenarios=("odd-bytes",),
        proof=Proof(("wrong-codes",)),
    ),
    Requirement(
        "empty-audio-refused",
        "audio without samples is refused",
        MUST,
        _clause(CODES, "code invalid_audio"),
        checks.refused("empty-audio", "audio without samples", "invalid_audio"),
        scenarios=("empty-audio",),
        proof=Proof(("tolerant",)),
    ),
    Requirement(
        "refusal-amid-speech",
        "refused audio in mid-utterance does not affect the utterance",
        SHOULD,
        _clause(CODES, "an error leaves the connection and the utterance open"),
        checks.refused("odd-bytes-amid-speech", "half a sample", "invalid_audio"),
        scenarios=("odd-bytes-amid-speech",),
        proof=Proof(("refused-audio-ends",)),
    ),
    shared.stated(
        "unknown-event-amid-speech",
        _clause(CODES, "an error leaves the connection and the utterance open"),
    ),
    shared.stated(
        "binary-answered",
        "RFC 6455, section 7.4.1: close code 1003 for data that cannot be accepted; "
        "vLLM 0.33.0 ends the session without an explanation",
    ),
    *shared.SIZES,
    # Texts and finals
    *shared.restated(
        shared.TEXTS,
        shared.stated(
            "text-while-speaking",
            _clause(DOCUMENTED, "deltas come while audio is appended"),
        ),
    ),
    *shared.LENGTHS,
    shared.NO_LOSS,
    *shared.restated(
        shared.EMPTY,
        shared.stated("empty-utterance-finishes", proof=Proof(("no-final-empty",))),
    ),
    Requirement(
        "stray-final-is-silent",
        "a final commit without an open utterance is not answered",
        INFO,
        _clause(CODES, "a final commit only marks the end of the queued audio"),
        checks.silent("stray-final", "a final commit without an open utterance"),
        scenarios=("stray-final",),
        proof=Proof(("answers-stray",)),
    ),
    Requirement(
        "stray-final-spoils-nothing",
        "a final commit without an open utterance does not affect later utterances",
        MUST,
        HARM + ": the start of the next utterance, or all of it, is lost",
        checks.both(checks.finishes("stray-final"), checks.same_text("stray-final")),
        scenarios=("alone", "stray-final"),
        proof=Proof(("stale-final",)),
    ),
    Requirement(
        "unbegun-utterance-answered",
        "an utterance without a starting commit still gets a final or an error",
        MUST,
        HARM + ": accepted audio gets no answer",
        checks.utterances_answered(
            "unbegun", "an utterance without a starting commit", finals=1
        ),
        scenarios=("unbegun",),
        proof=Proof(("unbegun-ignored",)),
    ),
    Requirement(
        "early-utterance-answered",
        "if an utterance begins before the previous final, it gets its own final or an "
        "error",
        SHOULD,
        "the documented order forbids this starting commit; vLLM 0.33.0 ignores it and "
        "drops the audio, so a client that sends speech without pauses loses speech",
        checks.utterances_answered(
            "early-begin",
            "the utterance that began before the previous final",
            finals=2,
        ),
        scenarios=("early-begin",),
        proof=Proof(("early-begin-ignored",)),
    ),
    Requirement(
        "second-final-spoils-nothing",
        "a second final commit does not affect later utterances",
        MUST,
        HARM + ": the start of the next utterance, or all of it, is lost",
        checks.both(checks.finishes("second-final"), checks.same_text("second-final")),
        scenarios=("alone", "second-final"),
        proof=Proof(("stale-final",)),
    ),
    Requirement(
        "late-audio-spoils-nothing",
        "no later text has words from audio that was sent between the final commit and "
        "the final",
        MUST,
        HARM + "; " + bug("FunASR#630"),
        checks.both(
            checks.finishes("late-audio"),
            checks.if_in_time(
                "late-audio", checks.kept_apart("late-audio", later=True)
            ),
        ),
        scenarios=("alone", "late-audio"),
        proof=Proof(("late-audio-kept",)),
    ),
    Requirement(
        "second-begin-is-silent",
        "a second starting commit in mid-utterance is not answered",
        INFO,
        _clause(CODES, "a starting commit is ignored while an utterance is open"),
        checks.silent("second-begin", "a second starting commit"),
        scenarios=("second-begin",),
        proof=Proof(("answers-stray",)),
    ),
    Requirement(
        "second-begin-spoils-nothing",
        "after a second starting commit in mid-utterance, no part of the utterance is "
        "lost",
        SHOULD,
        _clause(CODES, "a starting commit is ignored while an utterance is open"),
        checks.both(
            checks.finishes("second-begin"), checks.has_first_word("second-begin")
        ),
        scenarios=("alone", "second-begin"),
        proof=Proof(("restarts-on-begin",)),
    ),
    *shared.PAUSES,
    *shared.QUIET_NOISE,
    *shared.KEEPING_UP,
    # Several utterances
    *shared.restated(
        shared.NEIGHBOURS,
        shared.stated(
            "utterances-finish",
            _clause(DOCUMENTED, "the next utterance begins with the next commit"),
            proof=Proof(("forgets-model",)),
        ),
    ),
    *shared.SET_UPS,
    # Connections
    *shared.LIFE,
    Requirement(
        "abandoned-freed",
        "abandoned sessions are freed",
        SHOULD,
        _clause(
            "vLLM 0.33.0, speech_to_text/realtime/metrics.py",
            "the gauge of open connections",
        ),
        checks.freed("abandoned", "vllm:websocket_connections_active"),
        scenarios=("abandoned",),
        proof=Proof(("leaks",)),
    ),
    Requirement(
        "abandoned-requests-freed",
        "the engine stops computing for abandoned sessions",
        SHOULD,
        _clause(CODES, "the request of a disconnected client is aborted"),
        checks.freed("abandoned", "vllm:num_requests_running"),
        scenarios=("abandoned",),
        proof=Proof(("leaks-requests",)),
    ),
    *shared.restated(
        shared.HANDSHAKES,
        shared.stated(
            "wrong-key-refused",
            _clause(
                "vLLM 0.33.0, serve/middleware/authenticate.py",
                "HTTP 401 without the key",
            ),
        ),
    ),
    *shared.restated(
        shared.MANY,
        shared.stated(
            "crowd-has-unique-ids",
            _clause(SHAPES, "each id is random"),
        ),
    ),
    *shared.SAME_TEXT,
    *shared.LOST_WORDS,
    *shared.binding_clients(
        TABLE,
        start=START,
        clauses=(
            _clause(DOCUMENTED, "the order of events"),
            _clause(SHAPES, "the fields of each event"),
            _clause(CODES, "code unknown_event"),
        ),
    ),
)
