"""What every server of realtime transcription has to do, whatever protocol it speaks.

A dialect takes from here what holds for its servers as well. What each protocol has in
words of its own it states with a clause of its own, and where its events are looked at
by a judge of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from pytest_realtime_asr.requirements import checks
from pytest_realtime_asr.requirements.evidence import Evidence
from pytest_realtime_asr.requirements.order import Table, order
from pytest_realtime_asr.requirements.requirement import (
    REAL_TIME,
    Check,
    Level,
    Outcome,
    Proof,
    Requirement,
    each,
)
from pytest_realtime_asr.requirements.scenario_steps import Misuse
from pytest_realtime_asr.trace.records import Sender

HARM = "harm to every client"
READ = "read 2026-11-22"

MUST, SHOULD = Level.MUST, Level.SHOULD
IGNORED = Proof(("tolerant",))
"""The proof of most refusals: the fake ignores what it should refuse."""


def taken(*ids: str) -> tuple[Requirement, ...]:
    """The requirements of these ids."""
    return tuple(_TAKEN[id] for id in ids)


def stated(
    id: str,
    clause: str = "",
    check: Check | None = None,
    *,
    level: Level | None = None,
    proof: Proof | None = None,
) -> Requirement:
    """Return a shared requirement as one protocol states it.

    What is not given is as declared here; ``check`` is needed where the requirement is
    about the protocol's own events.
    """
    found = _STATED.get(id) or _TAKEN[id]
    return replace(
        found,
        clause=clause or found.clause,
        check=check or found.check,
        level=level or found.level,
        proof=proof or found.proof,
    )


def refused(
    name: str,
    clause: str,
    *codes: str,
    level: Level = Level.MUST,
    proof: Proof = IGNORED,
) -> Requirement:
    """Return the requirement that a misuse is refused, by one of ``codes`` if given."""
    title, what = _REFUSED[name]
    return Requirement(
        f"{name}-refused",
        title,
        level,
        clause,
        checks.refused(name, what, *codes),
        scenarios=(name,),
        proof=proof,
    )


def binding_clients(
    table: Table, *, start: str, clauses: tuple[str, str, str]
) -> tuple[Requirement, ...]:
    """What binds the client: the order, the fields and the types of its events."""
    ordered, formed, known = clauses
    return tuple(
        Requirement(id, title, MUST, clause, judge, binds=Sender.CLIENT, passive=True)
        for id, title, clause, judge in (
            (
                "client-order",
                "the client keeps the documented order",
                ordered,
                each(order(table, start=start)),
            ),
            (
                "client-well-formed",
                "every frame of the client is an event with the fields of its type",
                formed,
                each(checks.well_formed(Sender.CLIENT)),
            ),
            (
                "client-known-events",
                "the client sends no event that the protocol does not know",
                known,
                each(checks.known_events(Sender.CLIENT, ())),
            ),
        )
    )


def bug(*threads: str, read: str = READ) -> str:
    """The clause of what was reported there."""
    return f"bug reports: {', '.join(threads)} ({read})"


def misuses(*names: str) -> tuple[Misuse, ...]:
    """The misuses of these names, which are no event of any protocol."""
    return tuple(_MISUSES[name] for name in names)


def _of_the_dialect(evidence: Evidence) -> Outcome:
    """In the place of the judge that a dialect gives."""
    raise NotImplementedError("this requirement is judged by the protocol's own events")


REQUIREMENTS: tuple[Requirement, ...] = (
    # What is shown
    Requirement(
        "closes-are-explained",
        "a server that ends a session says why before",
        SHOULD,
        bug("sglang-omni#706", "livekit/agents#2774", "vllm#39996"),
        checks.explained_close,
        scenarios=("utterances", "binary", "idle"),
        passive=True,
        proof=Proof(("silent-close",)),
    ),
    Requirement(
        "no-stack-trace",
        "no stack trace is shown",
        MUST,
        HARM,
        checks.no_stack_trace,
        scenarios=("append-wrong-type", "no-object", "plain-http"),
        passive=True,
        proof=Proof(("stack-trace",)),
    ),
    Requirement(
        "no-secret",
        "the client's key is never sent back",
        MUST,
        HARM,
        checks.no_secret,
        scenarios=("utterances", "unknown-event"),
        passive=True,
        proof=Proof(("shows-key",)),
    ),
    Requirement(
        "whole-characters",
        "no character of a text is cut or replaced",
        MUST,
        bug("WhisperLiveKit#261", "openai/codex#35161", "0xShug0/audio.cpp#552"),
        checks.whole_characters,
        scenarios=("utterances",),
        passive=True,
        proof=Proof(("broken-characters",)),
    ),
    Requirement(
        "no-control-tokens",
        "no token of the model gets into a text",
        SHOULD,
        bug("vllm#35767", "vllm#47421"),
        checks.no_control_tokens,
        scenarios=("utterances",),
        passive=True,
        proof=Proof(("tokens-shown",)),
    ),
    Requirement(
        "no-early-text",
        "no text comes before any audio",
        SHOULD,
        "a first text that nothing was said for makes every latency a lie",
        checks.no_early_text,
        scenarios=("utterances",),
        passive=True,
    ),
    # What is outlived
    Requirement(
        "deep-json-outlived",
        "JSON nested 100,000 levels deep is refused, and outlived",
        SHOULD,
        HARM,
        checks.refused("deep-json", "deep JSON"),
        scenarios=("deep-json",),
        proof=Proof(("deep-dies",)),
    ),
    Requirement(
        "huge-json-outlived",
        "an event of 4 MiB harms nobody",
        MUST,
        HARM + "; " + bug("FunASR#1756", "elevenlabs-python#482"),
        checks.survives("huge-json"),
        scenarios=("huge-json",),
        proof=Proof(("big-frame-dies",), own_process=True),
    ),
    Requirement(
        "duplicate-keys-refused",
        "an unknown type that is named twice is refused",
        SHOULD,
        "RFC 8259, section 4: names within an object SHOULD be unique",
        checks.refused("duplicate-keys", "JSON with duplicate keys"),
        scenarios=("duplicate-keys",),
        proof=Proof(("tolerant",)),
    ),
    Requirement(
        "not-a-number-outlived",
        "NaN and Infinity are refused, and outlived",
        SHOULD,
        "RFC 8259, section 6: Infinity and NaN are not permitted",
        checks.refused("not-a-number", "a value that is no number"),
        scenarios=("not-a-number",),
        proof=Proof(("tolerant",)),
    ),
    Requirement(
        "lone-surrogates-outlived",
        "half a character in a name is refused, and outlived",
        SHOULD,
        "RFC 8259, section 8.2: unpaired surrogates lead to unpredictable behaviour",
        checks.refused("lone-surrogates", "half a character"),
        scenarios=("lone-surrogates",),
        proof=Proof(("surrogate-dies",)),
    ),
    Requirement(
        "big-audio-outlived",
        "15 MiB of audio in one frame harm nobody",
        MUST,
        HARM,
        checks.survives("big-audio"),
        scenarios=("big-audio",),
        proof=Proof(("big-frame-dies",), own_process=True),
    ),
    Requirement(
        "oversized-frame-closed",
        "a frame of over 16 MiB is refused, or the session closed with 1009",
        SHOULD,
        "RFC 6455, section 7.4.1: 1009 for a message that is too big",
        checks.refused_or_closed("oversized", (1008, 1009)),
        scenarios=("oversized",),
        proof=Proof(("any-size",)),
    ),
    Requirement(
        "oversized-frame-outlived",
        "a frame of over 16 MiB harms nobody else",
        MUST,
        HARM + "; " + bug("FunASR#1756"),
        checks.survives("oversized"),
        scenarios=("oversized",),
        proof=Proof(("any-size", "big-frame-dies"), own_process=True),
    ),
    Requirement(
        "flood-outlived",
        "16 MiB of audio that no commit asks for harm nobody else",
        MUST,
        HARM + "; " + bug("vllm#48130"),
        checks.survives("flood"),
        scenarios=("flood",),
        proof=Proof(("flood-dies",), own_process=True),
    ),
    # Texts and ends
    Requirement(
        "text-of-speech",
        "speech gives text",
        MUST,
        bug("vllm#47614", "sherpa-onnx#327"),
        checks.both(checks.finishes("alone"), checks.speech_has_text("alone")),
        scenarios=("alone",),
        proof=Proof(("wordless",)),
    ),
    Requirement(
        "no-stall",
        "text goes on coming while speech is sent",
        SHOULD,
        bug("vllm#47614", "CrispASR#383"),
        checks.no_stall("10s", at_most=7.0),
        scenarios=("10s",),
        proof=Proof(("all-at-end",), pace=REAL_TIME),
    ),
    Requirement(
        "no-repetition",
        "nothing is said three times over",
        SHOULD,
        bug("elevenlabs-python#686", "vllm#47264"),
        checks.no_repetition("alone"),
        scenarios=("alone",),
        proof=Proof(("stutters",)),
    ),
    *(
        Requirement(
            f"finishes-{name}",
            f"an utterance of {name} gets its final",
            MUST,
            bug("vllm#33962", "NVIDIA/NeMo-Speech.cpp#49"),
            checks.finishes(name),
            scenarios=(name,),
            proof=Proof((fault,)),
        )
        for name, fault in (
            ("0.1s", "no-final-short"),
            ("0.5s", "no-final"),
            ("1s", "no-final-after-1s"),
            ("2s", "no-final-after-1s"),
            ("10s", "no-final-after-1s"),
            ("35s", "no-final-long"),
        )
    ),
    Requirement(
        "empty-utterance-finishes",
        "an utterance without audio is answered, and the next one transcribed",
        MUST,
        HARM + "; " + bug("vllm#34532"),
        checks.answers("empty"),
        scenarios=("empty",),
    ),
    Requirement(
        "empty-utterance-is-wordless",
        "an utterance without audio has no text",
        SHOULD,
        bug("lemonade-sdk/lemonade#1739"),
        checks.wordless("empty", 0),
        scenarios=("empty",),
        proof=Proof(("babbles-in-silence",)),
    ),
    Requirement(
        "silence-finishes",
        "an utterance of silence gets its final, and the next one is transcribed",
        MUST,
        HARM + "; " + bug("lemonade-sdk/lemonade#1739", "vllm#36015"),
        checks.finishes("silence"),
        scenarios=("silence",),
        proof=Proof(("no-final-after-silence",)),
    ),
    Requirement(
        "silence-is-wordless",
        "silence has no text",
        SHOULD,
        bug("WhisperLiveKit#150", "WhisperLive#196", "lemonade-sdk/lemonade#1739"),
        checks.wordless("silence", 0),
        scenarios=("silence",),
        proof=Proof(("babbles-in-silence",)),
    ),
    Requirement(
        "pause-finishes",
        "an utterance in which no audio comes for a while gets its final",
        MUST,
        HARM + "; " + bug("vllm#36015", "pipecat#4124"),
        checks.finishes("pause"),
        scenarios=("pause",),
        proof=Proof(("no-final-after-pause",), pace=REAL_TIME),
    ),
    Requirement(
        "pause-loses-nothing",
        "what was said before and after a pause is in the text",
        SHOULD,
        bug("WhisperLiveKit#234", "vllm#35863"),
        checks.has_both_clips("pause"),
        scenarios=("alone", "pause"),
        proof=Proof(("pause-loses",), pace=REAL_TIME),
    ),
    Requirement(
        "long-keeps-its-begin",
        "of a long utterance the begin is in the text",
        SHOULD,
        bug("WhisperFusion#26", "WhisperLiveKit#372"),
        checks.keeps_start("35s"),
        scenarios=("alone", "35s"),
        proof=Proof(("forgets-old",)),
    ),
    # Several utterances
    Requirement(
        "utterances-kept-apart",
        "nothing of an utterance is heard in another",
        MUST,
        HARM + "; " + bug("FunASR#630", "vllm#51374"),
        checks.kept_apart("utterances"),
        scenarios=("alone", "utterances"),
        proof=Proof(("echo",)),
    ),
    Requirement(
        "head-present",
        "the first word of an utterance is there",
        MUST,
        HARM + "; " + bug("FunASR#556"),
        checks.has_first_word("utterances"),
        scenarios=("alone", "utterances"),
        proof=Proof(("loses-later-heads",)),
    ),
    Requirement(
        "tail-present",
        "the last word of an utterance is there",
        MUST,
        HARM + "; " + bug("FunASR#3438", "FunASR#630", "WhisperLiveKit#122"),
        checks.has_last_word("utterances"),
        scenarios=("alone", "utterances"),
        proof=Proof(("loses-later-tails",)),
    ),
    # The life of a connection
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
        "a ping is answered in time while eight sessions speak",
        SHOULD,
        bug("FunASR#3528", "vosk-server#80"),
        checks.pongs("crowd"),
        scenarios=("crowd",),
        proof=Proof(("no-pong",)),
    ),
    Requirement(
        "idle-outlived",
        "a session that says nothing for a while can be used then",
        SHOULD,
        bug("Azure-Samples/aoai-realtime-audio-sdk#96", "vllm#36015"),
        checks.finishes("idle"),
        scenarios=("idle",),
        proof=Proof(("idle-kills",), pace=3.0),
    ),
    Requirement(
        "fragments-joined",
        "a message in several fragments is one message",
        MUST,
        "RFC 6455, section 5.4: endpoints MUST support both fragmented and "
        "unfragmented messages",
        checks.finishes("fragments"),
        scenarios=("fragments",),
        proof=Proof(("no-fragments",)),
    ),
    Requirement(
        "close-answered",
        "a close frame is answered by one",
        MUST,
        "RFC 6455, section 5.5.1: the endpoint MUST send a Close frame in response",
        checks.close_answered("close"),
        scenarios=("close",),
        proof=Proof(("no-close-answer",)),
    ),
    Requirement(
        "close-amid-speech-outlived",
        "a session that is closed in mid-utterance harms no other",
        MUST,
        HARM + "; " + bug("ufal/whisper_streaming#106", "wenet#911"),
        checks.survives("cut"),
        scenarios=("cut",),
        proof=Proof(("stalls-of-close",)),
    ),
    Requirement(
        "reset-outlived",
        "connections that break off in mid-utterance harm nobody else",
        MUST,
        HARM + "; " + bug("vllm#34532", "ufal/whisper_streaming#106"),
        checks.survives("reset"),
        scenarios=("reset",),
        proof=Proof(("stalls-of-reset",)),
    ),
    Requirement(
        "half-open-outlived",
        "a client that vanishes without a word harms nobody else",
        MUST,
        HARM + "; " + bug("vllm#46815"),
        checks.survives("half-open"),
        scenarios=("half-open",),
        proof=Proof(("waits-for-all",), pace=REAL_TIME),
    ),
    Requirement(
        "empty-reset-outlived",
        "an empty utterance, broken off, harms nobody else",
        MUST,
        HARM + "; " + bug("vllm#34532", "vllm#34862"),
        checks.survives("empty-reset"),
        scenarios=("empty-reset",),
        proof=Proof(("stalls-of-reset",)),
    ),
    Requirement(
        "abandoned-outlived",
        "sessions that are left in mid-utterance harm nobody else",
        MUST,
        HARM + "; " + bug("vllm#46815"),
        checks.survives("abandoned"),
        scenarios=("abandoned",),
        proof=Proof(("stalls-of-close",)),
    ),
    Requirement(
        "wrong-path-refused",
        "a WebSocket on a path that is not there is refused",
        MUST,
        "RFC 6455, section 4.2.2: the server MUST answer an unavailable resource by "
        "an HTTP status such as 404",
        checks.handshake_refused("wrong-path", (403, 404), without="it was not tried"),
        scenarios=("close", "wrong-path"),
        proof=Proof(("any-path",)),
    ),
    Requirement(
        "plain-http-refused",
        "plain HTTP on the path of the WebSocket is refused, as the client's mistake",
        SHOULD,
        "RFC 9110, section 15.5: 4xx where the client seems to have erred",
        checks.plain_http_refused("plain-http"),
        scenarios=("close", "plain-http"),
        proof=Proof(("crash-page",)),
    ),
    Requirement(
        "one-process",
        "the server lives from the first session to the last",
        MUST,
        HARM + "; " + bug("vllm#34532", "vllm#39996"),
        checks.same_process,
        scenarios=("last",),
        proof=Proof(("restarts",), beside=("reset",)),
    ),
    # Many connections
    Requirement(
        "crowd-finishes",
        "eight sessions at once get their finals",
        MUST,
        HARM + "; " + bug("vllm#35863", "FunASR#3533"),
        checks.finishes("crowd"),
        scenarios=("crowd",),
        proof=Proof(("third-is-silent",)),
    ),
    Requirement(
        "crowd-kept-apart",
        "no session hears what is said in another",
        MUST,
        HARM + ": another session's text",
        checks.kept_apart("crowd"),
        scenarios=("alone", "crowd"),
        proof=Proof(("cross-talk",)),
    ),
    Requirement(
        "slow-reader-harms-nobody",
        "a client that does not read holds nobody up",
        MUST,
        HARM,
        checks.survives("slow-reader"),
        scenarios=("slow-reader",),
        proof=Proof(("slow-reader-stalls",)),
    ),
    Requirement(
        "random-sessions",
        "whatever is said in random sessions, each utterance that was accepted comes "
        "to an end, and the next session works",
        MUST,
        HARM,
        checks.random_sessions_pass("random"),
        scenarios=("random",),
        proof=Proof(("reset",)),
    ),
    # Relations, which need no reference text
    *(
        Requirement(
            f"same-text-{role}",
            f"a clip has the same text {how} as alone",
            SHOULD,
            clause,
            checks.both(checks.finishes(role), checks.same_text(role)),
            scenarios=("alone", role),
            proof=proof,
        )
        for role, how, clause, proof in (
            (
                "20ms-chunks",
                "in chunks of 20 ms",
                bug("sgl-project/sglang#26853"),
                Proof(("small-chunks-lose",)),
            ),
            (
                "100ms-chunks",
                "in chunks of 100 ms",
                bug("sgl-project/sglang#26853"),
                Proof(("100ms-loses",), chunk=0.2),
            ),
            (
                "1s-chunks",
                "in chunks of 1 s",
                bug("sgl-project/sglang#26853"),
                Proof(("big-chunks-lose",)),
            ),
            (
                "fast",
                "at four times its pace",
                "what was heard does not depend on when",
                Proof(("fast-loses",), pace=REAL_TIME),
            ),
            (
                "again",
                "for the second time in a session",
                bug("vllm#51374"),
                Proof(("again-loses",)),
            ),
            (
                "crowd",
                "in a crowd",
                "what one says does not depend on others",
                Proof(("crowd-loses",)),
            ),
            (
                "after-silence",
                "after silence",
                bug("WhisperLiveKit#129"),
                Proof(("silence-loses",)),
            ),
            (
                "half-gain",
                "at half the gain",
                "half the gain is 6 dB",
                Proof(("quiet-loses",)),
            ),
        )
    ),
)
_TAKEN: Mapping[str, Requirement] = {it.id: it for it in REQUIREMENTS}


_IN_OTHER_WORDS: tuple[Requirement, ...] = (
    Requirement(
        "first-event",
        "session.created comes first and carries an id",
        MUST,
        "",
        _of_the_dialect,
        scenarios=("utterances",),
        passive=True,
        proof=Proof(("nameless",)),
    ),
    Requirement(
        "unique-ids",
        "each session has an id of its own",
        MUST,
        "",
        checks.unique_ids("alone", "utterances"),
        scenarios=("alone", "utterances"),
        proof=Proof(("same-id",)),
    ),
    Requirement(
        "update-again",
        "a session may be set up twice",
        SHOULD,
        "",
        checks.finishes("update-again"),
        scenarios=("update-again",),
        proof=Proof(("one-update",)),
    ),
    Requirement(
        "order",
        "events come in the documented order",
        MUST,
        "",
        _of_the_dialect,
        scenarios=("utterances",),
        passive=True,
        proof=Proof(("created-twice",)),
    ),
    Requirement(
        "well-formed",
        "every frame is an event with the fields of its type",
        MUST,
        "",
        each(checks.well_formed(Sender.SERVER)),
        scenarios=("utterances",),
        passive=True,
        proof=Proof(("no-json",)),
    ),
    Requirement(
        "known-events",
        "no event in the protocol's own name that it does not know",
        SHOULD,
        "",
        _of_the_dialect,
        scenarios=("utterances",),
        passive=True,
        proof=Proof(("novelty",)),
    ),
    Requirement(
        "deltas-add-up",
        "the deltas, joined, are the final text",
        MUST,
        "",
        _of_the_dialect,
        scenarios=("utterances",),
        passive=True,
        proof=Proof(("lost-delta",)),
    ),
    Requirement(
        "usage-adds-up",
        "usage is sane and adds up",
        MUST,
        "",
        _of_the_dialect,
        scenarios=("utterances",),
        passive=True,
        proof=Proof(("bad-usage",)),
    ),
    Requirement(
        "usage-counts",
        "a text counts tokens, and so does its audio",
        SHOULD,
        "",
        _of_the_dialect,
        scenarios=("utterances",),
        passive=True,
        proof=Proof(("free-tokens",)),
    ),
    Requirement(
        "errors-have-codes",
        "each error has a message and a code",
        SHOULD,
        "",
        checks.errors_have_codes,
        scenarios=("unknown-event",),
        passive=True,
        proof=Proof(("codeless",)),
    ),
    Requirement(
        "unknown-event-amid-speech",
        "an unknown event in mid-utterance leaves the utterance alone",
        SHOULD,
        "",
        checks.refused("unknown-event-amid-speech", "an unknown event"),
        scenarios=("unknown-event-amid-speech",),
        proof=Proof(("closes-on-error",)),
    ),
    Requirement(
        "binary-answered",
        "a binary frame is answered by an error or a proper close",
        SHOULD,
        "",
        checks.refused_or_closed("binary", (1003, 1007, 1008)),
        scenarios=("binary",),
        proof=Proof(("silent-close",)),
    ),
    Requirement(
        "text-while-speaking",
        "text comes while the audio is still being sent",
        SHOULD,
        "",
        checks.text_during_audio("10s"),
        scenarios=("10s",),
        proof=Proof(("all-at-end",), pace=REAL_TIME),
    ),
    Requirement(
        "utterances-finish",
        "each of several utterances gets its final, after one set-up",
        MUST,
        "",
        checks.finishes("utterances"),
        scenarios=("utterances",),
    ),
    Requirement(
        "wrong-key-refused",
        "a wrong key is refused",
        MUST,
        "",
        checks.handshake_refused(
            "wrong-key", (401, 403), without="no key was given to the client"
        ),
        scenarios=("close", "wrong-key"),
        proof=Proof(("any-key",)),
    ),
    Requirement(
        "crowd-has-unique-ids",
        "eight sessions at once have eight ids",
        MUST,
        "",
        checks.unique_ids("crowd"),
        scenarios=("crowd",),
        proof=Proof(("same-id",)),
    ),
)
_STATED: Mapping[str, Requirement] = {it.id: it for it in _IN_OTHER_WORDS}
"""Without their clauses."""

_REFUSED: Mapping[str, tuple[str, str]] = {
    "bad-json": ("text that is no JSON is refused", "text that is no JSON"),
    "no-object": ("JSON that is no object is refused", "JSON that is no object"),
    "no-type": ("an event without a type is refused", "an event without a type"),
    "unknown-event": ("an unknown event is refused by name", "an unknown event"),
    "append-without-audio": (
        "an append without audio is refused",
        "an append without audio",
    ),
    "append-wrong-type": ("audio that is no text is refused", "audio that is no text"),
    "bad-base64": ("audio that is no base64 is refused", "audio that is no base64"),
    "foreign-characters": (
        "audio with characters that are not of base64 is refused",
        "audio with foreign characters",
    ),
    "unknown-model": ("a model that is not there is refused", "an unknown model"),
}
"""By the name of the misuse: the title, and what the message says of it."""

_DEEP = 100_000  # levels; a reader that recurses has a thousand or so

_FRAMES: tuple[Misuse, ...] = (
    Misuse(
        "bad-json",
        "text that is no JSON",
        ('{"type": "session.update", ', "", "hello"),
    ),
    Misuse(
        "no-object",
        "JSON that is no object",
        ("[]", '"session.update"', "5", "null"),
    ),
    Misuse(
        "deep-json",
        "JSON that is nested 100,000 levels deep",
        (f'{{"type":"no.such.event","a":{"[" * _DEEP}{"]" * _DEEP}}}',),
    ),
    Misuse(
        "duplicate-keys",
        "JSON that names its type twice",
        ('{"type":"no.such.event","type":"no.such.event"}',),
    ),
    Misuse(
        "not-a-number",
        "NaN and Infinity, which JSON does not have",
        (
            '{"type":"no.such.event","a":NaN}',
            '{"type":"no.such.event","a":-Infinity}',
        ),
    ),
    Misuse(
        "no-type",
        "events without a type, and with one that is no text",
        ("{}", '{"audio":"AAA="}', '{"type":5}', '{"type":null}'),
    ),
    Misuse("unknown-event", "an event that no protocol has", ('{"type":"no.such"}',)),
    Misuse(
        "unknown-event-amid-speech",
        "an event that no protocol has, in the middle of an utterance",
        ('{"type":"no.such"}',),
        speaking=True,
    ),
    Misuse("binary", "a binary frame", (b"\0\1" * 800,)),
)
_MISUSES: Mapping[str, Misuse] = {it.name: it for it in _FRAMES}
