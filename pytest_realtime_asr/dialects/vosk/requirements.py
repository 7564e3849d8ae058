"""The requirements on a server of vosk-server's protocol.

vosk-server does not document its protocol. The sources are its servers in Python and
C++, and the clients in the same repository. A requirement has the level MUST if both
servers satisfy it and every client relies on it, or if a violation harms every
client. The level is SHOULD if some of the clients rely on the behaviour, and INFO if
clients can do without it.
"""

from __future__ import annotations

from dataclasses import replace

from pytest_realtime_asr.dialects.vosk import checks as own
from pytest_realtime_asr.dialects.vosk.events import START, table
from pytest_realtime_asr.dialects.vosk.profile import Profile
from pytest_realtime_asr.dialects.vosk.scenario_steps import (
    AFTER_END,
    NO_WORDS,
    ODD_BYTES,
    OTHER_RATE,
    SEGMENTS,
    UNKNOWN_TEXT,
)
from pytest_realtime_asr.requirements import checks, shared
from pytest_realtime_asr.requirements.capability import Capability
from pytest_realtime_asr.requirements.checks.combinators import per_session
from pytest_realtime_asr.requirements.order import order
from pytest_realtime_asr.requirements.requirement import (
    Level,
    Proof,
    Requirement,
    each,
)
from pytest_realtime_asr.requirements.shared import bug
from pytest_realtime_asr.trace.records import Sender

SERVER = "vosk-server 1ef2052, websocket/asr_server.py"
CLIENT = "vosk-server 202ae7b, websocket/test.py"
SUBTITLES = "vosk-server 1ef2052, websocket/test_srt.py"
BROWSER = "vosk-server, client-samples/javascript"
ENGINE = "vosk-api, src/recognizer.cc"
_READ = "read 2026-11-30"

MUST, SHOULD, INFO = Level.MUST, Level.SHOULD, Level.INFO


def _clause(where: str, sentence: str) -> str:
    return f"{where}: {sentence} ({_READ})"


def capabilities(profile: Profile) -> frozenset[Capability]:
    """Return the capabilities that the servers of a profile have."""
    found = {
        Capability.EMPTY_UTTERANCES,
        Capability.PARTIALS,
        Capability.WORD_TIMES,
    }
    if profile.config:
        found.add(Capability.SET_UP)
    if profile.reset:
        found.add(Capability.SEVERAL_UTTERANCES)
    return frozenset(found)


def requirements(profile: Profile) -> tuple[Requirement, ...]:
    """Return the requirements on the servers of a profile, and on their clients."""
    ordered = table(several=profile.reset)
    return (
        *shared.requirements(
            capabilities(profile),
            shared.stated(
                "order",
                _clause(SERVER, "the server sends only answers to messages"),
                each(order(ordered, start=START)),
                proof=Proof(("answers-first",)),
            ),
            shared.stated("no-early-text", proof=Proof(("answers-first",))),
            shared.stated("empty-utterance-finishes", proof=Proof(("no-final-empty",))),
            *((_NEXT_UTTERANCE,) if profile.reset else ()),
            shared.stated("random-sessions", proof=Proof(("empty-breaks",))),
            # The server sends no errors; what it says of a text is the close reason.
            *(
                replace(shared.SHARED[id], scenarios=scenarios)
                for id, scenarios in (
                    ("no-stack-trace", (UNKNOWN_TEXT, "plain-http")),
                    ("no-secret", ("utterances", UNKNOWN_TEXT)),
                )
            ),
        ),
        *_ANSWERS,
        *(() if profile.reset else (_CLOSES,)),
        *_texts(profile),
        *_WORDS,
        *(_CONFIGURED if profile.config else ()),
        *shared.binding_clients(
            ordered,
            start=START,
            clauses=(
                _clause(SERVER, "a configuration has no effect after the first audio"),
                _clause(SERVER, "the fields of the configuration, and the text of eof"),
                _clause(SERVER, "any other text is taken for audio, and fails"),
            ),
        ),
    )


_ANSWERS: tuple[Requirement, ...] = (
    Requirement(
        "one-reply",
        "the server answers each message, except the configuration, by one message",
        MUST,
        _clause(CLIENT, "the client waits for one answer after each message"),
        each(own.one_reply),
        scenarios=("utterances",),
        passive=True,
        proof=Proof(("skips-replies",)),
    ),
    Requirement(
        "result-at-end",
        "the end of the audio is answered by a result",
        MUST,
        _clause(SERVER, "eof is answered by the final result")
        + "; "
        + bug("speechcatcher-asr/speechcatcher#14", read=_READ),
        each(own.result_at_end),
        scenarios=("utterances",),
        passive=True,
        proof=Proof(("partial-at-end",)),
    ),
    Requirement(
        "known-messages",
        "each message of the server has a field `partial`, `text` or `alternatives`",
        SHOULD,
        _clause(SERVER, "the server sends what the recogniser returns"),
        each(checks.known_events(Sender.SERVER, ())),
        scenarios=("utterances",),
        passive=True,
        proof=Proof(("nameless-replies",)),
    ),
    Requirement(
        "replies-are-text",
        "each message of the server is a text frame",
        SHOULD,
        _clause(BROWSER, "JSON.parse is applied to the data of each message"),
        each(own.replies_are_text),
        scenarios=("utterances",),
        passive=True,
        proof=Proof(("binary-replies",)),
    ),
    Requirement(
        "segments-not-repeated",
        "the text after a result does not repeat this result",
        SHOULD,
        _clause(SUBTITLES, "each result becomes a new subtitle"),
        own.not_repeated(SEGMENTS),
        scenarios=(SEGMENTS,),
        proof=Proof(("repeats-segments",)),
    ),
)

_NEXT_UTTERANCE = shared.stated(
    "utterances-finish",
    _clause(
        "vosk-server, websocket/asr_server.py with reset",
        "reset is answered by the final result, and the session goes on",
    ),
    proof=Proof(("reset-ends",)),
)

_CLOSES = Requirement(
    "closes-after-end",
    "the server closes with code 1000 after its answer to the end of the audio",
    SHOULD,
    _clause(
        SERVER,
        "the server ends the session after its answer to eof; the C++ server keeps the "
        "session open",
    ),
    per_session(lambda part: own.closes_after_end(part.recording), AFTER_END),
    scenarios=(AFTER_END,),
    proof=Proof(("open-after-end",)),
)


def _texts(profile: Profile) -> tuple[Requirement, ...]:
    return (
        *(
            Requirement(
                f"{name}-answered",
                f"{about} is answered, or ends the session with a close code",
                SHOULD,
                _clause(CLIENT, "the client waits for one answer after each message"),
                per_session(own.text_answered, name),
                scenarios=(name,),
                proof=Proof(("ignores-texts",)),
            )
            for name, about in _UNKNOWN.items()
            if profile.config or name != "bad-config"
        ),
        Requirement(
            "odd-bytes-outlived",
            "audio without a sample, or with half a sample, does not end the session",
            SHOULD,
            _clause(ENGINE, "an incomplete sample at the end is dropped"),
            checks.finishes(ODD_BYTES),
            scenarios=(ODD_BYTES,),
            proof=Proof(("odd-bytes-end",)),
        ),
    )


_UNKNOWN = {
    UNKNOWN_TEXT: "a text that is not JSON",
    "unknown-message": "a JSON object that is not a message",
    "eof-without-space": "an eof message without spaces",
    "bad-config": "a configuration that is not JSON",
}

_WORDS: tuple[Requirement, ...] = (
    Requirement(
        "words-match-text",
        "the list of words in a result matches its text",
        SHOULD,
        _clause(SUBTITLES, "the subtitles are made from the list of words"),
        each(own.words_match_text),
        scenarios=("utterances",),
        passive=True,
        proof=Proof(("loses-word-times",)),
    ),
    Requirement(
        "words-inside-audio",
        "the words of a result are in order, and lie in the audio that was sent",
        SHOULD,
        _clause(ENGINE, "`start` and `end` are seconds from the start of the stream"),
        each(own.words_inside_audio),
        scenarios=("utterances",),
        passive=True,
        proof=Proof(("word-times-in-ms",)),
    ),
    Requirement(
        "confidences-in-range",
        "the confidence of a word is from 0 to 1",
        SHOULD,
        _clause(ENGINE, "`conf` is the posterior probability of the word"),
        each(own.confidences),
        scenarios=("utterances",),
        passive=True,
        proof=Proof(("percent-confidences",)),
    ),
)

_CONFIGURED: tuple[Requirement, ...] = (
    Requirement(
        "sample-rate-obeyed",
        "the audio is read at the sample rate of the configuration",
        MUST,
        _clause(SERVER, "the recogniser is created with the configured `sample_rate`"),
        checks.both(checks.finishes(OTHER_RATE), checks.has_clip(OTHER_RATE)),
        scenarios=("alone", OTHER_RATE),
        proof=Proof(("one-rate",)),
    ),
    Requirement(
        "words-when-asked",
        "results have words if, and only if, the configuration asks for them",
        SHOULD,
        _clause(SERVER, "the recogniser is created with the configured `words`"),
        each(own.words_when_asked),
        scenarios=("utterances", NO_WORDS),
        passive=True,
        proof=Proof(("no-word-times",)),
    ),
)
