"""The references of both shapes of OpenAI's protocol, for the documentation."""

from __future__ import annotations

from collections.abc import Mapping

from pytest_realtime_asr.dialects.openai.events import (
    COMPLETED,
    DELTA,
    FAILED,
    SHAPES,
    BetaCreated,
    BetaUpdate,
    BetaUpdated,
    ConversationCreated,
    Done,
    ItemAdded,
    ItemDone,
)
from pytest_realtime_asr.dialects.openai.session_setup import BetaSession, Session
from pytest_realtime_asr.requirements.reference import (
    Field,
    Kinds,
    Reference,
    fields_by_requirement,
)

_FRAMES = (
    "Every frame is a text frame with one JSON object, and the field `type` names the "
    "event. Each event of the server has an `event_id` of its own. An event of the "
    "client may also have an `event_id`; an error that the event causes then repeats "
    "this id. An event of the server may have fields that are not listed here; a "
    "client ignores them. A server refuses unknown fields in `session`."
)
_ITEMS = (
    "The audio between two commits is an *item*. The server commits by itself if it "
    "detects turns. Several items may be transcribed at a time and completed in any "
    "order; every event of an item has the `item_id` of this item."
)
_GENERAL = (
    "This is the general shape of the protocol, as OpenAI has generally released it. A "
    "server listens on `wss://HOST/v1/realtime?intent=transcription`; the query of a "
    "[profile](../guide/servers.md) may differ. The client sends its key in the header "
    "`Authorization: Bearer KEY`; Azure expects the header `api-key`.",
    _FRAMES,
    "The audio is PCM with 16 bits (signed, little-endian), mono, 24,000 Hz, in "
    "base64, unless the session sets another format.",
    _ITEMS,
)
_BETA = (
    "This is the beta shape of the protocol: Speaches and NVIDIA Riva speak it; OpenAI "
    "has withdrawn it. All fields of the session are on one level. A server listens on "
    "`ws://HOST/v1/realtime?intent=transcription`; the query of a "
    "[profile](../guide/servers.md) may differ. The client sends the headers "
    "`OpenAI-Beta: realtime=v1` and `Authorization: Bearer KEY`. The profile "
    "determines which event opens the session, and which event sets it up.",
    _FRAMES,
    "The audio is PCM with 16 bits (signed, little-endian), mono, 24,000 Hz (Riva: "
    "16,000 Hz), in base64, unless the session sets another format.",
    _ITEMS,
)
_SESSION = (
    '{"id":"sess_1","object":"realtime.transcription_session","type":"transcription",'
    '"expires_at":1795964400,"audio":{"input":{"format":{"type":"audio/pcm",'
    '"rate":24000},"transcription":{"model":"gpt-4o-transcribe"},'
    '"turn_detection":null,"noise_reduction":null}},"include":null}'
)
_FLAT = (
    '{"id":"sess_1","object":"realtime.transcription_session",'
    '"expires_at":1795964400,"modalities":["text"],"input_audio_format":"pcm16",'
    '"input_audio_transcription":{"model":"gpt-4o-transcribe"},'
    '"turn_detection":null,"input_audio_noise_reduction":null,"include":null}'
)
_ITEM = (
    '{"id":"item_1","object":"realtime.item","type":"message","status":"completed",'
    '"role":"user","content":[{"type":"input_audio","transcript":null}]}'
)
_PROBLEM = (
    '{"type":"invalid_request_error","code":"invalid_value","message":'
    '"The audio is not valid base64.","param":"audio","event_id":"mine_1"}'
)
_LOGPROBS = '"logprobs":[{"token":"open","logprob":-0.1,"bytes":[111,112,101,110]}]'


def _event(kind: str, rest: str = "") -> str:
    """Return an event of the server as a JSON text."""
    return f'{{"type":"{kind}","event_id":"event_1"{rest and ","}{rest}}}'


def _sent(kind: str, rest: str = "") -> str:
    """Return an event of the client as a JSON text."""
    return f'{{"type":"{kind}","event_id":"mine_1"{rest and ","}{rest}}}'


_SPOKEN = '"item_id":"item_1","content_index":0'
_EXAMPLES: Mapping[str, str] = {
    "session.update": _sent(
        "session.update",
        '"session":{"type":"transcription","audio":{"input":{"transcription":'
        '{"model":"gpt-4o-transcribe","language":"en"},"turn_detection":null}}}',
    ),
    "transcription_session.update": _sent(
        "transcription_session.update",
        '"session":{"input_audio_transcription":{"model":"gpt-4o-transcribe"},'
        '"turn_detection":null}',
    ),
    "input_audio_buffer.append": _sent(
        "input_audio_buffer.append", '"audio":"AAAEAAgADAAQ..."'
    ),
    "input_audio_buffer.commit": _sent("input_audio_buffer.commit"),
    "input_audio_buffer.clear": _sent("input_audio_buffer.clear"),
    "input_audio_buffer.done": _sent("input_audio_buffer.done"),
    "session.created": _event("session.created", f'"session":{_SESSION}'),
    "session.updated": _event("session.updated", f'"session":{_SESSION}'),
    "transcription_session.created": _event(
        "transcription_session.created", f'"session":{_FLAT}'
    ),
    "transcription_session.updated": _event(
        "transcription_session.updated", f'"session":{_FLAT}'
    ),
    "conversation.created": _event(
        "conversation.created",
        '"conversation":{"id":"conv_1","object":"realtime.conversation"}',
    ),
    "input_audio_buffer.committed": _event(
        "input_audio_buffer.committed",
        '"item_id":"item_2","previous_item_id":"item_1"',
    ),
    "input_audio_buffer.cleared": _event("input_audio_buffer.cleared"),
    "input_audio_buffer.speech_started": _event(
        "input_audio_buffer.speech_started", '"item_id":"item_1","audio_start_ms":320'
    ),
    "input_audio_buffer.speech_stopped": _event(
        "input_audio_buffer.speech_stopped", '"item_id":"item_1","audio_end_ms":2480'
    ),
    "input_audio_buffer.timeout_triggered": _event(
        "input_audio_buffer.timeout_triggered",
        '"item_id":"item_1","audio_start_ms":0,"audio_end_ms":6000',
    ),
    "conversation.item.added": _event(
        "conversation.item.added", f'"item":{_ITEM},"previous_item_id":null'
    ),
    "conversation.item.done": _event(
        "conversation.item.done", f'"item":{_ITEM},"previous_item_id":null'
    ),
    "conversation.item.created": _event(
        "conversation.item.created", f'"item":{_ITEM},"previous_item_id":null'
    ),
    DELTA: _event(DELTA, f'{_SPOKEN},"delta":"open",{_LOGPROBS}'),
    COMPLETED: _event(
        COMPLETED,
        f'{_SPOKEN},"transcript":"open the door","usage":{{"type":"tokens",'
        '"input_tokens":21,"output_tokens":4,"total_tokens":25}',
    ),
    f"{DELTA.removesuffix('.delta')}.segment": _event(
        f"{DELTA.removesuffix('.delta')}.segment",
        f'{_SPOKEN},"id":"seg_1","text":"open the door","speaker":"A","start":0.32,'
        '"end":1.9',
    ),
    FAILED: _event(
        FAILED,
        f'{_SPOKEN},"error":{{"type":"transcription_error","code":"audio_unintelligible"'
        ',"message":"The audio could not be transcribed.","param":null}',
    ),
    "error": _event("error", f'"error":{_PROBLEM}'),
    "rate_limits.updated": _event(
        "rate_limits.updated",
        '"rate_limits":[{"name":"requests","limit":1000,"remaining":999,'
        '"reset_seconds":60.0}]',
    ),
}
_STATES = {
    "opening": "the connection is open, and the server has sent nothing",
    "fresh": "the session is open; the client has sent neither a set-up nor audio",
    "default": "the client has sent audio without a set-up, so the server's own "
    "settings apply and the server may detect turns",
    "idle": "the session is set up; all audio is committed, and all items have ended",
    "hearing": "some audio is not committed, and all items have ended",
    "owing": "all audio is committed, and at least one item has not ended",
    "both": "some audio is not committed, and at least one item has not ended",
}
_CODES = {
    "invalid_json": "The frame is not JSON.",
    "invalid_payload": "The frame is a binary frame.",
    "invalid_value": "The event has an unknown type, or a field with a wrong value; "
    "`param` names the field.",
    "missing_required_parameter": "A field is missing; `param` names it.",
    "unknown_parameter": "A field is unknown; `param` names it.",
    "model_not_found": "The server does not have the model.",
    "not_supported": "The server does not have this capability.",
    "input_audio_buffer_commit_empty": "The commit has no audio, or less than 100 ms.",
    "invalid_state": "The event is not allowed in this state of the session. Some "
    "profiles send this code for a commit without audio.",
    "buffer_overflow": "The audio that is not committed is longer than the documented "
    "limit. The server then closes the connection with code 1009.",
    "string_above_max_length": "The audio of one event is longer than 15 MiB.",
    "session_expired": "The session has reached its maximum duration. The server then "
    "closes the connection with code 1001.",
}
_REFUSALS = (
    "bad-json-refused no-object-refused deep-json-outlived duplicate-keys-refused "
    "not-a-number-outlived lone-surrogates-outlived composite-type-outlived "
    "huge-number-outlived empty-text-refused event-id-wrong-type-outlived "
    "event-id-surrogate-outlived language-surrogate-outlived no-type-refused "
    "unknown-event-refused append-without-audio-refused append-wrong-type-refused "
    "unknown-model-refused bad-base64-refused foreign-characters-refused "
    "binary-answered oversized-frame-closed update-without-session-refused "
    "unknown-parameter-refused unknown-format-refused unknown-rate-refused "
    "empty-commit-refused empty-commit-code short-commit-refused clear-empties "
    "odd-audio-outlived"
)
_TEXTS = (
    "first-utterance deltas-add-up deltas-are-new update-again "
    "refused-update-outlived whole-characters no-control-tokens no-vocabulary-tokens "
    "no-control-characters directions-paired text-of-speech no-repetition "
    "finishes-0.1s finishes-0.5s finishes-1s finishes-2s finishes-10s finishes-35s "
    "no-loss empty-utterance-finishes silence-finishes silence-is-wordless "
    "pause-finishes pause-loses-nothing long-keeps-its-begin quiet-noise-is-wordless "
    "keeps-up utterances-finish utterances-kept-apart head-present tail-present "
    "set-ups-kept-apart crowd-finishes crowd-kept-apart random-sessions "
    "same-text-20ms-chunks same-text-100ms-chunks same-text-1s-chunks same-text-fast "
    "same-text-again same-text-crowd same-text-after-silence same-text-half-gain "
    "same-text-16000hz same-text-48000hz same-text-pcmu same-text-pcma "
    "same-text-turns heads-of-clips-present tails-of-clips-present long-text-goes-on "
    "long-text-has-no-hole same-words-between-silence same-words-in-chunks "
    "same-words-in-bursts same-words-joined same-words-in-long "
    "no-doubled-words-in-long no-leftover-punctuation unknown-event-amid-speech "
    "idle-outlived fragments-joined "
    "huge-json-outlived big-audio-outlived big-audio-accepted "
    "oversized-frame-outlived flood-outlived empty-commit-spoils-nothing "
    "second-commit-spoils-nothing odd-audio-outlived clear-forgets in-flight-finish "
    "in-flight-kept-apart turns-finish turn-after-silence-finishes "
    "commit-after-turn-is-wordless commit-after-turn-spoils-nothing items-end "
    "close-amid-speech-outlived reset-outlived half-open-outlived "
    "empty-reset-outlived abandoned-outlived slow-reader-harms-nobody"
)
_OF_ITEMS = {
    ("input_audio_buffer.committed", "item_id"): (
        "commit-answered items-are-committed item-ids-are-unique items-end turn-order"
    ),
    ("input_audio_buffer.committed", "previous_item_id"): (
        "items-are-chained items-are-added-in-place"
    ),
    ("input_audio_buffer.cleared", "type"): "clear-answered clear-of-nothing",
    ("input_audio_buffer.speech_started", "item_id"): "turn-order no-turn-in-silence",
    ("input_audio_buffer.speech_started", "audio_start_ms"): "turn-times",
    ("input_audio_buffer.speech_stopped", "item_id"): "turn-order",
    ("input_audio_buffer.speech_stopped", "audio_end_ms"): "turn-times",
    (DELTA, "delta"): (
        "deltas-add-up deltas-are-new no-early-text text-while-speaking keeps-up "
        "whole-characters no-control-tokens no-control-characters"
    ),
    (DELTA, "item_id"): "nothing-after-the-end",
    (DELTA, "content_index"): "one-content-index",
    (DELTA, "logprobs"): "logprobs-come",
    (DELTA, "logprobs[].logprob"): "logprobs-are-sane",
    (DELTA, "logprobs[].token"): "logprobs-are-sane",
    ("", "type"): "order known-events",
    (COMPLETED, "item_id"): "items-are-committed items-end-once nothing-after-the-end",
    (COMPLETED, "content_index"): "one-content-index",
    (COMPLETED, "transcript"): _TEXTS,
    (COMPLETED, "usage.input_tokens"): (
        "usage-adds-up usage-counts usage-matches usage-of-each"
    ),
    (COMPLETED, "usage.output_tokens"): (
        "usage-adds-up usage-counts usage-matches usage-of-each"
    ),
    (COMPLETED, "usage.total_tokens"): "usage-adds-up",
    (COMPLETED, "usage.seconds"): "usage-counts usage-matches",
    (COMPLETED, "event_id"): "event-ids-are-unique",
    ("error", "error.message"): (
        "errors-have-codes errors-have-types no-stack-trace no-secret"
    ),
    ("error", "error.type"): "errors-have-types",
    ("error", "error.code"): f"errors-have-codes {_REFUSALS}",
    ("error", "error.param"): "errors-name-the-field",
    ("error", "error.event_id"): "errors-name-their-cause",
}


def _of_session(
    created: str, updated: str, added: tuple[str, ...]
) -> Mapping[tuple[str, str], str]:
    """Return the ids of requirements, by the event and the field that they are about.

    The events open or update a session, or add an item to the conversation.
    ``created``, ``updated`` and ``added`` are the types of these events in one shape.
    """
    return {
        (created, "type"): "first-event",
        (created, "session.id"): "first-event unique-ids crowd-has-unique-ids",
        (created, "session.expires_at"): "expires-later expires-within-a-day",
        (updated, "session"): (
            "update-answered update-shows-what-holds update-keeps-the-rest "
            "refused-update-unconfirmed refused-fields-unshown "
            "refused-include-unshown"
        ),
        **{(each, "item.id"): "items-are-added" for each in added},
        **{(each, "previous_item_id"): "items-are-added-in-place" for each in added},
    }


def _kinds(*left_out: type) -> Kinds:
    return {
        sender: tuple(each for each in kinds if each not in left_out)
        for sender, kinds in SHAPES.kinds.items()
    }


_OUTLINE = """\
    server  session.created
    client  session.update {session: {type: transcription, audio: {input: ...}}}
    server  session.updated                       the session as it is now, or an error
    client  input_audio_buffer.append {audio} ... PCM16 mono 24 kHz (or G.711), base64
    client  input_audio_buffer.commit             if the server does not detect turns
    server  input_audio_buffer.committed          the audio is now an item, with an id
    server  conversation.item.input_audio_transcription.delta {item_id, delta} ...
    server  conversation.item.input_audio_transcription.completed {item_id, transcript}
""".rstrip()

GENERAL = Reference(
    about=_GENERAL,
    outline=_OUTLINE,
    kinds=_kinds(BetaUpdate, Done, BetaCreated, ConversationCreated, BetaUpdated),
    examples=_EXAMPLES,
    states=_STATES,
    codes=_CODES,
    fields=fields_by_requirement(
        {
            ("session.created", "session.type"): "session-type",
            **_of_session(
                "session.created", "session.updated", ("conversation.item.added",)
            ),
            **_OF_ITEMS,
        }
    ),
    inside={Field("session.update", "session"): Session},
)
BETA = Reference(
    about=_BETA,
    outline=(
        _OUTLINE.replace("session.", "transcription_session.").replace(
            "{session: {type: transcription, audio: {input: ...}}}", "{session}"
        )
    ),
    kinds=_kinds(ItemAdded, ItemDone),
    examples={
        **_EXAMPLES,
        "session.update": _EXAMPLES["transcription_session.update"].replace(
            "transcription_session.", "session."
        ),
        "session.created": _event("session.created", f'"session":{_FLAT}'),
        "session.updated": _event("session.updated", f'"session":{_FLAT}'),
        COMPLETED: f'{_EXAMPLES[COMPLETED][:-1]},"is_last_result":true}}',
    },
    states=_STATES,
    codes=_CODES,
    fields=fields_by_requirement(
        {
            **_of_session(
                "transcription_session.created",
                "transcription_session.updated",
                ("conversation.item.created",),
            ),
            **_OF_ITEMS,
        }
    ),
    inside={
        Field("session.update", "session"): BetaSession,
        Field("transcription_session.update", "session"): BetaSession,
    },
)
