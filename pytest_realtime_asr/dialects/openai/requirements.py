"""What a server of OpenAI's protocol has to do, with the clause or the bug behind it.

MUST stands where OpenAI's own description of its events says so, or where the harm is
universal. SHOULD is what clients rely on. INFO tells what servers are free to do.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

from pytest_realtime_asr.dialects.openai import checks as own
from pytest_realtime_asr.dialects.openai.events import START, TABLE
from pytest_realtime_asr.dialects.openai.invalid_frames import NO_FIELD
from pytest_realtime_asr.dialects.openai.profile import Profile
from pytest_realtime_asr.dialects.openai.scenario_steps import CLEARED, exercises
from pytest_realtime_asr.requirements import checks, shared
from pytest_realtime_asr.requirements.order import order
from pytest_realtime_asr.requirements.requirement import Level, Proof, Requirement, each
from pytest_realtime_asr.requirements.shared import HARM
from pytest_realtime_asr.trace.records import Sender

READ = "read 2026-11-24"
_TYPES = "openai-python 3.57.0, types/realtime"
_GUIDE = "OpenAI, guide to realtime transcription"
_OWN = (
    "session.",
    "transcription_session.",
    "conversation.",
    "input_audio_buffer.",
    "rate_limits.",
    "error",
)
_MOST = 15  # MiB in one append

MUST, SHOULD, INFO = Level.MUST, Level.SHOULD, Level.INFO


def _clause(event: str, sentence: str) -> str:
    return f"{_TYPES}/{event}.py: {sentence} ({READ})"


def _bug(*threads: str) -> str:
    return shared.bug(*threads, read=READ)


@cache
def requirements(profile: Profile) -> tuple[Requirement, ...]:
    """What binds the servers of a profile, and their clients."""
    able = {it.name for it in exercises(profile)}
    return tuple(
        it for it in _all(profile) if not (_DEPENDING & set(it.scenarios)) - able
    )


def _of_turns() -> Iterable[Requirement]:
    """Where the server ends utterances by itself."""
    yield Requirement(
        "turns-finish",
        "an utterance that the server ends by itself gets its final",
        MUST,
        _clause(
            "input_audio_buffer_commit_event",
            "in server VAD mode the server commits the audio buffer automatically",
        ),
        checks.finishes("turns"),
        scenarios=("turns",),
        proof=Proof(("no-final",)),
    )
    yield Requirement(
        "turn-order",
        "speech is started, stopped and committed as the same item",
        MUST,
        _clause(
            "input_audio_buffer_speech_started_event",
            "item_id is that of the item that is created when speech stops, and is "
            "also in speech_stopped",
        ),
        own.of("turns", own.in_order),
        scenarios=("turns",),
        proof=Proof(("other-turns",)),
    )
    yield Requirement(
        "turn-times",
        "the times of a turn are those of its audio in the session",
        MUST,
        _clause(
            "input_audio_buffer_speech_started_event",
            "milliseconds from the start of all audio written to the buffer",
        ),
        own.of("turns", own.timely),
        scenarios=("turns",),
        proof=Proof(("restarts-times",)),
    )
    yield Requirement(
        "same-text-turns",
        "a clip has the same text where the server ends it as where we do",
        SHOULD,
        _bug("FunASR#556", "FunASR#630"),
        checks.both(checks.finishes("turns"), checks.same_text("turns")),
        scenarios=("alone", "turns"),
        proof=Proof(("turn-loses",)),
    )
    yield Requirement(
        "no-turn-in-silence",
        "in silence no turn is detected",
        SHOULD,
        _bug("WhisperLiveKit#150", "WhisperLive#196"),
        own.of("hush", own.hushed),
        scenarios=("hush",),
        proof=Proof(("hears-things",)),
    )
    yield Requirement(
        "turn-after-silence-finishes",
        "an utterance after silence gets its final where the server ends it",
        MUST,
        HARM + "; " + _bug("WhisperLiveKit#129", "pipecat#4124"),
        checks.finishes("hush"),
        scenarios=("hush",),
        proof=Proof(("no-final",)),
    )
    yield Requirement(
        "commit-after-turn-is-wordless",
        "a commit of the silence after a turn gives no words",
        SHOULD,
        _bug("lemonade-sdk/lemonade#1739", "betalgo/openai#674"),
        own.of("turn-commit", own.wordless_commit),
        scenarios=("turn-commit",),
        proof=Proof(("babbles-of-empty",)),
    )
    yield Requirement(
        "commit-after-turn-spoils-nothing",
        "a commit of the silence after a turn spoils no later turn",
        MUST,
        HARM + ": the head of the next utterance, or all of it, is lost",
        checks.both(
            checks.finishes("turn-commit"), checks.has_first_word("turn-commit")
        ),
        scenarios=("alone", "turn-commit"),
        proof=Proof(("closes-on-error",)),
    )


def _of_formats(profile: Profile) -> Iterable[Requirement]:
    """Where audio may be written in several ways."""
    for role, how, clause in (
        *(
            (
                name,
                name.upper(),
                _clause("realtime_audio_formats", f"audio/{name} is the G.711 format"),
            )
            for name in ("pcmu", "pcma")
        ),
        *(
            (f"{rate}hz", f"PCM at {rate} Hz", _bug("sgl-project/sglang#22848"))
            for rate in profile.rates[1:]
        ),
    ):
        yield Requirement(
            f"same-text-{role}",
            f"a clip has the same text as {how}",
            SHOULD,
            clause,
            checks.both(checks.finishes(role), checks.same_text(role)),
            scenarios=("alone", role),
            proof=Proof(("one-rate",)),
        )


def _all(profile: Profile) -> Iterable[Requirement]:
    """All requirements, whatever the servers of a profile can do."""
    code = (profile.empty,) if profile.empty else ()
    # The session and its identity
    yield shared.stated(
        "first-event",
        _clause(
            "session_created_event",
            "emitted when a new connection is established, as the first server event",
        ),
        each(checks.first_event(own.identity(profile))),
    )
    if not profile.beta:
        yield Requirement(
            "session-type",
            "the session is one of transcription from the start",
            MUST,
            _clause(
                "realtime_transcription_session_create_response",
                "type is always `transcription`",
            )
            + "; mudler/LocalAI#6445",
            each(own.of_transcription),
            scenarios=("utterances",),
            passive=True,
            proof=Proof(("conversing",)),
        )
    yield shared.stated(
        "unique-ids",
        _clause(
            "realtime_transcription_session_create_response",
            "id is the unique identifier of the session",
        ),
    )
    if profile.greeting != "conversation.created":  # which tells less
        yield Requirement(
            "expires-later",
            "a session that is opened has yet to expire",
            SHOULD,
            _clause(
                "realtime_transcription_session_create_response",
                "expires_at is in seconds since the epoch",
            )
            + "; livekit/agents#2358",
            each(own.expires_later),
            scenarios=("utterances",),
            passive=True,
            proof=Proof(("old-clock",)),
        )
    yield Requirement(
        "update-answered",
        "an update of the session is answered by the session, or by an error",
        MUST,
        _clause(
            "session_updated_event",
            "returned when a session is updated, unless there is an error",
        ),
        each(own.updates_answered),
        scenarios=("utterances",),
        passive=True,
        proof=Proof(("silent-update",)),
    )
    yield shared.stated(
        "update-again",
        _clause("session_update_event", "the client may send this event at any time"),
    )
    yield Requirement(
        "update-shows-what-holds",
        "what was set up is shown as what holds",
        SHOULD,
        _clause(
            "session_update_event",
            "session.updated shows the full, effective configuration",
        ),
        each(own.shows_what_was_asked),
        scenarios=("utterances",),
        passive=True,
        proof=Proof(("unset",)),
    )
    yield Requirement(
        "update-keeps-the-rest",
        "an update changes only what is in it",
        MUST,
        _clause(
            "session_update_event",
            "only the fields that are present in the session.update are updated",
        ),
        own.keeps_the_rest("partial-update"),
        scenarios=("partial-update",),
        proof=Proof(("forgets-rest",)),
    )
    yield Requirement(
        "refused-update-unconfirmed",
        "an update that is refused is not confirmed as well",
        SHOULD,
        _clause(
            "session_updated_event",
            "returned when a session is updated, unless there is an error",
        )
        + "; Speaches does both",
        own.unconfirmed,
        scenarios=("refused-update",),
        proof=Proof(("confirms-refused",)),
    )
    yield Requirement(
        "refused-fields-unshown",
        "what is refused is not shown as what holds",
        MUST,
        _clause(
            "session_update_event",
            "session.updated shows the full, effective configuration",
        ),
        own.unshown,
        scenarios=("refused-update",),
        proof=Proof(("shows-refused",)),
    )
    yield Requirement(
        "refused-update-outlived",
        "an update that is refused leaves the session as it was",
        MUST,
        HARM,
        checks.both(
            own.stays_open("refused-update"),
            checks.finishes("refused-update"),
            checks.same_text("refused-update"),
        ),
        scenarios=("alone", "refused-update"),
        proof=Proof(("closes-on-error",)),
    )
    # The shapes and the order of what is said
    yield shared.stated(
        "order",
        f"{_GUIDE}: the order of events ({READ})",
        each(order(TABLE, start=START)),
    )
    yield shared.stated("well-formed", f"{_TYPES}: the fields of each event ({READ})")
    yield shared.stated(
        "known-events",
        f"{_TYPES}: the types of events ({READ}); mastra-ai/mastra#16759",
        each(checks.known_events(Sender.SERVER, _OWN)),
    )
    yield Requirement(
        "event-ids-are-unique",
        "each event has an id of its own",
        MUST,
        _clause("realtime_error_event", "event_id is the unique ID of the server event")
        + "; LocalAI gives all the same",
        each(own.event_ids),
        scenarios=("utterances",),
        passive=True,
        proof=Proof(("same-event-ids",)),
    )
    yield Requirement(
        "commit-answered",
        "a commit is answered by an item, or by an error",
        MUST,
        _clause(
            "input_audio_buffer_commit_event",
            "the server will respond with input_audio_buffer.committed",
        ),
        each(own.commits_answered),
        scenarios=("utterances",),
        passive=True,
        proof=Proof(("silent-commit",)),
    )
    yield Requirement(
        "items-are-committed",
        "what is completed is what was committed, by its id",
        MUST,
        _clause(
            "input_audio_buffer_committed_event",
            "item_id is the ID of the item that will be created",
        )
        + "; LocalAI completes another one",
        own.each_item(own.committed_first, "no item ended"),
        scenarios=("utterances",),
        passive=True,
        proof=Proof(("other-item-ids",)),
    )
    yield Requirement(
        "item-ids-are-unique",
        "each item has an id of its own",
        MUST,
        _clause(
            "input_audio_buffer_committed_event",
            "item_id is the ID of the item that will be created",
        ),
        own.each_item(own.committed_once, "nothing was committed"),
        scenarios=("utterances",),
        passive=True,
        proof=Proof(("same-item-ids",)),
    )
    yield Requirement(
        "items-are-chained",
        "each item names the one before it",
        MUST,
        _clause(
            "input_audio_buffer_committed_event",
            "previous_item_id is the ID of the preceding item, or null",
        )
        + "; openclaw#113723",
        each(own.chained),
        scenarios=("utterances",),
        passive=True,
        proof=Proof(("unchained",)),
    )
    yield Requirement(
        "items-are-added",
        "an item is added to the conversation once it is committed",
        INFO,
        _clause(
            "conversation_item_added",
            "sent when the input audio buffer is committed",
        ),
        own.each_item(own.announced, "no item was committed and ended"),
        scenarios=("utterances",),
        passive=True,
        proof=Proof(("adds-nothing",)),
    )
    yield Requirement(
        "items-are-added-in-place",
        "what is added to the conversation is what was committed, in its place",
        SHOULD,
        _clause(
            "conversation_item_added",
            "previous_item_id is the ID of the item that precedes this one",
        ),
        own.each_item(own.consistent, "no item was added to the conversation"),
        scenarios=("utterances",),
        passive=True,
        proof=Proof(("displaced",)),
    )
    yield Requirement(
        "items-end",
        "each item is completed, or fails",
        MUST,
        _clause(
            "conversation_item_input_audio_transcription_failed_event",
            "returned when a transcription request for a user message failed",
        )
        + "; sgl-project/sglang-omni#385",
        own.each_item(own.ends, "nothing was committed in a session that was set up"),
        scenarios=("utterances", "in-flight"),
        passive=True,
        proof=Proof(("no-final",)),
    )
    yield Requirement(
        "items-end-once",
        "no item ends twice",
        MUST,
        HARM + ": the second text is taken for that of another item",
        own.each_item(own.ends_once, "no item ended"),
        scenarios=("utterances",),
        passive=True,
        proof=Proof(("fails-first",)),
    )
    yield Requirement(
        "nothing-after-the-end",
        "no text of an item comes after its end",
        MUST,
        HARM + ": the text is lost, or taken for that of another item",
        own.each_item(own.nothing_after, "no item ended"),
        scenarios=("utterances",),
        passive=True,
        proof=Proof(("late-delta",)),
    )
    yield Requirement(
        "one-content-index",
        "content_index is the same in all that is said of an item",
        MUST,
        _clause(
            "conversation_item_input_audio_transcription_completed_event",
            "content_index is that of the content part containing the audio",
        )
        + "; huggingface/speech-to-speech#474",
        own.each_item(own.one_content, "no content_index came"),
        scenarios=("utterances",),
        passive=True,
        proof=Proof(("counts-content",)),
    )
    yield Requirement(
        "deltas-are-new",
        "a delta is what is new, and not the text so far",
        MUST,
        _clause(
            "conversation_item_input_audio_transcription_delta_event",
            "incremental transcription results",
        )
        + "; huggingface/speech-to-speech#474, vllm-omni#3907",
        own.each_item(own.increments, "no item had several deltas"),
        scenarios=("utterances",),
        passive=True,
        proof=Proof(("cumulative",)),
    )
    yield shared.stated(
        "deltas-add-up",
        _bug("huggingface/speech-to-speech#474", "vllm-omni#3907"),
        own.each_item(own.adds_up, "no item had a delta and was completed"),
        level=SHOULD,
    )
    yield shared.stated(
        "usage-adds-up",
        _clause(
            "conversation_item_input_audio_transcription_completed_event",
            "usage is required, and total_tokens is the sum of its parts",
        ),
        each(own.usage),
    )
    yield shared.stated(
        "usage-counts",
        _clause(
            "conversation_item_input_audio_transcription_completed_event",
            "output_tokens are those generated, seconds are those of the input audio",
        ),
        each(own.counts),
    )
    yield Requirement(
        "logprobs-come",
        "log probabilities come where they are included",
        SHOULD,
        _clause(
            "conversation_item_input_audio_transcription_delta_event",
            "logprobs can be enabled by configuring the session with include",
        ),
        own.logprobs_came,
        scenarios=("logprobs",),
        proof=Proof(("no-logprobs",)),
    )
    yield Requirement(
        "logprobs-are-sane",
        "a log probability is none above 0, of a token of its text",
        SHOULD,
        _clause(
            "conversation_item_input_audio_transcription_delta_event",
            "each entry is the log probability of a token of this chunk",
        ),
        each(own.logprobs_sane),
        scenarios=("logprobs",),
        passive=True,
        proof=Proof(("odd-logprobs",)),
    )
    yield Requirement(
        "errors-have-types",
        "each error has a type and a message",
        MUST,
        _clause("realtime_error", "message and type are required"),
        each(own.typed_errors),
        scenarios=("unknown-event",),
        passive=True,
        proof=Proof(("typeless",)),
    )
    yield shared.stated("errors-have-codes", _clause("realtime_error", "code, if any"))
    yield Requirement(
        "errors-name-their-cause",
        "an error names the event that led to it, where that has an id",
        MUST,
        _clause(
            "session_update_event",
            "event_id will be passed back if there is an error with the event",
        )
        + "; langchain_dart#624",
        own.name_their_cause("named-event", "unknown-parameter", "empty-commit"),
        scenarios=("named-event", "unknown-parameter", "empty-commit"),
        proof=Proof(("causeless",)),
    )
    yield Requirement(
        "errors-name-the-field",
        "an error of a field says which it is",
        SHOULD,
        _clause("realtime_error", "param is the parameter related to the error")
        + "; langchain_dart#624",
        own.name_the_field("unknown-parameter", NO_FIELD),
        scenarios=("unknown-parameter",),
        proof=Proof(("paramless",)),
    )
    yield from shared.taken(
        "closes-are-explained",
        "no-stack-trace",
        "no-secret",
        "whole-characters",
        "no-control-tokens",
    )
    yield shared.stated("no-early-text", proof=Proof(("foretells",)))
    # Refusals, each of which the session and the server outlive
    recoverable = _clause(
        "realtime_error_event", "most errors are recoverable and the session stays open"
    )
    for name in ("bad-json", "no-object"):
        yield shared.refused(name, recoverable, level=SHOULD)
    yield from shared.taken(
        "deep-json-outlived",
        "huge-json-outlived",
        "duplicate-keys-refused",
        "not-a-number-outlived",
        "lone-surrogates-outlived",
    )
    for name in ("no-type", "unknown-event"):
        yield shared.refused(name, recoverable + "; LocalAI ignores it", level=SHOULD)
    for name in ("append-without-audio", "append-wrong-type"):
        yield shared.refused(
            name,
            _clause("input_audio_buffer_append_event", "audio is a text"),
            level=SHOULD,
        )
    yield shared.refused(
        "bad-base64",
        _clause("input_audio_buffer_append_event", "audio is Base64-encoded"),
        level=SHOULD,
    )
    yield shared.refused(
        "foreign-characters",
        "RFC 4648, section 3.3: MUST reject characters outside the alphabet; "
        "sglang-omni drops them",
        level=SHOULD,
    )
    for name, title, what, sentence in (
        (
            "update-without-session",
            "a set-up without a session is refused",
            "a set-up without a session",
            "session is required",
        ),
        (
            "unknown-parameter",
            "a field that the protocol does not know is refused",
            "an unknown field",
            "the fields of a session",
        ),
        (
            "unknown-format",
            "a format that there is not is refused",
            "an unknown format",
            "formats are audio/pcm, audio/pcmu and audio/pcma",
        ),
        (
            "unknown-rate",
            "a rate that the server does not take is refused",
            "an unknown rate",
            "rate is always 24000",
        ),
    ):
        if name == "unknown-rate" and profile.beta:
            continue  # its formats have no rate
        yield Requirement(
            f"{name}-refused",
            title,
            SHOULD,
            _clause("session_update_event", sentence) + "; langchain_dart#624",
            checks.refused(name, what),
            scenarios=(name,),
            proof=shared.IGNORED,
        )
    yield shared.refused(
        "unknown-model",
        "accepted, the session has no text and nobody knows why",
        level=SHOULD,
        proof=Proof(("tolerant",)),
    )
    yield Requirement(
        "empty-commit-refused",
        "a commit of no audio is refused",
        MUST,
        _clause(
            "input_audio_buffer_commit_event",
            "it will produce an error if the input audio buffer is empty",
        )
        + "; LocalAI acknowledges it, and is silent then",
        checks.refused("empty-commit", "a commit of no audio"),
        scenarios=("empty-commit",),
        proof=Proof(("acknowledges-empty",)),
    )
    if code:
        yield Requirement(
            "empty-commit-code",
            f"a commit of no audio is refused as {profile.empty}",
            SHOULD,
            _bug("openai/openai-agents-js#748", "goodroot/hyprwhspr#63"),
            checks.refused("empty-commit", "a commit of no audio", *code),
            scenarios=("empty-commit",),
            proof=Proof(("wrong-codes",)),
        )
    yield Requirement(
        "empty-commit-spoils-nothing",
        "a commit of no audio spoils no later utterance",
        MUST,
        HARM + ": the head of the next utterance, or all of it, is lost",
        checks.both(checks.finishes("stray-final"), checks.same_text("stray-final")),
        scenarios=("alone", "stray-final"),
        proof=Proof(("refused-final-kept",)),
    )
    yield Requirement(
        "second-commit-spoils-nothing",
        "a second commit spoils no later utterance",
        MUST,
        HARM + ": the head of the next utterance, or all of it, is lost",
        checks.both(checks.finishes("second-final"), checks.same_text("second-final")),
        scenarios=("alone", "second-final"),
        proof=Proof(("refused-final-kept",)),
    )
    yield Requirement(
        "short-commit-refused",
        f"a commit of less than {profile.least * 1000:g} ms of audio is refused",
        SHOULD,
        _bug("openai/openai-agents-js#748", "betalgo/openai#674"),
        own.commit_refused("short-commit", "a commit of too little audio", *code),
        scenarios=("short-commit",),
        proof=Proof(("acknowledges-empty",)),
    )
    yield Requirement(
        "odd-audio-outlived",
        "a sample that is cut in two is joined, or refused, and spoils nothing",
        MUST,
        HARM
        + "; "
        + _bug(
            "huggingface/speech-to-speech#410", "OHF-Voice/wyoming-faster-whisper#98"
        ),
        checks.both(checks.finishes("odd-audio"), checks.same_text("odd-audio")),
        scenarios=("alone", "odd-audio"),
        proof=Proof(("odd-audio-closes",)),
    )
    yield shared.stated("unknown-event-amid-speech", recoverable)
    yield shared.stated(
        "binary-answered",
        "RFC 6455, section 7.4.1: 1003 for data that cannot be accepted",
    )
    yield Requirement(
        "big-audio-accepted",
        f"{_MOST} MiB of audio in one event are taken",
        MUST,
        _clause(
            "input_audio_buffer_append_event",
            f"up to a maximum of {_MOST} MiB in each event",
        ),
        own.no_error("big-audio", f"an event of {_MOST} MiB"),
        scenarios=("big-audio",),
        proof=Proof(("refuses-big",)),
    )
    yield from shared.taken("big-audio-outlived")
    yield shared.stated("oversized-frame-closed", proof=Proof(("any-size", "tolerant")))
    yield from shared.taken("oversized-frame-outlived", "flood-outlived")
    # What was handed over and is forgotten
    yield Requirement(
        "clear-answered",
        "a clear is answered",
        MUST,
        _clause(
            "input_audio_buffer_clear_event", f"the server will respond with {CLEARED}"
        ),
        each(own.clears_answered),
        scenarios=("clear",),
        passive=True,
        proof=Proof(("silent-clear",)),
    )
    yield Requirement(
        "clear-forgets",
        "audio that was cleared is in no text",
        MUST,
        _clause(
            "input_audio_buffer_clear_event", "clears the audio bytes in the buffer"
        ),
        checks.both(checks.finishes("clear"), checks.kept_apart("clear")),
        scenarios=("alone", "clear"),
        proof=Proof(("keeps-cleared",)),
    )
    yield Requirement(
        "clear-empties",
        "a commit after a clear is one of no audio, and refused",
        MUST,
        _clause(
            "input_audio_buffer_clear_event", "clears the audio bytes in the buffer"
        ),
        own.commit_refused("clear-commit", "a commit after a clear"),
        scenarios=("clear-commit",),
        proof=Proof(("keeps-cleared",)),
    )
    yield Requirement(
        "clear-of-nothing",
        "a clear of no audio is answered as any other",
        SHOULD,
        _clause(
            "input_audio_buffer_clear_event", f"the server will respond with {CLEARED}"
        ),
        checks.both(
            own.no_error("clear-nothing", "a clear of no audio"),
            checks.finishes("clear-nothing"),
        ),
        scenarios=("clear-nothing",),
        proof=Proof(("strict-clear",)),
    )
    # Texts and ends
    yield from shared.taken("text-of-speech")
    if profile.early:
        yield shared.stated(
            "text-while-speaking",
            f"{_GUIDE}: some models send text before the commit ({READ})",
            level=INFO,
        )
    yield from shared.taken(
        "no-repetition",
        "finishes-0.1s",
        "finishes-0.5s",
        "finishes-1s",
        "finishes-2s",
        "finishes-10s",
        "finishes-35s",
    )
    yield shared.stated(
        "empty-utterance-finishes", proof=Proof(("acknowledges-empty",))
    )
    yield from shared.taken(
        "silence-finishes",
        "silence-is-wordless",
        "pause-finishes",
        "pause-loses-nothing",
        "long-keeps-its-begin",
    )
    # Several utterances
    yield shared.stated(
        "utterances-finish",
        _clause(
            "input_audio_buffer_append_event",
            "a commit creates an item from the buffer, and clears the buffer",
        ),
        proof=Proof(("one-final-only",)),
    )
    yield from shared.taken("utterances-kept-apart", "head-present", "tail-present")
    yield Requirement(
        "in-flight-finish",
        "each of several utterances in transcription gets its final",
        MUST,
        HARM + "; " + _bug("sgl-project/sglang-omni#385"),
        checks.finishes("in-flight"),
        scenarios=("in-flight",),
        proof=Proof(("one-final-only",)),
    )
    yield Requirement(
        "in-flight-kept-apart",
        "of several utterances in transcription each has its own text",
        MUST,
        f"{_GUIDE}: items are told by item_id, and completed in any order ({READ}); "
        "openclaw#113723",
        checks.both(checks.finishes("in-flight"), checks.kept_apart("in-flight")),
        scenarios=("alone", "in-flight"),
        proof=Proof(("mixes-items",), final=1.0),
    )
    yield from _of_turns()
    # The life of a connection
    yield from shared.taken(
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
        "wrong-path-refused",
    )
    yield shared.stated(
        "wrong-key-refused",
        "RFC 9110, section 15.5.2: 401 where credentials are not valid",
    )
    yield from shared.taken("plain-http-refused", "one-process")
    # Many connections
    yield from shared.taken("crowd-finishes")
    yield shared.stated(
        "crowd-has-unique-ids",
        _clause(
            "realtime_transcription_session_create_response",
            "id is the unique identifier of the session",
        ),
    )
    yield from shared.taken(
        "crowd-kept-apart", "slow-reader-harms-nobody", "random-sessions"
    )
    # Relations, which need no reference text
    yield from shared.taken(
        "same-text-20ms-chunks",
        "same-text-100ms-chunks",
        "same-text-1s-chunks",
        "same-text-fast",
        "same-text-again",
        "same-text-crowd",
        "same-text-after-silence",
        "same-text-half-gain",
    )
    yield from _of_formats(profile)
    # What binds the client
    yield from shared.binding_clients(
        TABLE,
        start=START,
        clauses=(
            f"{_GUIDE}: the order of events ({READ})",
            f"{_TYPES}: the fields of each event ({READ})",
            f"{_TYPES}: the types of events ({READ})",
        ),
    )


_DEPENDING = {"short-commit", "turns", "hush", "turn-commit", "pcmu", "pcma"}
"""The exercises that are only for servers which can do them."""
