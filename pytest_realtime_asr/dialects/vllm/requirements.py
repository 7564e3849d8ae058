"""What a server of vLLM's protocol has to do, with the clause or the bug behind it.

MUST stands where vLLM's documentation of that version says so, or where the harm is
universal: the process dies, accepted input is met with silence, another session's text
comes, a head or a tail is lost, a stack trace or a secret is shown. SHOULD is what
clients rely on. INFO tells an oddity that is documented.
"""

from __future__ import annotations

from pytest_realtime_asr.dialects.vllm.events import (
    OWING,
    START,
    TABLE,
    CommitEvent,
    Delta,
    Done,
    Error,
    SessionCreated,
    SessionUpdated,
)
from pytest_realtime_asr.dialects.vllm.invalid_frames import PATH
from pytest_realtime_asr.requirements import checks, shared
from pytest_realtime_asr.requirements.evidence import Evidence
from pytest_realtime_asr.requirements.order import PossibleStates, order
from pytest_realtime_asr.requirements.requirement import (
    Level,
    Outcome,
    Proof,
    Requirement,
    Satisfied,
    Undecided,
    Violated,
    each,
)
from pytest_realtime_asr.requirements.shared import HARM, READ, bug
from pytest_realtime_asr.trace.recording import Message, Recording
from pytest_realtime_asr.trace.records import Sender

DOCUMENTED = "vLLM 0.33.0, speech_to_text/realtime/api_router.py"
CODES = "vLLM 0.33.0, speech_to_text/realtime/connection.py"
SHAPES = "vLLM 0.33.0, speech_to_text/realtime/protocol.py"
_OWN = ("session.", "transcription.", "input_audio_buffer.", "conversation.", "error")
_CREATED_SLACK = 24 * 3600  # s by which two clocks may differ

MUST, SHOULD, INFO = Level.MUST, Level.SHOULD, Level.INFO


def _identity(message: Message) -> str | None:
    return message.id if isinstance(message, SessionCreated) else None


def _deltas_add_up(observation: Recording) -> Outcome:
    """The deltas of an utterance, joined, are the text of its done.

    An error may have ended an utterance, so that the next begins anew after it.
    """
    wrong, example, judged = [], "", 0
    pieces: list[str] = []
    length, starts = 0, {0}  # in characters
    for index, message in enumerate(observation.messages):
        match message:
            case Delta(delta=delta):
                pieces.append(delta)
                length += len(delta)
            case Error():
                starts.add(length)
            case Done(text=said):
                judged += 1
                text = "".join(pieces)
                if not (text.endswith(said) and length - len(said) in starts):
                    example = example or f"{text!r}, but done says {said!r}"
                    wrong.append(index)
                pieces, length, starts = [], 0, {0}
    if wrong:
        return Violated(f"the deltas add up to {example}", tuple(wrong))
    return Satisfied() if judged else Undecided("no transcription.done came")


def _one_final(observation: Recording) -> Outcome:
    """Each utterance whose audio was completed ends in one done, or in an error.

    An error while an utterance is open may have ended it, or may refuse but one frame
    and let the utterance go on; a done that comes yet shows the latter. What a commit
    written by hand may have ended is not known. Where errors ended all utterances, no
    final shows anything.
    """
    states = PossibleStates(TABLE, start=START, of=Sender.SERVER)
    begun, finals = False, 0
    asked, extra = [], []
    for index, record in enumerate(observation.trace.records):
        message = observation.messages[index]
        ours = record.sender is Sender.CLIENT
        (states.receive if ours else states.send)(message.move)
        match message:
            case CommitEvent() if record.raw:
                return Undecided("a commit was written by hand")
            case CommitEvent(final=False):
                begun = True
            case CommitEvent() if begun:
                asked.append(index)
                begun = False
            case Done() if finals == len(asked):
                extra.append(index)
            case Done():
                finals += 1
    if extra:
        return Violated("a transcription.done that no commit asked for", tuple(extra))
    if not asked:
        return Undecided("no audio was completed")
    if states.final != {OWING}:
        if not finals:
            return Undecided("every utterance was ended by an error")
        return Satisfied()
    if checks.cut(observation):
        return Undecided("we closed before the transcription was done")
    return Violated(
        f"no transcription.done came: {checks.ended(observation)}", (asked[-1],)
    )


def _usage_adds_up(observation: Recording) -> Outcome:
    """The usage of each done is there, not negative, and its parts give its total."""
    done = checks.records(observation, Done, Sender.SERVER)
    if not done:
        return Undecided("no transcription.done came")
    for index in done:
        message = observation.messages[index]
        assert isinstance(message, Done)
        tokens = message.usage
        if tokens is None:
            return Violated("transcription.done carries no usage", (index,))
        prompt, completion = tokens.prompt_tokens, tokens.completion_tokens
        if min(prompt, completion) < 0 or prompt + completion != tokens.total_tokens:
            counts = f"{prompt} + {completion} is not {tokens.total_tokens}"
            return Violated(f"usage does not add up: {counts}", (index,))
    return Satisfied()


def _created_now(observation: Recording) -> Outcome:
    """``created`` is the time at which the session was created, in unix seconds."""
    for index, message in enumerate(observation.messages):
        if isinstance(message, SessionCreated):
            off = message.created - observation.trace.started.timestamp()
            if abs(off) > _CREATED_SLACK:
                return Violated(f"created is {message.created}", (index,))
            return Satisfied()
    return Undecided("no session.created came")


def _tokens_for_text(observation: Recording) -> Outcome:
    """A final with text counts tokens of the text, and of its audio."""
    judged = False
    for index in checks.records(observation, Done, Sender.SERVER):
        message = observation.messages[index]
        assert isinstance(message, Done)
        if not message.text.strip() or message.usage is None:
            continue
        judged = True
        if not (message.usage.completion_tokens and message.usage.prompt_tokens):
            return Violated(f"{message.text!r} counts {message.usage}", (index,))
    return Satisfied() if judged else Undecided("no text with a usage came")


def _unacknowledged(evidence: Evidence) -> Outcome:
    """An accepted session.update is answered by nothing."""
    judged = False
    for place, part in enumerate(evidence.parts):
        acks = checks.records(part.recording, SessionUpdated, Sender.SERVER)
        if acks:
            return Violated("session.updated came", tuple(acks), place)
        judged = judged or part.text(0) is not None
    return Satisfied() if judged else Undecided("no session came to a final")


def _clause(where: str, sentence: str) -> str:
    return f"{where}: {sentence} ({READ})"


REQUIREMENTS: tuple[Requirement, ...] = (
    shared.stated(
        "first-event",
        _clause(DOCUMENTED, "the server sends session.created on connection"),
        each(checks.first_event(_identity)),
    ),
    Requirement(
        "created-now",
        "session.created tells the time at which it was created",
        SHOULD,
        _clause(SHAPES, "created is a time in unix seconds"),
        each(_created_now),
        scenarios=("utterances",),
        passive=True,
        proof=Proof(("old-clock",)),
    ),
    shared.stated(
        "unique-ids",
        _clause(SHAPES, "each id is a random one"),
    ),
    Requirement(
        "update-is-silent",
        "an accepted session.update is not answered",
        INFO,
        _clause(CODES, "a set-up that is accepted sends nothing"),
        _unacknowledged,
        scenarios=("update-again",),
        proof=Proof(("acknowledges",)),
    ),
    shared.stated(
        "update-again",
        _clause(CODES, "session.update is accepted at any time"),
    ),
    Requirement(
        "unknown-fields-ignored",
        "a field that the server does not know does no harm",
        SHOULD,
        _clause(SHAPES, "events allow fields beyond their own"),
        checks.finishes("extra-field"),
        scenarios=("extra-field",),
        proof=Proof(("strict-fields",)),
    ),
    Requirement(
        "audio-before-update",
        "audio may come before the set-up",
        SHOULD,
        _clause(CODES, "audio is queued whether the model is validated or not"),
        checks.both(checks.finishes("early-audio"), checks.has_clip("early-audio")),
        scenarios=("alone", "early-audio"),
        proof=Proof(("no-early-audio",)),
    ),
    # The shapes and the order of what is said
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
        each(_deltas_add_up),
    ),
    Requirement(
        "one-final",
        "each utterance ends in exactly one final",
        MUST,
        _clause(DOCUMENTED, "transcription.done ends each utterance") + "; vllm#33962",
        each(_one_final),
        scenarios=("utterances",),
        passive=True,
        proof=Proof(("two-finals",)),
    ),
    shared.stated(
        "usage-adds-up",
        _clause(CODES, "total_tokens is the sum of its parts"),
        each(_usage_adds_up),
    ),
    shared.stated(
        "usage-counts",
        _clause(CODES, "usage counts the prompt and all tokens of the text"),
        each(_tokens_for_text),
    ),
    shared.stated(
        "errors-have-codes",
        _clause(CODES, "each error is sent with a code"),
    ),
    *shared.taken(
        "closes-are-explained",
        "no-stack-trace",
        "no-secret",
        "whole-characters",
        "no-control-tokens",
    ),
    shared.stated("no-early-text", proof=Proof(("early-text",))),
    # Refusals, each of which the session and the server outlive
    shared.refused(
        "bad-json",
        _clause(CODES, "code invalid_json"),
        "invalid_json",
    ),
    shared.refused(
        "no-object",
        _clause(CODES, "code processing_error"),
    ),
    *shared.taken(
        "deep-json-outlived",
        "huge-json-outlived",
        "duplicate-keys-refused",
        "not-a-number-outlived",
        "lone-surrogates-outlived",
    ),
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
        checks.refused("foreign-events", "an event of OpenAI's", "unknown_event"),
        scenarios=("foreign-events",),
        proof=Proof(("wrong-codes",)),
    ),
    shared.refused(
        "append-without-audio",
        _clause(CODES, "what its schema refuses is answered by processing_error"),
    ),
    shared.refused(
        "append-wrong-type",
        _clause(CODES, "what its schema refuses is answered by processing_error"),
    ),
    Requirement(
        "commit-wrong-type-refused",
        "a commit whose `final` is neither true nor false is refused",
        MUST,
        _clause(CODES, "what its schema refuses is answered by processing_error"),
        checks.refused("commit-wrong-type", "a commit of a wrong type"),
        scenarios=("commit-wrong-type",),
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
        "a set-up without a model is refused as invalid_event",
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
        "a set-up with a model that is no text is refused",
        SHOULD,
        _clause(SHAPES, "model is a text"),
        checks.refused("update-wrong-type", "a model that is no text"),
        scenarios=("update-wrong-type",),
        proof=Proof(("tolerant",)),
    ),
    shared.refused(
        "unknown-model",
        "accepted by vLLM 0.16.0, which checks it and forgets the result",
        level=SHOULD,
        proof=Proof(("accepts-any-model",)),
    ),
    Requirement(
        "unknown-model-code",
        "a model that is not there is refused as model_not_found",
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
        "a commit that was refused starts nothing",
        SHOULD,
        "vLLM 0.16.0 refuses it and starts all the same",
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
            "early-final", "a final commit before the set-up", "model_not_validated"
        ),
        scenarios=("early-final",),
        proof=Proof(("wrong-codes",)),
    ),
    Requirement(
        "early-final-spoils-nothing",
        "a final commit that was refused spoils no later utterance",
        MUST,
        HARM + ": the head of the next utterance, or all of it, is lost",
        checks.both(checks.finishes("early-final"), checks.same_text("early-final")),
        scenarios=("alone", "early-final"),
        proof=Proof(("refused-final-kept",)),
    ),
    Requirement(
        "paths-removed",
        "an error repeats no path",
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
        "RFC 4648, section 3.3: MUST reject characters outside the alphabet; "
        "vLLM and sglang-omni drop them",
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
        "audio of no samples is refused",
        MUST,
        _clause(CODES, "code invalid_audio"),
        checks.refused("empty-audio", "audio of no samples", "invalid_audio"),
        scenarios=("empty-audio",),
        proof=Proof(("tolerant",)),
    ),
    Requirement(
        "refusal-amid-speech",
        "audio that is refused in mid-utterance leaves the utterance alone",
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
        "RFC 6455, section 7.4.1: 1003 for data that cannot be accepted; "
        "vLLM 0.33.0 ends the session without a word",
    ),
    *shared.taken(
        "big-audio-outlived",
        "oversized-frame-closed",
        "oversized-frame-outlived",
        "flood-outlived",
    ),
    # Transcription
    *shared.taken(
        "text-of-speech",
    ),
    shared.stated(
        "text-while-speaking",
        _clause(DOCUMENTED, "deltas come while audio is appended"),
    ),
    *shared.taken(
        "no-stall",
        "no-repetition",
    ),
    # Ends
    *shared.taken(
        "finishes-0.1s",
        "finishes-0.5s",
        "finishes-1s",
        "finishes-2s",
        "finishes-10s",
        "finishes-35s",
    ),
    shared.stated("empty-utterance-finishes", proof=Proof(("no-final-empty",))),
    *shared.taken("empty-utterance-is-wordless"),
    Requirement(
        "stray-final-is-silent",
        "a final commit with nothing begun is not answered",
        INFO,
        _clause(CODES, "a final commit only ends the audio that is queued"),
        checks.silent("stray-final", "a final commit with nothing begun"),
        scenarios=("stray-final",),
        proof=Proof(("answers-stray",)),
    ),
    Requirement(
        "stray-final-spoils-nothing",
        "a final commit with nothing begun spoils no later utterance",
        MUST,
        HARM + ": the head of the next utterance, or all of it, is lost",
        checks.both(checks.finishes("stray-final"), checks.same_text("stray-final")),
        scenarios=("alone", "stray-final"),
        proof=Proof(("stale-final",)),
    ),
    Requirement(
        "second-final-spoils-nothing",
        "a second final commit spoils no later utterance",
        MUST,
        HARM + ": the head of the next utterance, or all of it, is lost",
        checks.both(checks.finishes("second-final"), checks.same_text("second-final")),
        scenarios=("alone", "second-final"),
        proof=Proof(("stale-final",)),
    ),
    Requirement(
        "late-audio-spoils-nothing",
        "audio between the final commit and the final gets into no later utterance",
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
        "a second commit in mid-utterance is not answered",
        INFO,
        _clause(CODES, "a commit while an utterance is open is ignored"),
        checks.silent("second-begin", "a second commit"),
        scenarios=("second-begin",),
        proof=Proof(("answers-stray",)),
    ),
    Requirement(
        "second-begin-spoils-nothing",
        "a second commit in mid-utterance loses nothing of it",
        SHOULD,
        _clause(CODES, "a commit while an utterance is open is ignored"),
        checks.both(
            checks.finishes("second-begin"), checks.has_first_word("second-begin")
        ),
        scenarios=("alone", "second-begin"),
        proof=Proof(("restarts-on-begin",)),
    ),
    *shared.taken(
        "silence-finishes",
        "silence-is-wordless",
        "pause-finishes",
        "pause-loses-nothing",
        "long-keeps-its-begin",
    ),
    # Several utterances
    shared.stated(
        "utterances-finish",
        _clause(DOCUMENTED, "the next utterance begins with the next commit"),
        proof=Proof(("forgets-model",)),
    ),
    *shared.taken(
        "utterances-kept-apart",
        "head-present",
        "tail-present",
    ),
    # The life of a connection
    *shared.taken(
        "pong",
        "pong-under-load",
        "idle-outlived",
        "fragments-joined",
        "close-answered",
        "close-amid-speech-outlived",
        "reset-outlived",
        "half-open-outlived",
        "empty-reset-outlived",
        "abandoned-outlived",
    ),
    Requirement(
        "abandoned-freed",
        "sessions that are left are freed",
        SHOULD,
        _clause(
            "vLLM 0.33.0, speech_to_text/realtime/metrics.py",
            "the gauge of open connections",
        ),
        checks.freed("abandoned", "vllm:websocket_connections_active"),
        scenarios=("abandoned",),
        proof=Proof(("leaks",)),
    ),
    *shared.taken(
        "wrong-path-refused",
    ),
    shared.stated(
        "wrong-key-refused",
        _clause(
            "vLLM 0.33.0, serve/middleware/authenticate.py", "HTTP 401 without the key"
        ),
    ),
    *shared.taken(
        "plain-http-refused",
        "one-process",
    ),
    # Many connections
    *shared.taken(
        "crowd-finishes",
    ),
    shared.stated(
        "crowd-has-unique-ids",
        _clause(SHAPES, "each id is a random one"),
    ),
    *shared.taken(
        "crowd-kept-apart",
        "slow-reader-harms-nobody",
        "random-sessions",
    ),
    # Relations, which need no reference text
    *shared.taken(
        "same-text-20ms-chunks",
        "same-text-100ms-chunks",
        "same-text-1s-chunks",
        "same-text-fast",
        "same-text-again",
        "same-text-crowd",
        "same-text-after-silence",
        "same-text-half-gain",
    ),
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
