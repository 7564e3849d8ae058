"""The reference of SGLang-Omni's protocol, for its page in the documentation."""

from __future__ import annotations

from pytest_realtime_asr.dialects.sglang_omni.events import SHAPES
from pytest_realtime_asr.requirements.reference import Reference, fields_by_requirement

_ABOUT = (
    "A server of this protocol listens on `ws://HOST:PORT/v1/realtime`. The query of "
    "the URL must be `?intent=transcription`; without this query, the session is a "
    "conversation, which this project does not test. The server has one model, so the "
    "client names none. Every frame is a text frame with one JSON object, and the "
    "field `type` names the event. A server's event may have fields that are not "
    "listed here; a client ignores them. A server refuses an unknown setting of a "
    "session.",
    "The audio is PCM with 16 bits (signed, little-endian), mono, 16,000 Hz, in "
    "base64. The sample rate cannot be changed.",
    "The server divides the audio into segments, numbered from 0. Each "
    "`transcription.segment` has the whole text of one segment, which replaces the "
    "earlier text of this segment. If `is_final` is true, the text is settled. "
    "`input_audio_buffer.commit` ends the open segment. The server also ends "
    "segments by itself if its model limits their length (30 s for the models of "
    "release 0.1.9), or if turn detection is on. So an utterance may have several "
    "segments.",
    "`transcription.done` ends the audio of the session, not of one utterance. Its "
    "answer, `transcription.completed`, has the text of all segments.",
)
_IDENTITY = (
    '{"id":"sess_1f0c","object":"realtime.session","model":"qwen3-asr",'
    '"intent":"transcription","input_audio_format":"pcm16","language":null,'
    '"decode_interval_ms":2000,"turn_detection":null}'
)


def _server(kind: str, index: int, fields: str = "") -> str:
    head = f'{{"type":"{kind}","event_id":"evt_{index:02x}","event_index":{index}'
    return f"{head}{fields and ','}{fields}}}"


_EXAMPLES = {
    "session.update": '{"type":"session.update","session":{"language":"en"}}',
    "input_audio_buffer.append": (
        '{"type":"input_audio_buffer.append","audio":"AAAEAAgADAAQ..."}'
    ),
    "input_audio_buffer.commit": '{"type":"input_audio_buffer.commit"}',
    "input_audio_buffer.clear": '{"type":"input_audio_buffer.clear"}',
    "transcription.done": '{"type":"transcription.done"}',
    "session.created": _server("session.created", 1, f'"session":{_IDENTITY}'),
    "session.updated": _server("session.updated", 2, f'"session":{_IDENTITY}'),
    "input_audio_buffer.committed": _server(
        "input_audio_buffer.committed", 4, '"segment_id":0'
    ),
    "input_audio_buffer.cleared": _server("input_audio_buffer.cleared", 6),
    "input_audio_buffer.speech_started": _server(
        "input_audio_buffer.speech_started", 3, '"segment_id":0,"audio_start_ms":240'
    ),
    "input_audio_buffer.speech_stopped": _server(
        "input_audio_buffer.speech_stopped", 5, '"segment_id":0,"audio_end_ms":1980'
    ),
    "transcription.segment": _server(
        "transcription.segment",
        5,
        '"segment_id":0,"audio_start_ms":0,"audio_end_ms":1980,'
        '"text":"open the door","is_final":true',
    ),
    "transcription.completed": _server(
        "transcription.completed", 9, '"text":"open the door please"'
    ),
    "error": _server(
        "error",
        3,
        '"error":{"type":"invalid_request_error","code":"invalid_audio",'
        '"message":"Audio must be base64 PCM16."}',
    ),
}
_STATES = {
    "opening": "the connection is open, and the server has sent nothing",
    "idle": "the server has no audio, and no text is due",
    "hearing": "the client sends the audio of an utterance",
    "finishing": "an utterance is committed, and its last segment is not settled",
    "overlapping": "an utterance is committed, its last segment is not settled, and "
    "the client sends the audio of the next utterance",
    "ending": "the client has sent `transcription.done`",
    "over": "the server has sent `transcription.completed`",
}
_CODES = {
    "invalid_json": "The frame is not JSON, or is a binary frame.",
    "invalid_event": "The frame is JSON, but not an object; or it is an object in "
    "which a field is missing, unknown or of a wrong type.",
    "unsupported_event": "The event has no type, or a type that the server does not "
    "know.",
    "invalid_audio": "The audio is not base64, or ends in half a sample.",
    "audio_buffer_overflow": "The buffer has no room for this audio. The server keeps "
    "the audio that came before.",
    "session_active": "The language and the turn detection can change only after "
    "all audio that was sent is committed.",
    "unsupported_turn_detection": "The server does not support the turn detection that "
    "an update asks for.",
    "invalid_turn_detection": "The times in the settings of the turn detection "
    "contradict each other.",
    "input_already_done": "An event came after `transcription.done`.",
    "input_audio_buffer_commit_empty": "A commit came without audio. SGLang-Omni "
    "0.1.9 does not answer it.",
    "transcription_failed": "The model could not transcribe a segment.",
    "internal_error": "The server failed to handle an event.",
    "unsupported_realtime_intent": "The query of the URL does not ask for a "
    "transcription.",
}
_SESSION = "session.created"
_SEGMENT = "transcription.segment"
_TEXT = (_SEGMENT, "text")
_CODE = ("error", "error.code")
_FIELDS = {
    ("", "type"): "order known-events",
    (_SESSION, "event_id"): "event-ids-are-unique",
    (_SESSION, "event_index"): "event-index",
    (_SESSION, "session.id"): "first-event unique-ids crowd-has-unique-ids",
    (_SESSION, "session.object"): "session-transcribes",
    (_SESSION, "session.intent"): "session-transcribes",
    (_SESSION, "session.input_audio_format"): "session-transcribes",
    (_SESSION, "session.decode_interval_ms"): "session-transcribes",
    ("session.updated", "type"): "update-answered",
    ("session.updated", "session.language"): "update-shows-what-holds",
    ("input_audio_buffer.committed", "segment_id"): (
        "commit-answered segments-are-committed segments-committed-once segments-end"
    ),
    ("input_audio_buffer.cleared", "type"): "clear-answered",
    (_SEGMENT, "segment_id"): (
        "segments-are-committed segments-settled-once segment-ids-count-up"
    ),
    (_SEGMENT, "is_final"): ("segments-settled-once segments-end settled-text-stays"),
    (_SEGMENT, "audio_start_ms"): "segment-times-in-order",
    (_SEGMENT, "audio_end_ms"): "segment-times-in-order segment-times-inside-audio",
    _TEXT: (
        "first-utterance update-again no-early-text text-while-speaking no-stall "
        "keeps-up whole-characters no-control-tokens no-vocabulary-tokens "
        "no-control-characters directions-paired text-of-speech no-repetition "
        "finishes-0.1s finishes-0.5s finishes-1s finishes-2s finishes-10s "
        "finishes-35s no-loss empty-utterance-finishes "
        "silence-finishes silence-is-wordless pause-finishes pause-loses-nothing "
        "long-keeps-its-begin quiet-noise-is-wordless utterances-finish "
        "utterances-kept-apart head-present tail-present set-ups-kept-apart "
        "crowd-finishes crowd-kept-apart random-sessions same-text-20ms-chunks "
        "same-text-100ms-chunks same-text-1s-chunks same-text-fast same-text-again "
        "same-text-crowd same-text-after-silence same-text-half-gain "
        "heads-of-clips-present tails-of-clips-present long-text-goes-on "
        "long-text-has-no-hole same-words-between-silence same-words-in-chunks "
        "same-words-in-bursts same-words-joined same-words-in-long "
        "no-doubled-words-in-long "
        "no-leftover-punctuation in-flight-finish in-flight-kept-apart done-commits "
        "clear-forgets clear-keeps-committed refusal-amid-speech "
        "unknown-event-amid-speech stray-commit-spoils-nothing "
        "second-commit-spoils-nothing idle-outlived fragments-joined "
        "huge-json-outlived big-audio-outlived oversized-frame-outlived "
        "flood-outlived close-amid-speech-outlived reset-outlived "
        "half-open-outlived empty-reset-outlived abandoned-outlived "
        "slow-reader-harms-nobody"
    ),
    ("transcription.completed", "type"): "completed-once",
    ("transcription.completed", "text"): "completed-joins-segments",
    ("error", "error.type"): "errors-have-types",
    ("error", "error.message"): "errors-have-codes no-stack-trace no-secret",
    _CODE: (
        "errors-have-codes bad-json-refused no-object-refused deep-json-outlived "
        "duplicate-keys-refused not-a-number-outlived lone-surrogates-outlived "
        "huge-number-outlived empty-text-refused composite-type-outlived "
        "no-type-refused unknown-event-refused "
        "append-without-audio-refused append-wrong-type-refused bad-base64-refused "
        "foreign-characters-refused odd-bytes-refused update-without-session-refused "
        "unknown-setting-refused unknown-format-refused semantic-detection-refused "
        "update-amid-speech-refused input-after-done-refused "
        "overflow-code binary-answered oversized-frame-closed"
    ),
}
_OUTLINE = """\
    server  session.created {session}
    client  session.update {session}                  optional
    server  session.updated {session}
    client  input_audio_buffer.append {audio} ...     PCM16 mono 16 kHz, base64
    server  transcription.segment {segment_id: 0, text, is_final: false} ...
    client  input_audio_buffer.commit                 the utterance is complete
    server  input_audio_buffer.committed {segment_id: 0}
    server  transcription.segment {segment_id: 0, text, is_final: true}
    client  transcription.done                        the session's audio is complete
    server  transcription.completed {text}            of all segments
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
