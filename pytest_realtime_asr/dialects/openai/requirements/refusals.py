"""Requirements on errors, and on refusals; a session must survive a refusal."""

from __future__ import annotations

from collections.abc import Iterable

from pytest_realtime_asr.dialects.openai.checks import refusals
from pytest_realtime_asr.dialects.openai.invalid_frames import NO_FIELD
from pytest_realtime_asr.dialects.openai.profile import Profile
from pytest_realtime_asr.dialects.openai.requirements.declared import (
    Declared,
    bug,
    clause,
    where,
)
from pytest_realtime_asr.requirements import checks, shared
from pytest_realtime_asr.requirements.requirement import Level, Proof, Requirement, each
from pytest_realtime_asr.requirements.shared import HARM

MUST, SHOULD, INFO = Level.MUST, Level.SHOULD, Level.INFO


_RECOVERABLE = clause(
    "realtime_error_event", "most errors are recoverable and the session stays open"
)
_MOST = 15  # MiB in one append


def _update_refused(name: str, title: str, what: str, sentence: str) -> Requirement:
    return Requirement(
        f"{name}-refused",
        title,
        SHOULD,
        clause("session_update_event", sentence) + "; langchain_dart#624",
        checks.refused(name, what),
        scenarios=(name,),
        proof=shared.IGNORED,
    )


def _codes(profile: Profile) -> tuple[str, ...]:
    """Return the codes with which a commit of too little audio may be refused."""
    return (profile.empty,) if profile.empty else ()


def _empty_commit_code(profile: Profile) -> Iterable[Requirement]:
    for code in _codes(profile):
        yield Requirement(
            "empty-commit-code",
            f"a commit without audio is refused with the code {code}",
            SHOULD,
            bug("openai/openai-agents-js#748", "goodroot/hyprwhspr#63"),
            checks.refused("empty-commit", "a commit without audio", code),
            scenarios=("empty-commit",),
            proof=Proof(("wrong-codes",)),
        )


def _short_commit(profile: Profile) -> Iterable[Requirement]:
    yield Requirement(
        "short-commit-refused",
        f"a commit of less than {profile.least * 1000:g} ms of audio is refused",
        SHOULD,
        bug("openai/openai-agents-js#748", "betalgo/openai#674"),
        refusals.commit_refused(
            "short-commit", "a commit of too little audio", *_codes(profile)
        ),
        scenarios=("short-commit",),
        proof=Proof(("acknowledges-empty",)),
    )


def _big_audio(profile: Profile) -> Iterable[Requirement]:
    seconds = _MOST * 2**20 * 3 / 4 / 2 / profile.rates[0]  # of PCM16 in base64
    if profile.most and profile.most < seconds:  # the server documents this limit
        yield Requirement(
            "audio-limit-answered",
            f"more than {profile.most:g} s of audio without a commit are refused",
            SHOULD,
            "SGLang 0.5.23, --asr-max-buffer-seconds: more audio is answered by an "
            "error and by close code 1009",
            checks.refused_or_closed("big-audio", (1008, 1009)),
            scenarios=("big-audio",),
            proof=Proof(("drops-overlong",)),
        )
        return
    yield Requirement(
        "big-audio-accepted",
        f"an event with {_MOST} MiB of audio is accepted",
        MUST,
        clause(
            "input_audio_buffer_append_event",
            f"up to a maximum of {_MOST} MiB in each event",
        ),
        refusals.no_error("big-audio", f"an event of {_MOST} MiB"),
        scenarios=("big-audio",),
        proof=Proof(("refuses-big",)),
    )


def _flood(profile: Profile) -> Iterable[Requirement]:
    proof = Proof(("limit-dies",), own_process=True) if profile.most else None
    yield shared.stated("flood-outlived", proof=proof)


ERRORS: tuple[Declared, ...] = (
    Requirement(
        "errors-have-types",
        "each error has a type and a message",
        MUST,
        clause("realtime_error", "message and type are required"),
        each(refusals.errors_have_types),
        scenarios=("unknown-event",),
        passive=True,
        proof=Proof(("typeless",)),
    ),
    shared.stated(
        "errors-have-codes", clause("realtime_error", "code: error code, if any")
    ),
    Requirement(
        "errors-name-their-cause",
        "an error names the event that caused it, if that event has an id",
        MUST,
        clause(
            "session_update_event",
            "event_id will be passed back if there is an error with the event",
        )
        + "; langchain_dart#624",
        refusals.errors_name_event("named-event", "unknown-parameter", "empty-commit"),
        scenarios=("named-event", "unknown-parameter", "empty-commit"),
        proof=Proof(("causeless",)),
    ),
    Requirement(
        "errors-name-the-field",
        "an error about an unknown field names the field",
        SHOULD,
        clause("realtime_error", "param is the parameter related to the error")
        + "; langchain_dart#624",
        refusals.errors_name_field("unknown-parameter", NO_FIELD),
        scenarios=("unknown-parameter",),
        proof=Proof(("paramless",)),
    ),
    *shared.restated(
        shared.DISCLOSURE,
        # With such long chunks, early text has 100 ms to come before the first audio.
        shared.stated("no-early-text", proof=Proof(("foretells",), chunk=0.8)),
    ),
)

REFUSALS: tuple[Declared, ...] = (
    shared.refused("bad-json", _RECOVERABLE, level=SHOULD),
    shared.refused("no-object", _RECOVERABLE, level=SHOULD),
    *shared.JSON,
    shared.refused(
        "no-type", _RECOVERABLE + "; LocalAI ignores the event", level=SHOULD
    ),
    shared.refused(
        "unknown-event", _RECOVERABLE + "; LocalAI ignores the event", level=SHOULD
    ),
    Requirement(
        "event-id-wrong-type-outlived",
        "the server refuses an unknown event whose event id is not a string, and "
        "survives it",
        SHOULD,
        _RECOVERABLE + "; SGLang 0.5.23 ends the session",
        checks.refused("event-id-wrong-type", "an event id that is not a string"),
        scenarios=("event-id-wrong-type",),
        proof=Proof(("event-id-dies",)),
    ),
    Requirement(
        "event-id-surrogate-outlived",
        "the server refuses an unpaired surrogate in an event id, and survives it",
        SHOULD,
        "RFC 8259, section 8.2: unpaired surrogates lead to unpredictable behaviour; "
        "SGLang 0.5.23 ends the session",
        checks.refused("event-id-surrogate", "an unpaired surrogate in an event id"),
        scenarios=("event-id-surrogate",),
        proof=Proof(("surrogate-dies",)),
    ),
    Requirement(
        "language-surrogate-outlived",
        "the server refuses an unpaired surrogate in a language, and survives it",
        SHOULD,
        "RFC 8259, section 8.2: unpaired surrogates lead to unpredictable behaviour; "
        "SGLang 0.5.23 confirms the update and ends the session",
        checks.refused("language-surrogate", "an unpaired surrogate in a language"),
        scenarios=("language-surrogate",),
        proof=Proof(("surrogate-dies",)),
    ),
    shared.refused(
        "append-without-audio",
        clause("input_audio_buffer_append_event", "audio is a text"),
        level=SHOULD,
    ),
    shared.refused(
        "append-wrong-type",
        clause("input_audio_buffer_append_event", "audio is a text"),
        level=SHOULD,
    ),
    shared.refused(
        "bad-base64",
        clause("input_audio_buffer_append_event", "audio is Base64-encoded"),
        level=SHOULD,
    ),
    shared.refused(
        "foreign-characters",
        "RFC 4648, section 3.3: MUST reject characters outside the alphabet; "
        "sglang-omni drops them",
        level=SHOULD,
    ),
    _update_refused(
        "update-without-session",
        "a session update without a session is refused",
        "a session update without a session",
        "session is required",
    ),
    _update_refused(
        "unknown-parameter",
        "an unknown field is refused",
        "an unknown field",
        "the fields of a session",
    ),
    _update_refused(
        "unknown-format",
        "an unknown format is refused",
        "an unknown format",
        "formats are audio/pcm, audio/pcmu and audio/pcma",
    ),
    # a format of the beta shape has no rate
    where(
        lambda profile: not profile.beta,
        _update_refused(
            "unknown-rate",
            "a rate that the server does not support is refused",
            "an unknown rate",
            "rate is always 24000",
        ),
    ),
    shared.refused(
        "unknown-model",
        "if a server accepts an unknown model, its client waits for a text that never "
        "comes",
        level=SHOULD,
        proof=Proof(("tolerant",)),
    ),
    Requirement(
        "empty-commit-refused",
        "a commit without audio is refused",
        MUST,
        clause(
            "input_audio_buffer_commit_event",
            "it will produce an error if the input audio buffer is empty",
        )
        + "; LocalAI acknowledges the commit and sends nothing else",
        checks.refused("empty-commit", "a commit without audio"),
        scenarios=("empty-commit",),
        proof=Proof(("acknowledges-empty",)),
    ),
    _empty_commit_code,
    Requirement(
        "empty-commit-spoils-nothing",
        "a commit without audio does not affect later utterances",
        MUST,
        HARM + ": the start of the next utterance, or all of it, is lost",
        checks.both(checks.finishes("stray-final"), checks.same_text("stray-final")),
        scenarios=("alone", "stray-final"),
        proof=Proof(("refused-final-kept",)),
    ),
    Requirement(
        "second-commit-spoils-nothing",
        "a second commit for an utterance does not affect later utterances",
        MUST,
        HARM + ": the start of the next utterance, or all of it, is lost",
        checks.both(checks.finishes("second-final"), checks.same_text("second-final")),
        scenarios=("alone", "second-final"),
        proof=Proof(("refused-final-kept",)),
    ),
    _short_commit,
    Requirement(
        "odd-audio-outlived",
        "a sample that is split over two frames is joined or refused, and other audio "
        "is kept",
        MUST,
        HARM
        + "; "
        + bug(
            "huggingface/speech-to-speech#410", "OHF-Voice/wyoming-faster-whisper#98"
        ),
        checks.both(checks.finishes("odd-audio"), checks.same_text("odd-audio")),
        scenarios=("alone", "odd-audio"),
        proof=Proof(("odd-audio-closes",)),
    ),
    shared.stated("unknown-event-amid-speech", _RECOVERABLE),
    shared.stated(
        "binary-answered",
        "RFC 6455, section 7.4.1: 1003 for data that cannot be accepted",
    ),
    _big_audio,
    shared.stated("big-audio-outlived"),
    shared.stated("oversized-frame-closed", proof=Proof(("any-size", "tolerant"))),
    shared.stated("oversized-frame-outlived"),
    _flood,
)
