"""How each requirement is broken: by which faults of the fake, and how it is spoken to.

A requirement is proven twice: the sound fake satisfies it, and a fault violates it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pytest_realtime_asr.dialects import Dialect
from pytest_realtime_asr.trace.records import Sender

REAL = 1.0  # the pace of what depends on the clock of the server
QUICK = 8.0


@dataclass(frozen=True, slots=True)
class Proof:
    """Faults that break a requirement, and the plan by which they show.

    ``chunk`` is in s, and so is ``final``, after which the fake sends its finals.
    ``beside`` are scenarios that are held beside those of the requirement. ``apart``
    says that the server needs a process of its own.
    """

    faults: tuple[str, ...]
    pace: float = QUICK
    chunk: float = 0.1
    final: float = 0.02
    beside: tuple[str, ...] = ()
    apart: bool = False


_TOLERANT = Proof(("tolerant",))
_CODES = Proof(("wrong-codes",))
_NO_FINAL = Proof(("no-final",))
_STALE = Proof(("stale-final",))
_MUTE_AFTER_RESET = Proof(("stalls-of-reset",))
_BIG_DIES = Proof(("big-frame-dies",), apart=True)
_CLOSES = Proof(("closes-on-error",))
_ACKNOWLEDGES = Proof(("acknowledges-empty",))
_KEPT = Proof(("refused-final-kept",))
_ONE_FINAL = Proof(("one-final-only",))

_EVERYWHERE: Mapping[str, Proof] = {
    "first-event": Proof(("nameless",)),
    "unique-ids": Proof(("same-id",)),
    "update-again": Proof(("one-update",)),
    "order": Proof(("created-twice",)),
    "well-formed": Proof(("no-json",)),
    "known-events": Proof(("novelty",)),
    "deltas-add-up": Proof(("lost-delta",)),
    "usage-adds-up": Proof(("bad-usage",)),
    "usage-counts": Proof(("free-tokens",)),
    "errors-have-codes": Proof(("codeless",)),
    "closes-are-explained": Proof(("silent-close",)),
    "no-stack-trace": Proof(("stack-trace",)),
    "no-secret": Proof(("shows-key",)),
    "whole-characters": Proof(("broken-characters",)),
    "no-control-tokens": Proof(("tokens-shown",)),
    "bad-json-refused": _TOLERANT,
    "no-object-refused": _TOLERANT,
    "deep-json-outlived": Proof(("deep-dies",)),
    "huge-json-outlived": _BIG_DIES,
    "duplicate-keys-refused": _TOLERANT,
    "not-a-number-outlived": _TOLERANT,
    "lone-surrogates-outlived": Proof(("surrogate-dies",)),
    "no-type-refused": _TOLERANT,
    "unknown-event-refused": _TOLERANT,
    "append-without-audio-refused": _TOLERANT,
    "append-wrong-type-refused": _TOLERANT,
    "bad-base64-refused": _TOLERANT,
    "foreign-characters-refused": _TOLERANT,
    "unknown-event-amid-speech": Proof(("closes-on-error",)),
    "binary-answered": Proof(("silent-close",)),
    "big-audio-outlived": _BIG_DIES,
    "oversized-frame-closed": Proof(("any-size",)),
    "oversized-frame-outlived": Proof(("any-size", "big-frame-dies"), apart=True),
    "flood-outlived": Proof(("flood-dies",), apart=True),
    "text-of-speech": Proof(("wordless",)),
    "text-while-speaking": Proof(("all-at-end",), pace=REAL),
    "no-repetition": Proof(("stutters",)),
    "finishes-0.1s": Proof(("no-final-short",)),
    "finishes-0.5s": _NO_FINAL,
    "finishes-1s": Proof(("no-final-after-1s",)),
    "finishes-2s": Proof(("no-final-after-1s",)),
    "finishes-10s": Proof(("no-final-after-1s",)),
    "finishes-35s": Proof(("no-final-long",)),
    "silence-finishes": Proof(("no-final-after-silence",)),
    "silence-is-wordless": Proof(("babbles-in-silence",)),
    "pause-finishes": Proof(("no-final-after-pause",), pace=REAL),
    "pause-loses-nothing": Proof(("pause-loses",), pace=REAL),
    "long-keeps-its-begin": Proof(("forgets-old",)),
    "utterances-kept-apart": Proof(("echo",)),
    "head-present": Proof(("loses-later-heads",)),
    "tail-present": Proof(("loses-later-tails",)),
    "pong": Proof(("no-pong",)),
    "pong-under-load": Proof(("no-pong",)),
    "idle-outlived": Proof(("idle-kills",), pace=3.0),
    "fragments-joined": Proof(("no-fragments",)),
    "close-answered": Proof(("no-close-answer",)),
    "close-amid-speech-outlived": Proof(("stalls-of-close",)),
    "reset-outlived": _MUTE_AFTER_RESET,
    "half-open-outlived": Proof(("waits-for-all",), pace=REAL),
    "empty-reset-outlived": _MUTE_AFTER_RESET,
    "abandoned-outlived": Proof(("stalls-of-close",)),
    "wrong-path-refused": Proof(("any-path",)),
    "wrong-key-refused": Proof(("any-key",)),
    "plain-http-refused": Proof(("crash-page",)),
    "one-process": Proof(("restarts",), beside=("reset",)),
    "crowd-finishes": Proof(("third-is-silent",)),
    "crowd-has-unique-ids": Proof(("same-id",)),
    "crowd-kept-apart": Proof(("cross-talk",)),
    "slow-reader-harms-nobody": Proof(("slow-reader-stalls",)),
    "random-sessions": Proof(("reset",)),
    "same-text-20ms-chunks": Proof(("small-chunks-lose",)),
    "same-text-100ms-chunks": Proof(("100ms-loses",), chunk=0.2),
    "same-text-1s-chunks": Proof(("big-chunks-lose",)),
    "same-text-fast": Proof(("fast-loses",), pace=REAL),
    "same-text-again": Proof(("again-loses",)),
    "same-text-crowd": Proof(("crowd-loses",)),
    "same-text-after-silence": Proof(("silence-loses",)),
    "same-text-half-gain": Proof(("quiet-loses",)),
}
_OWN: Mapping[str, Mapping[str, Proof]] = {
    "vllm": {
        "created-now": Proof(("old-clock",)),
        "update-is-silent": Proof(("acknowledges",)),
        "unknown-fields-ignored": Proof(("strict-fields",)),
        "audio-before-update": Proof(("no-early-audio",)),
        "one-final": Proof(("two-finals",)),
        "no-early-text": Proof(("early-text",)),
        "foreign-events-refused": _CODES,
        "commit-wrong-type-refused": _TOLERANT,
        "update-without-model-refused": _TOLERANT,
        "update-without-model-code": _CODES,
        "update-wrong-type-refused": _TOLERANT,
        "unknown-model-refused": Proof(("accepts-any-model",)),
        "unknown-model-code": _CODES,
        "early-commit-refused": _CODES,
        "early-commit-has-no-effect": Proof(("starts-anyway",)),
        "early-final-refused": _CODES,
        "early-final-spoils-nothing": Proof(("refused-final-kept",)),
        "paths-removed": Proof(("echoes",)),
        "odd-bytes-refused": _CODES,
        "empty-audio-refused": _TOLERANT,
        "refusal-amid-speech": Proof(("refused-audio-ends",)),
        "no-stall": Proof(("all-at-end",), pace=REAL),
        "empty-utterance-finishes": Proof(("no-final-empty",)),
        "empty-utterance-is-wordless": Proof(("babbles-in-silence",)),
        "stray-final-is-silent": Proof(("answers-stray",)),
        "stray-final-spoils-nothing": _STALE,
        "second-final-spoils-nothing": _STALE,
        "late-audio-spoils-nothing": Proof(("late-audio-kept",)),
        "second-begin-is-silent": Proof(("answers-stray",)),
        "second-begin-spoils-nothing": Proof(("restarts-on-begin",)),
        "utterances-finish": Proof(("forgets-model",)),
        "abandoned-freed": Proof(("leaks",)),
    },
    "openai": {
        "session-type": Proof(("conversing",)),
        "expires-later": Proof(("old-clock",)),
        "update-answered": Proof(("silent-update",)),
        "update-shows-what-holds": Proof(("unset",)),
        "update-keeps-the-rest": Proof(("forgets-rest",)),
        "refused-update-unconfirmed": Proof(("confirms-refused",)),
        "refused-fields-unshown": Proof(("shows-refused",)),
        "refused-update-outlived": _CLOSES,
        "event-ids-are-unique": Proof(("same-event-ids",)),
        "commit-answered": Proof(("silent-commit",)),
        "items-are-committed": Proof(("other-item-ids",)),
        "item-ids-are-unique": Proof(("same-item-ids",)),
        "items-are-chained": Proof(("unchained",)),
        "items-are-added": Proof(("adds-nothing",)),
        "items-are-added-in-place": Proof(("displaced",)),
        "items-end": _NO_FINAL,
        "items-end-once": Proof(("fails-first",)),
        "nothing-after-the-end": Proof(("late-delta",)),
        "one-content-index": Proof(("counts-content",)),
        "deltas-are-new": Proof(("cumulative",)),
        "logprobs-come": Proof(("no-logprobs",)),
        "logprobs-are-sane": Proof(("odd-logprobs",)),
        "errors-have-types": Proof(("typeless",)),
        "errors-name-their-cause": Proof(("causeless",)),
        "errors-name-the-field": Proof(("paramless",)),
        "no-early-text": Proof(("foretells",)),
        "oversized-frame-closed": Proof(("any-size", "tolerant")),
        "update-without-session-refused": _TOLERANT,
        "unknown-parameter-refused": _TOLERANT,
        "unknown-format-refused": _TOLERANT,
        "unknown-rate-refused": _TOLERANT,
        "unknown-model-refused": _TOLERANT,
        "empty-commit-refused": _ACKNOWLEDGES,
        "empty-commit-code": _CODES,
        "empty-commit-spoils-nothing": _KEPT,
        "second-commit-spoils-nothing": _KEPT,
        "short-commit-refused": _ACKNOWLEDGES,
        "odd-audio-outlived": Proof(("odd-audio-closes",)),
        "big-audio-accepted": Proof(("refuses-big",)),
        "clear-answered": Proof(("silent-clear",)),
        "clear-forgets": Proof(("keeps-cleared",)),
        "clear-empties": Proof(("keeps-cleared",)),
        "clear-of-nothing": Proof(("strict-clear",)),
        "empty-utterance-finishes": _ACKNOWLEDGES,
        "utterances-finish": _ONE_FINAL,
        "in-flight-finish": _ONE_FINAL,
        "in-flight-kept-apart": Proof(("mixes-items",), final=1.0),
        "turns-finish": _NO_FINAL,
        "turn-order": Proof(("other-turns",)),
        "turn-times": Proof(("restarts-times",)),
        "same-text-turns": Proof(("turn-loses",)),
        "no-turn-in-silence": Proof(("hears-things",)),
        "turn-after-silence-finishes": _NO_FINAL,
        "commit-after-turn-is-wordless": Proof(("babbles-of-empty",)),
        "commit-after-turn-spoils-nothing": _CLOSES,
        "same-text-pcmu": Proof(("one-rate",)),
        "same-text-pcma": Proof(("one-rate",)),
        "same-text-16000hz": Proof(("one-rate",)),
        "same-text-48000hz": Proof(("one-rate",)),
    },
}


def proofs(dialect: Dialect) -> Mapping[str, Proof]:
    """The proof of each requirement that binds a server of a dialect, by its id."""
    own = {**_EVERYWHERE, **_OWN.get(_family(dialect.name), {})}
    return {
        each.id: own[each.id]
        for each in dialect.requirements
        if each.binds is Sender.SERVER and each.id in own
    }


def _family(name: str) -> str:
    """The name without its profile; the shapes of a protocol are broken in one way."""
    return name.partition(":")[0].partition("-")[0]
