"""The reference of vLLM's protocol, for its page in the documentation."""

from __future__ import annotations

from pytest_realtime_asr.dialects.vllm.events import SHAPES
from pytest_realtime_asr.requirements.reference import Reference, fields_by_requirement

_ABOUT = (
    "A server of this protocol listens on `ws://HOST:PORT/v1/realtime`. The URL has no "
    "query. A server with a key expects the header `Authorization: Bearer KEY`. Every "
    "frame is a text frame with one JSON object, and the field `type` names the event. "
    "An event may have fields that are not listed here; a receiver ignores them.",
    "The audio is PCM with 16 bits (signed, little-endian), mono, 16,000 Hz, in "
    "base64. The sample rate cannot be changed.",
    "The event `input_audio_buffer.commit` begins an utterance. The same event with "
    "`final: true` declares the audio of the utterance complete. No event has the id "
    "of an utterance; the next `transcription.done` belongs to the utterance that is "
    "open.",
)
_EXAMPLES = {
    "session.update": '{"type":"session.update","model":"voxtral"}',
    "input_audio_buffer.append": (
        '{"type":"input_audio_buffer.append","audio":"AAAEAAgADAAQ..."}'
    ),
    "input_audio_buffer.commit": '{"type":"input_audio_buffer.commit","final":true}',
    "session.created": (
        '{"type":"session.created","id":"sess-1f0c","created":1795960800}'
    ),
    "session.updated": '{"type":"session.updated"}',
    "transcription.delta": '{"type":"transcription.delta","delta":" the door"}',
    "transcription.done": (
        '{"type":"transcription.done","text":"open the door","usage":'
        '{"prompt_tokens":21,"completion_tokens":4,"total_tokens":25}}'
    ),
    "error": '{"type":"error","error":"Invalid audio data","code":"invalid_audio"}',
}
_STATES = {
    "opening": "the connection is open, and the server has sent nothing",
    "fresh": "the server has sent `session.created`, and no model is set",
    "idle": "the model is set, and no utterance is open",
    "hearing": "an utterance is open, and the client sends its audio",
    "finishing": "the audio of the utterance is complete, and its final has not come",
}
_CODES = {
    "invalid_json": "The frame is not JSON.",
    "unknown_event": "The event has no type, or a type that the server does not know.",
    "invalid_event": "`session.update` has no model. This code is also sent for "
    "a starting commit that comes before the final of the previous utterance, and for "
    "a final commit without a starting commit. vLLM 0.33.0 does not answer these two "
    "commits.",
    "model_not_found": "The server does not have the model.",
    "model_not_validated": "A commit came before a `session.update` with a model.",
    "invalid_audio": "The audio is not base64, has no samples, or ends in half a "
    "sample.",
    "invalid_frame": "The frame is a binary frame. vLLM 0.33.0 does not send this "
    "code, but ends the session.",
    "processing_error": "The frame is JSON, but not an event of the protocol: it is "
    "not an object, or a field has a wrong type. The code is also sent if the "
    "transcription fails.",
}
_TEXT = ("transcription.done", "text")
_DELTA = ("transcription.delta", "delta")
_CODE = ("error", "code")
_FIELDS = {
    ("session.created", "type"): "first-event",
    ("session.created", "id"): "first-event unique-ids crowd-has-unique-ids",
    ("session.created", "created"): "created-now",
    ("session.updated", "type"): "update-is-silent",
    ("", "type"): "order known-events",
    ("transcription.done", "type"): "one-final",
    _DELTA: (
        "deltas-add-up no-early-text text-while-speaking no-stall keeps-up "
        "whole-characters no-control-tokens no-control-characters "
        "second-begin-is-silent"
    ),
    _TEXT: (
        "first-utterance deltas-add-up audio-before-update update-again "
        "unknown-fields-ignored whole-characters no-control-tokens "
        "no-vocabulary-tokens no-control-characters directions-paired text-of-speech "
        "no-repetition finishes-0.1s finishes-0.5s finishes-1s finishes-2s "
        "finishes-10s finishes-35s no-loss empty-utterance-finishes "
        "empty-utterance-is-wordless silence-finishes silence-is-wordless "
        "pause-finishes pause-loses-nothing long-keeps-its-begin "
        "quiet-noise-is-wordless keeps-up utterances-finish utterances-kept-apart "
        "head-present tail-present set-ups-kept-apart crowd-finishes crowd-kept-apart "
        "random-sessions same-text-20ms-chunks same-text-100ms-chunks "
        "same-text-1s-chunks same-text-fast same-text-again same-text-crowd "
        "same-text-after-silence same-text-half-gain heads-of-clips-present "
        "tails-of-clips-present long-text-goes-on long-text-has-no-hole "
        "same-words-between-silence same-words-in-chunks same-words-in-bursts "
        "same-words-joined same-words-in-long no-doubled-words-in-long "
        "no-leftover-punctuation "
        "early-commit-has-no-effect early-final-spoils-nothing refusal-amid-speech "
        "unknown-event-amid-speech stray-final-is-silent stray-final-spoils-nothing "
        "second-final-spoils-nothing late-audio-spoils-nothing "
        "second-begin-spoils-nothing idle-outlived fragments-joined "
        "huge-json-outlived big-audio-outlived oversized-frame-outlived "
        "flood-outlived close-amid-speech-outlived reset-outlived half-open-outlived "
        "empty-reset-outlived abandoned-outlived slow-reader-harms-nobody"
    ),
    ("transcription.done", "usage.prompt_tokens"): (
        "usage-adds-up usage-counts usage-matches usage-of-each"
    ),
    ("transcription.done", "usage.completion_tokens"): (
        "usage-adds-up usage-counts usage-matches usage-of-each"
    ),
    ("transcription.done", "usage.total_tokens"): "usage-adds-up",
    ("error", "error"): "errors-have-codes no-stack-trace no-secret paths-removed",
    _CODE: (
        "errors-have-codes bad-json-refused no-object-refused deep-json-outlived "
        "duplicate-keys-refused not-a-number-outlived lone-surrogates-outlived "
        "composite-type-outlived huge-number-outlived empty-text-refused "
        "no-type-refused unknown-event-refused foreign-events-refused "
        "append-without-audio-refused append-wrong-type-refused "
        "commit-wrong-type-refused commit-not-boolean-refused "
        "unbegun-utterance-answered early-utterance-answered "
        "update-without-model-refused "
        "update-without-model-code update-wrong-type-refused unknown-model-refused "
        "unknown-model-code early-commit-refused early-final-refused "
        "bad-base64-refused foreign-characters-refused odd-bytes-refused "
        "empty-audio-refused binary-answered oversized-frame-closed"
    ),
}

_OUTLINE = """\
    server  session.created
    client  session.update {model}                  (answered only if it is refused)
    client  input_audio_buffer.commit               the utterance begins
    client  input_audio_buffer.append {audio} ...   PCM16 mono 16 kHz, base64
    server  transcription.delta {delta} ...
    client  input_audio_buffer.commit {final: true} its audio is complete
    server  transcription.done {text, usage}
""".rstrip()

REFERENCE = Reference(
    about=_ABOUT,
    outline=_OUTLINE,
    kinds=SHAPES.kinds,
    examples=_EXAMPLES,
    states=_STATES,
    codes=_CODES,
    fields=fields_by_requirement(_FIELDS),
)
