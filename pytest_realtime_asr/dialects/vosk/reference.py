"""The reference of vosk-server's protocol, for its page in the documentation."""

from __future__ import annotations

from pytest_realtime_asr.dialects.vosk.events import (
    EOF_TEXT,
    RESET_TEXT,
    Config,
    Eof,
    PartialResult,
    Reset,
    Result,
)
from pytest_realtime_asr.requirements.reference import Reference, fields_by_requirement
from pytest_realtime_asr.trace.records import Sender

_ABOUT = (
    "A server of this protocol listens on `ws://HOST:PORT/`, by default on port 2700. "
    "The server checks no key, and has no list of models and no `/health`. If the user "
    "gives a key, it is sent as `Authorization: Bearer KEY`, for a proxy in front of "
    "the server.",
    "The client sends the configuration and the end of the audio as text frames, and "
    "the audio as binary frames: PCM with 16 bits (signed, little-endian), mono, at "
    "the sample rate of the configuration. Without a configuration, the rate is the "
    "one that the server was started with, by default 8,000 Hz.",
    "No message has a type or an id. The server answers each message except the "
    "configuration by exactly one message, and answers in order. So the answer to a "
    "message is found by counting. The result that answers `eof` is the final, and a "
    "result that answers audio settles a segment. The text of the utterance is the "
    "text of all segments and of the final, with a space between them.",
    "The server sends a recognised word only in its answer to the next message of "
    "audio. So the time of a partial includes the wait for this message, which is at "
    "most the length of a chunk. "
    "The times of finals do not depend on the chunks, since `eof` is answered at once. "
    "If you compare servers by their partials, send chunks of the same length to "
    "all of them (`--realtime-chunk`).",
    f"Newer servers also know the text `{RESET_TEXT}` (profile `vosk-reset`). They "
    "answer it like `eof`, with the text of the remaining audio, but the session goes "
    "on. The server in C++ (profile `vosk-cpp`) reads no configuration. It answers "
    "`eof` in a binary frame, and closes only after another message.",
)
_EXAMPLES = {
    "config": '{"config":{"sample_rate":16000,"words":true}}',
    "eof": EOF_TEXT,
    "reset": RESET_TEXT,
    "partial": '{"partial":"open the"}',
    "result": (
        '{"text":"open the door","result":['
        '{"word":"open","start":0.3,"end":0.57,"conf":1.0},'
        '{"word":"the","start":0.57,"end":0.66,"conf":0.98},'
        '{"word":"door","start":0.66,"end":1.02,"conf":1.0}]}'
    ),
}
_STATES = {
    "configuring": "the connection is open, and no audio was sent",
    "hearing": "the client sends audio",
    "finishing": "the client has sent `eof`, and the server has not answered it",
    "over": "the server has answered `eof`, and closes the connection",
}
_PARTIAL = ("partial", "partial")
_TEXT = ("result", "text")
_WORDS = ("result", "result[].word")
_FIELDS = {
    ("config", "config.sample_rate"): "sample-rate-obeyed set-ups-kept-apart",
    ("config", "config.words"): "words-when-asked update-again",
    _PARTIAL: (
        "order one-reply known-messages replies-are-text segments-not-repeated "
        "no-early-text text-while-speaking no-stall keeps-up whole-characters "
        "no-control-tokens no-control-characters odd-bytes-outlived "
        "unknown-text-answered unknown-message-answered eof-without-space-answered "
        "bad-config-answered no-stack-trace no-secret fragments-joined"
    ),
    ("eof", "eof"): "closes-after-end",
    _TEXT: (
        "order one-reply result-at-end replies-are-text segments-not-repeated "
        "words-match-text first-utterance whole-characters no-control-tokens "
        "no-vocabulary-tokens no-control-characters directions-paired text-of-speech "
        "no-repetition finishes-0.1s finishes-0.5s finishes-1s finishes-2s "
        "finishes-10s finishes-35s no-loss empty-utterance-finishes "
        "empty-utterance-is-wordless silence-finishes silence-is-wordless "
        "pause-finishes pause-loses-nothing long-keeps-its-begin "
        "quiet-noise-is-wordless keeps-up utterances-finish utterances-kept-apart "
        "head-present tail-present crowd-finishes crowd-kept-apart random-sessions "
        "same-text-20ms-chunks same-text-100ms-chunks same-text-1s-chunks "
        "same-text-fast same-text-again same-text-crowd same-text-after-silence "
        "same-text-half-gain heads-of-clips-present tails-of-clips-present "
        "long-text-goes-on long-text-has-no-hole same-words-between-silence "
        "same-words-in-chunks same-words-in-bursts same-words-joined "
        "same-words-in-long no-doubled-words-in-long no-leftover-punctuation "
        "idle-outlived big-audio-outlived "
        "oversized-frame-closed oversized-frame-outlived flood-outlived "
        "close-amid-speech-outlived reset-outlived half-open-outlived "
        "empty-reset-outlived abandoned-outlived"
    ),
    _WORDS: "words-match-text words-when-asked",
    ("result", "result[].start"): "words-inside-audio",
    ("result", "result[].end"): "words-inside-audio",
    ("result", "result[].conf"): "confidences-in-range",
}

_OUTLINE = """\
    client  config {sample_rate, words}     (not answered)
    client  audio                           PCM16 mono, a binary frame
    server  partial                         the text of the open segment
    client  audio
    server  result {text, result}           if the segment has ended, else partial
    client  eof                             the audio is complete
    server  result {text, result}           the last segment; then a close, code 1000
""".rstrip()


def reference(*, several: bool) -> Reference:
    """Return the reference of the protocol.

    ``several`` says whether the servers know ``reset``.
    """
    states = _STATES
    if several:
        states = {**_STATES, "resetting": "the client has sent `reset`"}
    return Reference(
        about=_ABOUT,
        outline=_OUTLINE,
        kinds={
            Sender.CLIENT: (Config, Eof, Reset) if several else (Config, Eof),
            Sender.SERVER: (PartialResult, Result),
        },
        examples=_EXAMPLES,
        states=states,
        codes={},
        fields=fields_by_requirement(_FIELDS),
    )
