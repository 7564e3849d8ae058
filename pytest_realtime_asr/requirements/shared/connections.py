"""Shared requirements on handshakes, on single and on concurrent connections."""

from __future__ import annotations

from pytest_realtime_asr.requirements import checks
from pytest_realtime_asr.requirements.requirement import (
    REAL_TIME,
    Level,
    Proof,
    Requirement,
)
from pytest_realtime_asr.requirements.shared.clauses import HARM, bug

MUST, SHOULD = Level.MUST, Level.SHOULD
_UNAUTHORISED = (1008, 3000, 4401)  # close codes by which servers refuse a key

LIFE: tuple[Requirement, ...] = (
    Requirement(
        "pong",
        "a ping is answered",
        MUST,
        "RFC 6455, section 5.5.2: an endpoint MUST send a Pong in response",
        checks.pongs("idle"),
        scenarios=("idle",),
        proof=Proof(("no-pong",)),
    ),
    Requirement(
        "pong-under-load",
        "a ping is answered in time while eight sessions send audio",
        SHOULD,
        bug("FunASR#3528", "vosk-server#80"),
        checks.pongs("crowd"),
        scenarios=("crowd",),
        proof=Proof(("no-pong",)),
    ),
    Requirement(
        "idle-outlived",
        "a session can be used after an idle period",
        SHOULD,
        bug("Azure-Samples/aoai-realtime-audio-sdk#96", "vllm#36015"),
        checks.finishes("idle"),
        scenarios=("idle",),
        proof=Proof(("idle-kills",), pace=3.0),
    ),
    Requirement(
        "fragments-joined",
        "a message that is sent in several fragments is read as one message",
        MUST,
        "RFC 6455, section 5.4: endpoints MUST support both fragmented and "
        "unfragmented messages",
        checks.finishes("fragments"),
        scenarios=("fragments",),
        proof=Proof(("no-fragments",)),
    ),
    Requirement(
        "close-answered",
        "a close frame is answered by a close frame",
        MUST,
        "RFC 6455, section 5.5.1: the endpoint MUST send a Close frame in response",
        checks.close_answered("close"),
        scenarios=("close",),
        proof=Proof(("no-close-answer",)),
    ),
    Requirement(
        "close-amid-speech-outlived",
        "a session closed in mid-utterance does not harm other sessions",
        MUST,
        HARM + "; " + bug("ufal/whisper_streaming#106", "wenet#911"),
        checks.survives("cut"),
        scenarios=("cut",),
        proof=Proof(("stalls-of-close",)),
    ),
    Requirement(
        "reset-outlived",
        "connections that break off in mid-utterance do not harm other sessions",
        MUST,
        HARM + "; " + bug("vllm#34532", "ufal/whisper_streaming#106"),
        checks.survives("reset"),
        scenarios=("reset",),
        proof=Proof(("stalls-of-reset",)),
    ),
    Requirement(
        "half-open-outlived",
        "a client that vanishes without a close frame does not harm other sessions",
        MUST,
        HARM + "; " + bug("vllm#46815"),
        checks.survives("half-open"),
        scenarios=("half-open",),
        proof=Proof(("waits-for-all",), pace=REAL_TIME),
    ),
    Requirement(
        "empty-reset-outlived",
        "a connection that breaks off before any audio does not harm other sessions",
        MUST,
        HARM + "; " + bug("vllm#34532", "vllm#34862"),
        checks.survives("empty-reset"),
        scenarios=("empty-reset",),
        proof=Proof(("stalls-of-reset",)),
    ),
    Requirement(
        "abandoned-outlived",
        "sessions abandoned in mid-utterance do not harm other sessions",
        MUST,
        HARM + "; " + bug("vllm#46815"),
        checks.survives("abandoned"),
        scenarios=("abandoned",),
        proof=Proof(("stalls-of-close",)),
    ),
)

HANDSHAKES: tuple[Requirement, ...] = (
    Requirement(
        "wrong-path-refused",
        "a WebSocket on an unknown path is refused",
        MUST,
        "RFC 6455, section 4.2.2: the server MUST answer an unavailable resource by "
        "an HTTP status such as 404",
        checks.handshake_refused(
            "wrong-path", (403, 404), without="no wrong path was tried"
        ),
        scenarios=("close", "wrong-path"),
        proof=Proof(("any-path",)),
    ),
    Requirement(
        "wrong-key-refused",
        "a wrong key is refused",
        MUST,
        "RFC 9110, section 15.5.2: 401 for a request without valid credentials; once "
        "the WebSocket is open, the close code 1008 (policy violation), 3000 "
        "(unauthorized) or 4401 (private use)",
        checks.handshake_refused(
            "wrong-key",
            (401, 403),
            codes=_UNAUTHORISED,
            without="no key was given to the client",
        ),
        scenarios=("close", "wrong-key"),
        proof=Proof(("any-key",)),
    ),
    Requirement(
        "plain-http-refused",
        "plain HTTP on the WebSocket path is refused as a client error (4xx)",
        SHOULD,
        "RFC 9110, section 15.5: 4xx if the client seems to have erred",
        checks.plain_http_refused("plain-http"),
        scenarios=("close", "plain-http"),
        proof=Proof(("crash-page",)),
    ),
)

MANY: tuple[Requirement, ...] = (
    Requirement(
        "one-process",
        "the server's process is the same from the first session to the last",
        MUST,
        HARM + "; " + bug("vllm#34532", "vllm#39996"),
        checks.same_process,
        scenarios=("last",),
        proof=Proof(("restarts",), beside=("reset",)),
    ),
    Requirement(
        "crowd-finishes",
        "eight concurrent sessions get their finals",
        MUST,
        HARM + "; " + bug("vllm#35863", "FunASR#3533"),
        checks.finishes("crowd"),
        scenarios=("crowd",),
        proof=Proof(("third-is-silent",)),
    ),
    Requirement(
        "crowd-has-unique-ids",
        "eight concurrent sessions have eight different ids",
        MUST,
        HARM + ": two sessions with the same id cannot be told apart",
        checks.unique_ids("crowd"),
        scenarios=("crowd",),
        proof=Proof(("same-id",)),
    ),
    Requirement(
        "crowd-kept-apart",
        "no session gets text of another session",
        MUST,
        HARM + ": another session's text",
        checks.kept_apart("crowd"),
        scenarios=("alone", "crowd"),
        proof=Proof(("cross-talk",)),
    ),
    Requirement(
        "slow-reader-harms-nobody",
        "a client that does not read does not delay other sessions",
        MUST,
        HARM,
        checks.survives("slow-reader"),
        scenarios=("slow-reader",),
        proof=Proof(("slow-reader-stalls",)),
    ),
    Requirement(
        "random-sessions",
        "in random sessions, no accepted utterance is lost, and the next session works",
        MUST,
        HARM,
        checks.random_sessions_pass("random"),
        scenarios=("random",),
        proof=Proof(("reset",)),
    ),
)
