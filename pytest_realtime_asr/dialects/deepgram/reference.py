"""The reference of Deepgram's protocol, for its page in the documentation."""

from __future__ import annotations

from pytest_realtime_asr.dialects.deepgram.events import SHAPES
from pytest_realtime_asr.dialects.deepgram.server import SCHEMA_ERROR
from pytest_realtime_asr.requirements.order import Table
from pytest_realtime_asr.requirements.reference import Reference, fields_by_requirement

_ABOUT = (
    "A server of this protocol listens on `wss://HOST/v1/listen`. The options of a "
    "session are in the query of the URL. A server with a key expects the header "
    "`Authorization: Token KEY`. Every event is a text frame with one JSON object, and "
    "the field `type` names the event. An event may have fields that are not listed "
    "here; a receiver ignores them.",
    "The client sends the audio in binary frames, without any header. The default of "
    "this package is `encoding=linear16`, `sample_rate=16000` and `channels=1`: PCM "
    "with 16 bits (signed, little-endian), mono, 16,000 Hz. The client also asks for "
    "`interim_results=true`. All session options go into the query. An option with the "
    "value `null` is left out, even if it has a default.",
    "All times are in seconds from the start of the session's audio. A result has the "
    "text of a segment of the audio. The results of the open segment replace each "
    "other; a result with `is_final` settles the segment.",
    "The client ends an utterance by `Finalize`, and the server answers by a result "
    "with `from_finalize`. No event has the id of an utterance; answers come in the "
    "order of the utterances. Deepgram's documents do not promise an answer if there "
    "is no audio to process. With the profile `whisperlivekit-listen`, the first "
    "event of a session is `Metadata`, and `CloseStream` ends the utterance and the "
    "session.",
    "A session in which the server gets neither audio nor `KeepAlive` for 10 seconds "
    "is closed with the code 1011 and a reason that starts with `NET-0001`. Audio that "
    "cannot be decoded is answered by the close code 1008 and `DATA-0000`. Invalid "
    "options are refused with HTTP 400, and a wrong key is refused with HTTP 401.",
)
_RESULTS = (
    '{"type":"Results","channel_index":[0,1],"start":0.0,"duration":1.6,'
    '"is_final":true,"channel":{"alternatives":[{"transcript":"open the door",'
    '"confidence":0.98,"words":[{"word":"open","start":0.2,"end":0.5,'
    '"confidence":0.98,"punctuated_word":"open"}]}]},"metadata":{"request_id":'
    '"1f0c2a44","model_uuid":"4899aa2d"},"speech_final":true,"from_finalize":true}'
)
_EXAMPLES = {
    "KeepAlive": '{"type":"KeepAlive"}',
    "Finalize": '{"type":"Finalize"}',
    "CloseStream": '{"type":"CloseStream"}',
    "Results": _RESULTS,
    "SpeechStarted": '{"type":"SpeechStarted","channel":[0,1],"timestamp":0.18}',
    "UtteranceEnd": '{"type":"UtteranceEnd","channel":[0,1],"last_word_end":1.32}',
    "Metadata": (
        '{"type":"Metadata","request_id":"1f0c2a44","created":'
        '"2026-11-30T00:00:00+00:00","duration":1.6,"channels":1}'
    ),
    "Error": (
        '{"type":"Error","description":"unknown type of message: Hello",'
        '"variant":"SchemaError","message":"{\\"type\\":\\"Hello\\"}"}'
    ),
}
_STATES = {
    "opening": "the connection is open, and the server has sent nothing; this state "
    "exists only with `greeting=yes`",
    "idle": "the server has sent the results of all audio",
    "hearing": "the client sends the audio of an utterance",
    "finalizing": "one `Finalize` has not been answered",
    "finalizing and hearing": "one `Finalize` has not been answered, and the client "
    "sends the next audio",
    "finalizing several": "two or more `Finalize` have not been answered",
    "finalizing several and hearing": "two or more `Finalize` have not been answered, "
    "and the client sends the next audio",
    "closing": "`CloseStream` was sent, and `Metadata` has not come",
    "closed": "`Metadata` has come; the server closes the connection",
}
_CODES = {
    SCHEMA_ERROR: "The text frame is not JSON, or is not an event that the server "
    "knows. The code is in the field `variant`.",
}
_TEXT = ("Results", "channel.alternatives[].transcript")
_FIELDS = {
    ("", "type"): "order keepalive-is-silent",
    _TEXT: (
        "first-utterance settled-text-stays no-early-text text-while-speaking no-stall "
        "keeps-up no-doubled-words-in-long empty-utterance-finishes "
        "empty-utterance-is-wordless idle-outlived huge-json-outlived "
        "big-audio-outlived oversized-frame-outlived flood-outlived "
        "close-amid-speech-outlived reset-outlived half-open-outlived "
        "empty-reset-outlived abandoned-outlived slow-reader-harms-nobody "
        "whole-characters no-control-tokens no-vocabulary-tokens "
        "no-control-characters directions-paired text-of-speech no-repetition no-loss "
        "finishes-0.1s finishes-0.5s finishes-1s finishes-2s finishes-10s finishes-35s "
        "silence-finishes silence-is-wordless pause-finishes pause-loses-nothing "
        "long-keeps-its-begin quiet-noise-is-wordless utterances-finish "
        "utterances-kept-apart head-present tail-present crowd-finishes "
        "crowd-kept-apart random-sessions same-text-20ms-chunks "
        "same-text-100ms-chunks same-text-1s-chunks same-text-fast same-text-again "
        "same-text-crowd same-text-after-silence same-text-half-gain "
        "same-text-8000hz same-text-48000hz same-text-mulaw same-text-alaw "
        "heads-of-clips-present tails-of-clips-present long-text-goes-on "
        "long-text-has-no-hole same-words-between-silence same-words-in-chunks "
        "same-words-in-bursts same-words-joined same-words-in-long "
        "no-leftover-punctuation words-match-text in-flight-finish "
        "stray-finalize-spoils-nothing second-finalize-spoils-nothing "
        "close-settles-text"
    ),
    ("Results", "start"): "segments-in-order segments-cover-audio",
    ("Results", "duration"): "segments-in-order segments-cover-audio",
    ("Results", "is_final"): "interims-only-if-asked close-settles-text",
    ("Results", "from_finalize"): "utterances-finish in-flight-finish",
    ("Results", "metadata.request_id"): (
        "unique-ids crowd-has-unique-ids same-request-id"
    ),
    ("Results", "channel.alternatives[].confidence"): "confidences-in-range",
    ("Results", "channel.alternatives[].words[].start"): "words-in-segment",
    ("Results", "channel.alternatives[].words[].end"): "words-in-segment",
    ("Results", "channel.alternatives[].words[].word"): "words-match-text",
    ("SpeechStarted", "timestamp"): "speech-start-reported events-only-if-asked",
    ("UtteranceEnd", "last_word_end"): "utterance-end-reported events-only-if-asked",
    ("Metadata", "request_id"): "first-event",
    ("Metadata", "duration"): "metadata-counts-audio close-is-summarised",
    ("Error", "description"): "errors-have-codes no-stack-trace no-secret",
    ("Error", "variant"): (
        "errors-have-codes bad-json-refused no-object-refused no-type-refused "
        "unknown-event-refused unknown-event-amid-speech deep-json-outlived "
        "duplicate-keys-refused not-a-number-outlived lone-surrogates-outlived "
        "composite-type-outlived empty-text-refused huge-number-outlived "
        "oversized-frame-closed empty-frame-explained"
    ),
}
_OUTLINE = """\
    client  GET /v1/listen?model=...&encoding=linear16&sample_rate=16000&...
    client  audio ...                               binary frames
    server  Results {is_final: false} ...           the text of the open segment
    server  Results {is_final: true}                the segment is settled
    client  Finalize                                the utterance is complete
    server  Results {is_final, from_finalize}       its last segment
    client  KeepAlive                               while no audio comes
    client  CloseStream
    server  Results {is_final: true} ...
    server  Metadata {duration}
    server  closes with the code 1000
""".rstrip()


def reference(table: Table) -> Reference:
    """Return the reference of a profile.

    ``table`` is the order of the events in this profile.
    """
    states = {state for moves in table.values() for state in moves}
    return Reference(
        about=_ABOUT,
        outline=_OUTLINE,
        kinds=SHAPES.kinds,
        examples=_EXAMPLES,
        states={name: text for name, text in _STATES.items() if name in states},
        codes=_CODES,
        fields=fields_by_requirement(_FIELDS),
    )
