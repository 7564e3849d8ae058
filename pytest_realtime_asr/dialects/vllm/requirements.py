"""What a server of vLLM's protocol has to do, with the clause or the bug behind it.

MUST stands where vLLM's documentation of that version says so, or where the harm is
universal: the process dies, accepted input is met with silence, another session's text
comes, a head or a tail is lost, a stack trace or a secret is shown. SHOULD is what
clients rely on. INFO tells an oddity that is documented.
"""

from __future__ import annotations

from pytest_realtime_asr import judges
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
from pytest_realtime_asr.dialects.vllm.misuses import PATH
from pytest_realtime_asr.evidence import Evidence, Message, Observation
from pytest_realtime_asr.frames import Malformed, Unknown
from pytest_realtime_asr.rules import (
    Course,
    Judge,
    Level,
    Outcome,
    Requirement,
    Satisfied,
    Undecided,
    Violated,
    each,
    order,
)
from pytest_realtime_asr.trace import Ending, Sender

DOCUMENTED = "vLLM 0.33.0, speech_to_text/realtime/api_router.py"
CODES = "vLLM 0.33.0, speech_to_text/realtime/connection.py"
SHAPES = "vLLM 0.33.0, speech_to_text/realtime/protocol.py"
HARM = "harm to every client"
READ = "read 2026-11-22"
_OWN = ("session.", "transcription.", "input_audio_buffer.", "conversation.", "error")
_CREATED_SLACK = 24 * 3600  # s by which two clocks may differ

MUST, SHOULD, INFO = Level.MUST, Level.SHOULD, Level.INFO


def _records(observation: Observation, kind: type, sender: Sender) -> list[int]:
    """The indexes of the records of ``sender`` that hold a message of this kind."""
    return [
        index
        for index, (record, message) in enumerate(
            zip(observation.trace.records, observation.messages, strict=True)
        )
        if record.sender is sender and isinstance(message, kind)
    ]


def _cut(observation: Observation) -> bool:
    """Whether it was we who ended the session, so that the rest is not known."""
    return observation.trace.end.how in (Ending.CLOSED_BY_US, Ending.CANCELLED)


def _why(observation: Observation) -> str:
    """Why the session ended."""
    end = observation.trace.end
    return end.reason or end.how.value


def _first_event(observation: Observation) -> Outcome:
    """The first frame of the server is session.created with an id."""
    records = observation.trace.records
    first = next((i for i, r in enumerate(records) if r.sender is Sender.SERVER), None)
    if first is None:
        if observation.trace.opened is None or _cut(observation):
            return Undecided("the session was over before the server could speak")
        return Violated(f"nothing came: {_why(observation)}", ())
    message = observation.messages[first]
    if not isinstance(message, SessionCreated):
        return Violated(f"the first event was {_name(message)}", (first,))
    if not message.id:
        return Violated("session.created has an empty id", (first,))
    return Satisfied()


def _name(message: Message) -> str:
    match message:
        case Unknown(type=kind):
            return f"of unknown type {kind!r}"
        case Malformed(reason=reason):
            return reason
    return message.move


def _deltas_add_up(observation: Observation) -> Outcome:
    """The deltas of an utterance, joined, are the text of its done.

    An error may have ended an utterance, so that the next begins anew after it.
    """
    wrong, example, judged = [], "", 0
    pieces: list[str] = []
    starts = [0]
    for index, message in enumerate(observation.messages):
        match message:
            case Delta(delta=delta):
                pieces.append(delta)
            case Error():
                starts.append(len(pieces))
            case Done(text=said):
                judged += 1
                if all("".join(pieces[start:]) != said for start in starts):
                    text = "".join(pieces)
                    example = example or f"{text!r}, but done says {said!r}"
                    wrong.append(index)
                pieces, starts = [], [0]
    if wrong:
        return Violated(f"the deltas add up to {example}", tuple(wrong))
    return Satisfied() if judged else Undecided("no transcription.done came")


def _one_final(observation: Observation) -> Outcome:
    """Each utterance whose audio was completed ends in one done, or in an error.

    An error while an utterance is open may have ended it, or may refuse but one frame
    and let the utterance go on; a done that comes yet shows the latter. What a commit
    written by hand may have ended is not known.
    """
    course = Course(TABLE, start=START, peer=Sender.SERVER)
    begun, finals = False, 0
    asked, extra = [], []
    for index, record in enumerate(observation.trace.records):
        message = observation.messages[index]
        ours = record.sender is Sender.CLIENT
        (course.say if ours else course.hear)(message.move)
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
    if course.settled != {OWING}:
        return Satisfied()
    if _cut(observation):
        return Undecided("we closed before the transcription was done")
    return Violated(f"no transcription.done came: {_why(observation)}", (asked[-1],))


def _usage_adds_up(observation: Observation) -> Outcome:
    """The usage of each done is there, not negative, and its parts give its total."""
    done = _records(observation, Done, Sender.SERVER)
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


def _spoke(observation: Observation, sender: Sender) -> Outcome:
    """Whether this side sent anything by which it could be judged."""
    if any(record.sender is sender for record in observation.trace.records):
        return Satisfied()
    return Undecided(f"the {sender.value} said nothing")


def _well_formed(sender: Sender) -> Judge:
    """A judge: every frame of this side is an event with the fields of its type."""

    def judge(observation: Observation) -> Outcome:
        wrong = _records(observation, Malformed, sender)
        if wrong:
            return Violated(_name(observation.messages[wrong[0]]), tuple(wrong))
        return _spoke(observation, sender)

    return judge


def _known_events(sender: Sender) -> Judge:
    """A judge: this side sends no event that the protocol does not know.

    What a server calls by a name outside of the protocol's own is an extension.
    """

    def judge(observation: Observation) -> Outcome:
        wrong = [
            index
            for index in _records(observation, Unknown, sender)
            if sender is Sender.CLIENT or _claims(observation.messages[index])
        ]
        if wrong:
            name = _name(observation.messages[wrong[0]])
            return Violated(f"an event {name}", tuple(wrong))
        return _spoke(observation, sender)

    return judge


def _claims(message: Message) -> bool:
    """Whether an unknown event is called like one of the protocol, or has no type."""
    assert isinstance(message, Unknown)
    return message.type is None or message.type.startswith(_OWN)


def _created_now(observation: Observation) -> Outcome:
    """``created`` is the time at which the session was created, in unix seconds."""
    for index, message in enumerate(observation.messages):
        if isinstance(message, SessionCreated):
            off = message.created - observation.trace.started.timestamp()
            if abs(off) > _CREATED_SLACK:
                return Violated(f"created is {message.created}", (index,))
            return Satisfied()
    return Undecided("no session.created came")


def _tokens_for_text(observation: Observation) -> Outcome:
    """A final with text counts tokens of the text, and of its audio."""
    judged = False
    for index in _records(observation, Done, Sender.SERVER):
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
        acks = _records(part.observation, SessionUpdated, Sender.SERVER)
        if acks:
            return Violated("session.updated came", tuple(acks), place)
        judged = judged or part.text(0) is not None
    return Satisfied() if judged else Undecided("no session came to a final")


def _bug(*threads: str) -> str:
    return f"bug reports: {', '.join(threads)} ({READ})"


def _clause(where: str, sentence: str) -> str:
    return f"{where}: {sentence} ({READ})"


REQUIREMENTS: tuple[Requirement, ...] = (
    # The session and its identity
    Requirement(
        "first-event",
        "session.created comes first and carries an id",
        MUST,
        _clause(DOCUMENTED, "the server sends session.created on connection"),
        each(_first_event),
        scenarios=("utterances",),
        passive=True,
    ),
    Requirement(
        "created-now",
        "session.created tells the time at which it was created",
        SHOULD,
        _clause(SHAPES, "created is a time in unix seconds"),
        each(_created_now),
        scenarios=("utterances",),
        passive=True,
    ),
    Requirement(
        "unique-ids",
        "each session has an id of its own",
        MUST,
        _clause(SHAPES, "each id is a random one"),
        judges.unique_ids("alone", "utterances"),
        scenarios=("alone", "utterances"),
    ),
    Requirement(
        "update-is-silent",
        "an accepted session.update is not answered",
        INFO,
        _clause(CODES, "a set-up that is accepted sends nothing"),
        _unacknowledged,
        scenarios=("update-again",),
    ),
    Requirement(
        "update-again",
        "a session may be set up twice",
        SHOULD,
        _clause(CODES, "session.update is accepted at any time"),
        judges.finishes("update-again"),
        scenarios=("update-again",),
    ),
    Requirement(
        "unknown-fields-ignored",
        "a field that the server does not know does no harm",
        SHOULD,
        _clause(SHAPES, "events allow fields beyond their own"),
        judges.finishes("extra-field"),
        scenarios=("extra-field",),
    ),
    Requirement(
        "audio-before-update",
        "audio may come before the set-up",
        SHOULD,
        _clause(CODES, "audio is queued whether the model is validated or not"),
        judges.both(judges.finishes("early-audio"), judges.present("early-audio")),
        scenarios=("alone", "early-audio"),
    ),
    # The shapes and the order of what is said
    Requirement(
        "order",
        "events come in the documented order",
        MUST,
        _clause(DOCUMENTED, "the order of events"),
        each(order(TABLE, start=START)),
        scenarios=("utterances",),
        passive=True,
    ),
    Requirement(
        "well-formed",
        "every frame is an event with the fields of its type",
        MUST,
        _clause(SHAPES, "the fields of each event"),
        each(_well_formed(Sender.SERVER)),
        scenarios=("utterances",),
        passive=True,
    ),
    Requirement(
        "known-events",
        "no event in the protocol's own name that it does not know",
        SHOULD,
        _clause(SHAPES, "the types of events") + "; mastra-ai/mastra#16759",
        each(_known_events(Sender.SERVER)),
        scenarios=("utterances",),
        passive=True,
    ),
    Requirement(
        "deltas-add-up",
        "the deltas, joined, are the final text",
        MUST,
        _clause(CODES, "done.text is the concatenation of the deltas")
        + "; huggingface/speech-to-speech#474, vllm-omni#3907",
        each(_deltas_add_up),
        scenarios=("utterances",),
        passive=True,
    ),
    Requirement(
        "one-final",
        "each utterance ends in exactly one final",
        MUST,
        _clause(DOCUMENTED, "transcription.done ends each utterance") + "; vllm#33962",
        each(_one_final),
        scenarios=("utterances",),
        passive=True,
    ),
    Requirement(
        "usage-adds-up",
        "usage is sane and adds up",
        MUST,
        _clause(CODES, "total_tokens is the sum of its parts"),
        each(_usage_adds_up),
        scenarios=("utterances",),
        passive=True,
    ),
    Requirement(
        "usage-counts",
        "a text counts tokens, and so does its audio",
        SHOULD,
        _clause(CODES, "usage counts the prompt and all tokens of the text"),
        each(_tokens_for_text),
        scenarios=("utterances",),
        passive=True,
    ),
    Requirement(
        "errors-have-codes",
        "each error has a message and a code",
        SHOULD,
        _clause(CODES, "each error is sent with a code"),
        judges.coded,
        scenarios=("unknown-event",),
        passive=True,
    ),
    Requirement(
        "closes-are-explained",
        "a server that ends a session says why before",
        SHOULD,
        _bug("sglang-omni#706", "livekit/agents#2774", "vllm#39996"),
        judges.explained_close,
        scenarios=("utterances", "binary", "idle"),
        passive=True,
    ),
    Requirement(
        "no-stack-trace",
        "no stack trace is shown",
        MUST,
        HARM,
        judges.no_trace,
        scenarios=("append-wrong-type", "no-object", "plain-http"),
        passive=True,
    ),
    Requirement(
        "no-secret",
        "the client's key is never sent back",
        MUST,
        HARM,
        judges.no_secret,
        scenarios=("utterances", "unknown-event"),
        passive=True,
    ),
    Requirement(
        "whole-characters",
        "no character of a text is cut or replaced",
        MUST,
        _bug("WhisperLiveKit#261", "openai/codex#35161", "0xShug0/audio.cpp#552"),
        judges.whole_characters,
        scenarios=("utterances",),
        passive=True,
    ),
    Requirement(
        "no-control-tokens",
        "no token of the model gets into a text",
        SHOULD,
        _bug("vllm#35767", "vllm#47421"),
        judges.no_control_tokens,
        scenarios=("utterances",),
        passive=True,
    ),
    Requirement(
        "no-early-text",
        "no text comes before any audio",
        SHOULD,
        "a first text that nothing was said for makes every latency a lie",
        judges.not_early,
        scenarios=("utterances",),
        passive=True,
    ),
    # Refusals, each of which the session and the server outlive
    Requirement(
        "bad-json-refused",
        "text that is no JSON is refused",
        MUST,
        _clause(CODES, "code invalid_json"),
        judges.refused("bad-json", "text that is no JSON", "invalid_json"),
        scenarios=("bad-json",),
    ),
    Requirement(
        "no-object-refused",
        "JSON that is no object is refused",
        MUST,
        _clause(CODES, "code processing_error"),
        judges.refused("no-object", "JSON that is no object"),
        scenarios=("no-object",),
    ),
    Requirement(
        "deep-json-outlived",
        "JSON nested 100,000 levels deep is refused, and outlived",
        SHOULD,
        HARM,
        judges.refused("deep-json", "deep JSON"),
        scenarios=("deep-json",),
    ),
    Requirement(
        "huge-json-outlived",
        "an event of 4 MiB harms nobody",
        MUST,
        HARM + "; " + _bug("FunASR#1756", "elevenlabs-python#482"),
        judges.survives("huge-json"),
        scenarios=("huge-json",),
    ),
    Requirement(
        "duplicate-keys-refused",
        "an unknown type that is named twice is refused",
        SHOULD,
        "RFC 8259, section 4: names within an object SHOULD be unique",
        judges.refused("duplicate-keys", "JSON with duplicate keys"),
        scenarios=("duplicate-keys",),
    ),
    Requirement(
        "not-a-number-outlived",
        "NaN and Infinity are refused, and outlived",
        SHOULD,
        "RFC 8259, section 6: Infinity and NaN are not permitted",
        judges.refused("not-a-number", "a value that is no number"),
        scenarios=("not-a-number",),
    ),
    Requirement(
        "lone-surrogates-outlived",
        "half a character in a name is refused, and outlived",
        SHOULD,
        "RFC 8259, section 8.2: unpaired surrogates lead to unpredictable behaviour",
        judges.refused("lone-surrogates", "half a character"),
        scenarios=("lone-surrogates",),
    ),
    Requirement(
        "no-type-refused",
        "an event without a type is refused",
        MUST,
        _clause(CODES, "code unknown_event"),
        judges.refused("no-type", "an event without a type", "unknown_event"),
        scenarios=("no-type",),
    ),
    Requirement(
        "unknown-event-refused",
        "an unknown event is refused by name",
        MUST,
        _clause(CODES, "code unknown_event"),
        judges.refused("unknown-event", "an unknown event", "unknown_event"),
        scenarios=("unknown-event",),
    ),
    Requirement(
        "foreign-events-refused",
        "events of OpenAI's protocol are refused",
        MUST,
        _clause(CODES, "code unknown_event") + "; huggingface/speech-to-speech#536",
        judges.refused("foreign-events", "an event of OpenAI's", "unknown_event"),
        scenarios=("foreign-events",),
    ),
    Requirement(
        "append-without-audio-refused",
        "an append without audio is refused",
        MUST,
        _clause(CODES, "what its schema refuses is answered by processing_error"),
        judges.refused("append-without-audio", "an append without audio"),
        scenarios=("append-without-audio",),
    ),
    Requirement(
        "append-wrong-type-refused",
        "audio that is no text is refused",
        MUST,
        _clause(CODES, "what its schema refuses is answered by processing_error"),
        judges.refused("append-wrong-type", "audio that is no text"),
        scenarios=("append-wrong-type",),
    ),
    Requirement(
        "commit-wrong-type-refused",
        "a commit whose `final` is neither true nor false is refused",
        MUST,
        _clause(CODES, "what its schema refuses is answered by processing_error"),
        judges.refused("commit-wrong-type", "a commit of a wrong type"),
        scenarios=("commit-wrong-type",),
    ),
    Requirement(
        "update-without-model-refused",
        "a set-up without a model is refused",
        MUST,
        _clause(CODES, "model is required"),
        judges.refused("update-without-model", "a set-up without a model"),
        scenarios=("update-without-model",),
    ),
    Requirement(
        "update-without-model-code",
        "a set-up without a model is refused as invalid_event",
        MUST,
        _clause(CODES, "code invalid_event"),
        judges.refused(
            "update-without-model", "a set-up without a model", "invalid_event"
        ),
        scenarios=("update-without-model",),
        since="0.22",
    ),
    Requirement(
        "update-wrong-type-refused",
        "a set-up with a model that is no text is refused",
        SHOULD,
        _clause(SHAPES, "model is a text"),
        judges.refused("update-wrong-type", "a model that is no text"),
        scenarios=("update-wrong-type",),
    ),
    Requirement(
        "unknown-model-refused",
        "a model that is not there is refused",
        SHOULD,
        "accepted by vLLM 0.16.0, which checks it and forgets the result",
        judges.refused("unknown-model", "an unknown model"),
        scenarios=("unknown-model",),
    ),
    Requirement(
        "unknown-model-code",
        "a model that is not there is refused as model_not_found",
        MUST,
        _clause(CODES, "code model_not_found"),
        judges.refused("unknown-model", "an unknown model", "model_not_found"),
        scenarios=("unknown-model",),
        since="0.22",
    ),
    Requirement(
        "early-commit-refused",
        "a commit before session.update is refused",
        MUST,
        _clause(CODES, "code model_not_validated"),
        judges.refused(
            "early-commit", "a commit before session.update", "model_not_validated"
        ),
        scenarios=("early-commit",),
    ),
    Requirement(
        "early-commit-has-no-effect",
        "a commit that was refused starts nothing",
        SHOULD,
        "vLLM 0.16.0 refuses it and starts all the same",
        judges.unheard("refused-begin"),
        scenarios=("refused-begin",),
    ),
    Requirement(
        "early-final-refused",
        "a final commit before session.update is refused",
        MUST,
        _clause(CODES, "code model_not_validated"),
        judges.refused(
            "early-final", "a final commit before the set-up", "model_not_validated"
        ),
        scenarios=("early-final",),
    ),
    Requirement(
        "early-final-spoils-nothing",
        "a final commit that was refused spoils no later utterance",
        MUST,
        HARM + ": the head of the next utterance, or all of it, is lost",
        judges.both(judges.finishes("early-final"), judges.same_text("early-final")),
        scenarios=("alone", "early-final"),
    ),
    Requirement(
        "paths-removed",
        "an error repeats no path",
        SHOULD,
        _clause(
            "vLLM 0.33.0, serve/exception_handling/utils.py",
            "paths are removed from messages",
        ),
        judges.unsaid(PATH, "a path"),
        scenarios=("path-in-audio",),
    ),
    Requirement(
        "bad-base64-refused",
        "audio that is no base64 is refused",
        MUST,
        _clause(CODES, "code invalid_audio"),
        judges.refused("bad-base64", "audio that is no base64", "invalid_audio"),
        scenarios=("bad-base64",),
    ),
    Requirement(
        "foreign-characters-refused",
        "audio with characters that are not of base64 is refused",
        SHOULD,
        "RFC 4648, section 3.3: MUST reject characters outside the alphabet; "
        "vLLM and sglang-omni drop them",
        judges.refused(
            "foreign-characters", "audio with foreign characters", "invalid_audio"
        ),
        scenarios=("foreign-characters",),
    ),
    Requirement(
        "odd-bytes-refused",
        "audio that ends in half a sample is refused",
        MUST,
        _clause(CODES, "code invalid_audio")
        + "; huggingface/speech-to-speech#410, wyoming-faster-whisper#98",
        judges.refused("odd-bytes", "half a sample", "invalid_audio"),
        scenarios=("odd-bytes",),
    ),
    Requirement(
        "empty-audio-refused",
        "audio of no samples is refused",
        MUST,
        _clause(CODES, "code invalid_audio"),
        judges.refused("empty-audio", "audio of no samples", "invalid_audio"),
        scenarios=("empty-audio",),
    ),
    Requirement(
        "refusal-amid-speech",
        "audio that is refused in mid-utterance leaves the utterance alone",
        SHOULD,
        _clause(CODES, "an error leaves the connection and the utterance open"),
        judges.refused("odd-bytes-amid-speech", "half a sample", "invalid_audio"),
        scenarios=("odd-bytes-amid-speech",),
    ),
    Requirement(
        "unknown-event-amid-speech",
        "an unknown event in mid-utterance leaves the utterance alone",
        SHOULD,
        _clause(CODES, "an error leaves the connection and the utterance open"),
        judges.refused("unknown-event-amid-speech", "an unknown event"),
        scenarios=("unknown-event-amid-speech",),
    ),
    Requirement(
        "binary-answered",
        "a binary frame is answered by an error or a proper close",
        SHOULD,
        "RFC 6455, section 7.4.1: 1003 for data that cannot be accepted; "
        "vLLM 0.33.0 ends the session without a word",
        judges.closed_with("binary", (1003, 1007, 1008)),
        scenarios=("binary",),
    ),
    Requirement(
        "big-audio-outlived",
        "15 MiB of audio in one frame harm nobody",
        MUST,
        HARM,
        judges.survives("big-audio"),
        scenarios=("big-audio",),
    ),
    Requirement(
        "oversized-frame-closed",
        "a frame of over 16 MiB is refused, or the session closed with 1009",
        SHOULD,
        "RFC 6455, section 7.4.1: 1009 for a message that is too big",
        judges.closed_with("oversized", (1008, 1009)),
        scenarios=("oversized",),
    ),
    Requirement(
        "oversized-frame-outlived",
        "a frame of over 16 MiB harms nobody else",
        MUST,
        HARM + "; " + _bug("FunASR#1756"),
        judges.survives("oversized"),
        scenarios=("oversized",),
    ),
    Requirement(
        "flood-outlived",
        "16 MiB of audio that no commit asks for harm nobody else",
        MUST,
        HARM + "; " + _bug("vllm#48130"),
        judges.survives("flood"),
        scenarios=("flood",),
    ),
    # Transcription
    Requirement(
        "text-of-speech",
        "speech gives text",
        MUST,
        _bug("vllm#47614", "sherpa-onnx#327"),
        judges.both(judges.finishes("alone"), judges.spoken_text("alone")),
        scenarios=("alone",),
    ),
    Requirement(
        "text-while-speaking",
        "text comes while the audio is still being sent",
        SHOULD,
        _clause(DOCUMENTED, "deltas come while audio is appended"),
        judges.meanwhile("10s"),
        scenarios=("10s",),
    ),
    Requirement(
        "no-stall",
        "text goes on coming while speech is sent",
        SHOULD,
        _bug("vllm#47614", "CrispASR#383"),
        judges.unstalled("10s", most=7.0),
        scenarios=("10s",),
    ),
    Requirement(
        "no-repetition",
        "nothing is said three times over",
        SHOULD,
        _bug("elevenlabs-python#686", "vllm#47264"),
        judges.unrepeated("alone"),
        scenarios=("alone",),
    ),
    # Ends
    *(
        Requirement(
            f"finishes-{name}",
            f"an utterance of {name} gets its final",
            MUST,
            _bug("vllm#33962", "NVIDIA/NeMo-Speech.cpp#49"),
            judges.finishes(name),
            scenarios=(name,),
        )
        for name in ("0.1s", "0.5s", "1s", "2s", "10s", "35s")
    ),
    Requirement(
        "empty-utterance-finishes",
        "an utterance without audio is answered, and the next one transcribed",
        MUST,
        HARM + "; " + _bug("vllm#34532"),
        judges.answers("empty"),
        scenarios=("empty",),
    ),
    Requirement(
        "empty-utterance-is-wordless",
        "an utterance without audio has no text",
        SHOULD,
        _bug("lemonade-sdk/lemonade#1739"),
        judges.wordless("empty", 0),
        scenarios=("empty",),
    ),
    Requirement(
        "stray-final-is-silent",
        "a final commit with nothing begun is not answered",
        INFO,
        _clause(CODES, "a final commit only ends the audio that is queued"),
        judges.silent("stray-final", "a final commit with nothing begun"),
        scenarios=("stray-final",),
    ),
    Requirement(
        "stray-final-spoils-nothing",
        "a final commit with nothing begun spoils no later utterance",
        MUST,
        HARM + ": the head of the next utterance, or all of it, is lost",
        judges.both(judges.finishes("stray-final"), judges.same_text("stray-final")),
        scenarios=("alone", "stray-final"),
    ),
    Requirement(
        "second-final-spoils-nothing",
        "a second final commit spoils no later utterance",
        MUST,
        HARM + ": the head of the next utterance, or all of it, is lost",
        judges.both(judges.finishes("second-final"), judges.same_text("second-final")),
        scenarios=("alone", "second-final"),
    ),
    Requirement(
        "late-audio-spoils-nothing",
        "audio between the final commit and the final gets into no later utterance",
        MUST,
        HARM + "; " + _bug("FunASR#630"),
        judges.both(
            judges.finishes("late-audio"),
            judges.in_time("late-audio", judges.kept_apart("late-audio", later=True)),
        ),
        scenarios=("alone", "late-audio"),
    ),
    Requirement(
        "second-begin-is-silent",
        "a second commit in mid-utterance is not answered",
        INFO,
        _clause(CODES, "a commit while an utterance is open is ignored"),
        judges.silent("second-begin", "a second commit"),
        scenarios=("second-begin",),
    ),
    Requirement(
        "second-begin-spoils-nothing",
        "a second commit in mid-utterance loses nothing of it",
        SHOULD,
        _clause(CODES, "a commit while an utterance is open is ignored"),
        judges.both(judges.finishes("second-begin"), judges.begins("second-begin")),
        scenarios=("alone", "second-begin"),
    ),
    Requirement(
        "silence-finishes",
        "an utterance of silence gets its final, and the next one is transcribed",
        MUST,
        HARM + "; " + _bug("lemonade-sdk/lemonade#1739", "vllm#36015"),
        judges.finishes("silence"),
        scenarios=("silence",),
    ),
    Requirement(
        "silence-is-wordless",
        "silence has no text",
        SHOULD,
        _bug("WhisperLiveKit#150", "WhisperLive#196", "lemonade-sdk/lemonade#1739"),
        judges.wordless("silence", 0),
        scenarios=("silence",),
    ),
    Requirement(
        "pause-finishes",
        "an utterance in which no audio comes for a while gets its final",
        MUST,
        HARM + "; " + _bug("vllm#36015", "pipecat#4124"),
        judges.finishes("pause"),
        scenarios=("pause",),
    ),
    Requirement(
        "pause-loses-nothing",
        "what was said before and after a pause is in the text",
        SHOULD,
        _bug("WhisperLiveKit#234", "vllm#35863"),
        judges.joined("pause"),
        scenarios=("alone", "pause"),
    ),
    Requirement(
        "long-keeps-its-begin",
        "of a long utterance the begin is in the text",
        SHOULD,
        _bug("WhisperFusion#26", "WhisperLiveKit#372"),
        judges.keeps_begin("35s"),
        scenarios=("alone", "35s"),
    ),
    # Several utterances
    Requirement(
        "utterances-finish",
        "each of several utterances gets its final, after one set-up",
        MUST,
        _clause(DOCUMENTED, "the next utterance begins with the next commit"),
        judges.finishes("utterances"),
        scenarios=("utterances",),
    ),
    Requirement(
        "utterances-kept-apart",
        "nothing of an utterance is heard in another",
        MUST,
        HARM + "; " + _bug("FunASR#630", "vllm#51374"),
        judges.kept_apart("utterances"),
        scenarios=("alone", "utterances"),
    ),
    Requirement(
        "head-present",
        "the first word of an utterance is there",
        MUST,
        HARM + "; " + _bug("FunASR#556"),
        judges.begins("utterances"),
        scenarios=("alone", "utterances"),
    ),
    Requirement(
        "tail-present",
        "the last word of an utterance is there",
        MUST,
        HARM + "; " + _bug("FunASR#3438", "FunASR#630", "WhisperLiveKit#122"),
        judges.ends("utterances"),
        scenarios=("alone", "utterances"),
    ),
    # The life of a connection
    Requirement(
        "pong",
        "a ping is answered",
        MUST,
        "RFC 6455, section 5.5.2: an endpoint MUST send a Pong in response",
        judges.pongs("idle"),
        scenarios=("idle",),
    ),
    Requirement(
        "pong-under-load",
        "a ping is answered in time while eight sessions speak",
        SHOULD,
        _bug("FunASR#3528", "vosk-server#80"),
        judges.pongs("crowd"),
        scenarios=("crowd",),
    ),
    Requirement(
        "idle-outlived",
        "a session that says nothing for a while can be used then",
        SHOULD,
        _bug("Azure-Samples/aoai-realtime-audio-sdk#96", "vllm#36015"),
        judges.finishes("idle"),
        scenarios=("idle",),
    ),
    Requirement(
        "fragments-joined",
        "a message in several fragments is one message",
        MUST,
        "RFC 6455, section 5.4: endpoints MUST support both fragmented and "
        "unfragmented messages",
        judges.finishes("fragments"),
        scenarios=("fragments",),
    ),
    Requirement(
        "close-answered",
        "a close frame is answered by one",
        MUST,
        "RFC 6455, section 5.5.1: the endpoint MUST send a Close frame in response",
        judges.closes("close"),
        scenarios=("close",),
    ),
    Requirement(
        "close-amid-speech-outlived",
        "a session that is closed in mid-utterance harms no other",
        MUST,
        HARM + "; " + _bug("ufal/whisper_streaming#106", "wenet#911"),
        judges.survives("cut"),
        scenarios=("cut",),
    ),
    Requirement(
        "reset-outlived",
        "connections that break off in mid-utterance harm nobody else",
        MUST,
        HARM + "; " + _bug("vllm#34532", "ufal/whisper_streaming#106"),
        judges.survives("reset"),
        scenarios=("reset",),
    ),
    Requirement(
        "half-open-outlived",
        "a client that vanishes without a word harms nobody else",
        MUST,
        HARM + "; " + _bug("vllm#46815"),
        judges.survives("half-open"),
        scenarios=("half-open",),
    ),
    Requirement(
        "empty-reset-outlived",
        "an empty utterance, broken off, harms nobody else",
        MUST,
        HARM + "; " + _bug("vllm#34532", "vllm#34862"),
        judges.survives("empty-reset"),
        scenarios=("empty-reset",),
    ),
    Requirement(
        "abandoned-outlived",
        "sessions that are left in mid-utterance harm nobody else",
        MUST,
        HARM + "; " + _bug("vllm#46815"),
        judges.survives("abandoned"),
        scenarios=("abandoned",),
    ),
    Requirement(
        "abandoned-freed",
        "sessions that are left are freed",
        SHOULD,
        _clause(
            "vLLM 0.33.0, speech_to_text/realtime/metrics.py",
            "the gauge of open connections",
        ),
        judges.freed("abandoned", "vllm:websocket_connections_active"),
        scenarios=("abandoned",),
    ),
    Requirement(
        "wrong-path-refused",
        "a WebSocket on a path that is not there is refused",
        MUST,
        "RFC 6455, section 4.2.2: the server MUST answer an unavailable resource by "
        "an HTTP status such as 404",
        judges.turned_away("wrong-path", (403, 404), without="it was not tried"),
        scenarios=("wrong-path",),
    ),
    Requirement(
        "wrong-key-refused",
        "a wrong key is refused",
        MUST,
        _clause(
            "vLLM 0.33.0, serve/middleware/authenticate.py", "HTTP 401 without the key"
        ),
        judges.turned_away("wrong-key", (401, 403), without="no key was given to us"),
        scenarios=("wrong-key",),
    ),
    Requirement(
        "plain-http-refused",
        "plain HTTP on the path of the WebSocket is refused, as the client's mistake",
        SHOULD,
        "RFC 9110, section 15.5: 4xx where the client seems to have erred",
        judges.answered_plainly("plain-http"),
        scenarios=("plain-http",),
    ),
    Requirement(
        "one-process",
        "the server lives from the first session to the last",
        MUST,
        HARM + "; " + _bug("vllm#34532", "vllm#39996"),
        judges.unbroken,
        scenarios=("last",),
    ),
    # Many connections
    Requirement(
        "crowd-finishes",
        "eight sessions at once get their finals",
        MUST,
        HARM + "; " + _bug("vllm#35863", "FunASR#3533"),
        judges.finishes("crowd"),
        scenarios=("crowd",),
    ),
    Requirement(
        "crowd-has-unique-ids",
        "eight sessions at once have eight ids",
        MUST,
        _clause(SHAPES, "each id is a random one"),
        judges.unique_ids("crowd"),
        scenarios=("crowd",),
    ),
    Requirement(
        "crowd-kept-apart",
        "no session hears what is said in another",
        MUST,
        HARM + ": another session's text",
        judges.kept_apart("crowd"),
        scenarios=("alone", "crowd"),
    ),
    Requirement(
        "slow-reader-harms-nobody",
        "a client that does not read holds nobody up",
        MUST,
        HARM,
        judges.survives("slow-reader"),
        scenarios=("slow-reader",),
    ),
    Requirement(
        "random-sessions",
        "whatever is said in random sessions, each utterance that was accepted comes "
        "to an end, and the next session works",
        MUST,
        HARM,
        judges.unharmed("random"),
        scenarios=("random",),
    ),
    # Relations, which need no reference text
    *(
        Requirement(
            f"same-text-{role}",
            f"a clip has the same text {how} as alone",
            SHOULD,
            clause,
            judges.both(judges.finishes(role), judges.same_text(role)),
            scenarios=("alone", role),
        )
        for role, how, clause in (
            ("20ms-chunks", "in chunks of 20 ms", _bug("sgl-project/sglang#26853")),
            ("100ms-chunks", "in chunks of 100 ms", _bug("sgl-project/sglang#26853")),
            ("1s-chunks", "in chunks of 1 s", _bug("sgl-project/sglang#26853")),
            (
                "fast",
                "at four times its pace",
                "what was heard does not depend on when",
            ),
            ("again", "for the second time in a session", _bug("vllm#51374")),
            ("crowd", "in a crowd", "what one says does not depend on others"),
            ("after-silence", "after silence", _bug("WhisperLiveKit#129")),
            ("half-gain", "at half the gain", "half the gain is 6 dB"),
        )
    ),
    # What binds the client
    Requirement(
        id="client-order",
        title="the client keeps the documented order",
        level=MUST,
        clause=_clause(DOCUMENTED, "the order of events"),
        judge=each(order(TABLE, start=START)),
        blames=Sender.CLIENT,
        passive=True,
    ),
    Requirement(
        id="client-well-formed",
        title="every frame of the client is an event with the fields of its type",
        level=MUST,
        clause=_clause(SHAPES, "the fields of each event"),
        judge=each(_well_formed(Sender.CLIENT)),
        blames=Sender.CLIENT,
        passive=True,
    ),
    Requirement(
        id="client-known-events",
        title="the client sends no event that the protocol does not know",
        level=MUST,
        clause=_clause(CODES, "code unknown_event"),
        judge=each(_known_events(Sender.CLIENT)),
        blames=Sender.CLIENT,
        passive=True,
    ),
)
