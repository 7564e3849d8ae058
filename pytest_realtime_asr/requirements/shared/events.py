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


def _protocol_check(evidence: Evidence) -> Outcome:
    """Stand for a check that each dialect gives, since it is about its own events."""
    raise NotImplementedError("the dialect has to state this requirement with a check")


EVENTS: tuple[Requirement, ...] = (
    Requirement(
        "first-event",
        "session.created comes first and carries an id",
        MUST,
        "",
        _protocol_check,
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
        _protocol_check,
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
        _protocol_check,
        scenarios=("utterances",),
        passive=True,
        proof=Proof(("novelty",)),
    ),
    Requirement(
        "deltas-add-up",
        "the deltas, joined, are the final text",
        MUST,
        "",
        _protocol_check,
        scenarios=("utterances",),
        passive=True,
        proof=Proof(("lost-delta",)),
    ),
    Requirement(
        "usage-adds-up",
        "usage is sane and adds up",
        MUST,
        "",
        _protocol_check,
        scenarios=("utterances",),
        passive=True,
        proof=Proof(("bad-usage",)),
    ),
    Requirement(
        "usage-counts",
        "a text counts tokens, and so does its audio",
        SHOULD,
        "",
        _protocol_check,
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
)
"""Each protocol states these with its own clause, and some with its own check."""

DISCLOSURE: tuple[Requirement, ...] = (
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
)
"""What a session shows, and what it must never show."""
