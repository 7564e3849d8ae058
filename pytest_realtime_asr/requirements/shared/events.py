"""Shared requirements on the events of a session: shapes, order, ids and contents."""

from __future__ import annotations

from pytest_realtime_asr.requirements import checks
from pytest_realtime_asr.requirements.evidence import Evidence
from pytest_realtime_asr.requirements.requirement import (
    Level,
    Outcome,
    Proof,
    Requirement,
    each,
)
from pytest_realtime_asr.requirements.shared.clauses import HARM, bug
from pytest_realtime_asr.trace.records import Sender

MUST, SHOULD = Level.MUST, Level.SHOULD


def protocol_check(evidence: Evidence) -> Outcome:
    """Raise an error, since each dialect must replace this check by its own."""
    raise NotImplementedError("the dialect must give its own check of this requirement")


EVENTS: tuple[Requirement, ...] = (
    Requirement(
        "first-event",
        "session.created comes first and has an id",
        MUST,
        "",
        protocol_check,
        scenarios=("utterances",),
        passive=True,
        proof=Proof(("nameless",)),
    ),
    Requirement(
        "unique-ids",
        "each session has its own id",
        MUST,
        HARM + ": two sessions with the same id cannot be told apart",
        checks.unique_ids("alone", "utterances"),
        scenarios=("alone", "utterances"),
        proof=Proof(("same-id",)),
    ),
    Requirement(
        "update-again",
        "a session can be configured twice",
        SHOULD,
        "a client that sets a session up twice with the same values changes nothing",
        checks.finishes("update-again"),
        scenarios=("update-again",),
        proof=Proof(("one-update",)),
    ),
    Requirement(
        "order",
        "events come in the documented order",
        MUST,
        "",
        protocol_check,
        scenarios=("utterances",),
        passive=True,
        proof=Proof(("created-twice",)),
    ),
    Requirement(
        "well-formed",
        "every frame is an event with the fields of its type",
        MUST,
        HARM + ": a client cannot read a frame without the documented form",
        each(checks.well_formed(Sender.SERVER), of_fields=True),
        scenarios=("utterances",),
        passive=True,
        proof=Proof(("no-json",)),
    ),
    Requirement(
        "known-events",
        "each event type with a prefix of the protocol is documented",
        SHOULD,
        "",
        protocol_check,
        scenarios=("utterances",),
        passive=True,
        proof=Proof(("novelty",)),
    ),
    Requirement(
        "deltas-add-up",
        "the joined deltas equal the final text",
        MUST,
        "",
        protocol_check,
        scenarios=("utterances",),
        passive=True,
        proof=Proof(("lost-delta",)),
    ),
    Requirement(
        "usage-adds-up",
        "the usage figures are valid, and the parts add up to the total",
        MUST,
        "",
        protocol_check,
        scenarios=("utterances",),
        passive=True,
        proof=Proof(("bad-usage",)),
    ),
    Requirement(
        "usage-counts",
        "the usage figures count the tokens of the text and of the audio",
        SHOULD,
        "",
        protocol_check,
        scenarios=("utterances",),
        passive=True,
        proof=Proof(("free-tokens",)),
    ),
    Requirement(
        "errors-have-codes",
        "each error has a message and a code",
        SHOULD,
        "a client can act on a code; a message is only for people to read",
        checks.errors_have_codes,
        scenarios=("unknown-event",),
        passive=True,
        proof=Proof(("codeless",)),
    ),
)
"""Requirements that each dialect completes with a clause and, if needed, a check."""

DISCLOSURE: tuple[Requirement, ...] = (
    Requirement(
        "closes-are-explained",
        "a server that ends a session gives the reason",
        SHOULD,
        bug("sglang-omni#706", "livekit/agents#2774", "vllm#39996"),
        checks.explained_close,
        scenarios=("utterances", "binary", "idle"),
        passive=True,
        proof=Proof(("silent-close",)),
    ),
    Requirement(
        "no-stack-trace",
        "the server shows no stack trace",
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
        "no control token of the model is in a text",
        SHOULD,
        bug("vllm#35767", "vllm#47421"),
        checks.no_control_tokens,
        scenarios=("utterances",),
        passive=True,
        proof=Proof(("tokens-shown",)),
    ),
    Requirement(
        "no-vocabulary-tokens",
        "no text has labels of sounds or raw tokens of the model's vocabulary",
        SHOULD,
        bug(
            "NVIDIA-NeMo/Speech#2753",
            "speechbrain/speechbrain#2795",
            "k2-fsa/sherpa-onnx#550",
            read="read 2026-11-29",
        ),
        checks.no_vocabulary_tokens,
        scenarios=("utterances",),
        passive=True,
        proof=Proof(("vocabulary-shown",)),
    ),
    Requirement(
        "no-control-characters",
        "no text has a control character other than tab and line break",
        MUST,
        HARM
        + ": XML 1.0, section 2.2, and the text type of PostgreSQL exclude such "
        + "characters; "
        + bug("viggy28/recall#39", read="read 2026-11-29"),
        checks.no_control_characters,
        scenarios=("utterances",),
        passive=True,
        proof=Proof(("control-characters",)),
    ),
    Requirement(
        "directions-paired",
        "a final ends each change of writing direction that it starts",
        SHOULD,
        "UAX #9, section 2.6: a direction control without an end changes the order of "
        "the text after it",
        checks.paired_directions,
        scenarios=("utterances",),
        passive=True,
        proof=Proof(("unpaired-directions",)),
    ),
    Requirement(
        "no-early-text",
        "no text comes before the audio",
        SHOULD,
        "text that comes before the audio makes every latency wrong",
        checks.no_early_text,
        scenarios=("utterances",),
        passive=True,
        proof=Proof(("speaks-first",)),
    ),
)
"""Requirements on what a server must show in a session, and on what it must hide."""
