"""Selects the shared requirements and invalid frames that fit a protocol.

The capabilities of the protocol decide which fit. With one call, a dialect gets all
requirements that fit. In this call, it gives its own clause, check, level or proof for
requirements that depend on its protocol::

    REQUIREMENTS = shared.requirements(
        CAPABILITIES,
        shared.stated("order", CLAUSE, each(order(TABLE, start=START))),
    )
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from pytest_realtime_asr.requirements.capability import Capability
from pytest_realtime_asr.requirements.requirement import Proof, Requirement
from pytest_realtime_asr.requirements.scenario_steps import Misuse
from pytest_realtime_asr.requirements.shared.events import protocol_check
from pytest_realtime_asr.requirements.shared.first_utterance import FIRST_UTTERANCE
from pytest_realtime_asr.requirements.shared.refusals import misuses
from pytest_realtime_asr.requirements.shared.stating import SHARED

_EVENTS = frozenset({Capability.TYPED_EVENTS, Capability.REFUSALS})

NEEDS: Mapping[str, frozenset[Capability]] = {
    "first-event": frozenset({Capability.GREETING}),
    "unique-ids": frozenset({Capability.SESSION_IDS}),
    "crowd-has-unique-ids": frozenset({Capability.SESSION_IDS}),
    "update-again": frozenset({Capability.SET_UP}),
    "fragments-joined": frozenset({Capability.SET_UP}),
    "set-ups-kept-apart": frozenset({Capability.SET_UP}),
    "errors-have-codes": _EVENTS,
    "deep-json-outlived": _EVENTS,
    "huge-json-outlived": _EVENTS,
    "duplicate-keys-refused": _EVENTS,
    "not-a-number-outlived": _EVENTS,
    "lone-surrogates-outlived": _EVENTS,
    "composite-type-outlived": _EVENTS,
    "huge-number-outlived": _EVENTS,
    "empty-text-refused": _EVENTS,
    "unknown-event-amid-speech": _EVENTS,
    "slow-reader-harms-nobody": _EVENTS,
    "binary-answered": frozenset({Capability.TEXT_AUDIO}),
    "text-while-speaking": frozenset({Capability.PARTIALS}),
    "no-stall": frozenset({Capability.PARTIALS}),
    "keeps-up": frozenset({Capability.PARTIALS}),
    "no-early-text": frozenset({Capability.PARTIALS}),
    "deltas-add-up": frozenset({Capability.PARTIALS}),
    "settled-text-stays": frozenset({Capability.SETTLED}),
    "usage-adds-up": frozenset({Capability.USAGE}),
    "usage-counts": frozenset({Capability.USAGE}),
    "usage-matches": frozenset({Capability.USAGE}),
    "usage-of-each": frozenset({Capability.USAGE, Capability.SEVERAL_UTTERANCES}),
    "empty-utterance-finishes": frozenset({Capability.EMPTY_UTTERANCES}),
    "empty-utterance-is-wordless": frozenset({Capability.EMPTY_UTTERANCES}),
    "empty-reset-outlived": frozenset({Capability.EMPTY_UTTERANCES}),
    "utterances-finish": frozenset({Capability.SEVERAL_UTTERANCES}),
    "utterances-kept-apart": frozenset({Capability.SEVERAL_UTTERANCES}),
    "head-present": frozenset({Capability.SEVERAL_UTTERANCES}),
    "tail-present": frozenset({Capability.SEVERAL_UTTERANCES}),
    "same-text-again": frozenset({Capability.SEVERAL_UTTERANCES}),
    "no-leftover-punctuation": frozenset({Capability.SEVERAL_UTTERANCES}),
}
"""Maps the id of a shared requirement to the capabilities that a protocol must have.

A requirement whose id is not a key fits every protocol.
"""


# The scenarios of invalid frames, and the capabilities that a protocol needs for them.
_SCENARIOS: Mapping[str, frozenset[Capability]] = {
    "no-object": _EVENTS,
    "unknown-event": _EVENTS,
    "binary": frozenset({Capability.TEXT_AUDIO}),
}
_APPEND_WRONG_TYPE = "append-wrong-type"  # its frames depend on the protocol

# The proofs for protocols in which no scenario of the requirement causes an error.
_WITHOUT_ERRORS: Mapping[str, Proof] = {
    "no-stack-trace": Proof(("crash-page",)),
    "no-secret": Proof(("shows-key-in-texts",)),
}


def requirements(
    capabilities: frozenset[Capability], *changed: Requirement
) -> tuple[Requirement, ...]:
    """Return the shared requirements that fit a protocol with these capabilities.

    Each requirement in ``changed`` replaces the shared requirement with the same id.
    Some shared requirements, such as the order of events, have no check of their own;
    they are left out if ``changed`` does not have them. For ``set-ups-kept-apart``, the
    dialect needs an exercise named `TWO_SET_UPS`. Raises ValueError if a changed
    requirement is not shared, or needs a capability that the protocol lacks.
    """
    own = {each.id: each for each in changed}
    for id in own:
        if id not in SHARED:
            raise ValueError(f"{id!r} is not a shared requirement")
        if lacking := NEEDS.get(id, frozenset()) - capabilities:
            raise ValueError(
                f"the requirement {id!r} needs a protocol in which "
                f"{next(iter(lacking)).value}"
            )
    chosen = (
        _with_scenarios(own[id], capabilities)
        if id in own
        else _fitting(shared, capabilities)
        for id, shared in SHARED.items()
        if NEEDS.get(id, frozenset()) <= capabilities
    )
    complete = (each for each in chosen if each.check is not protocol_check)
    return (FIRST_UTTERANCE, *complete)


def _fitting(
    requirement: Requirement, capabilities: frozenset[Capability]
) -> Requirement:
    """Return a shared requirement, adapted to the protocol.

    Scenarios that do not fit the protocol are left out. If no remaining scenario causes
    an error, a proof that needs an error is replaced by another proof.
    """
    proof = requirement.proof
    if not capabilities >= _EVENTS:
        proof = _WITHOUT_ERRORS.get(requirement.id, proof)
    return replace(_with_scenarios(requirement, capabilities), proof=proof)


def _with_scenarios(
    requirement: Requirement, capabilities: frozenset[Capability]
) -> Requirement:
    """Return a requirement without the scenarios that do not fit the protocol."""
    fitting = (
        each
        for each in requirement.scenarios
        if _SCENARIOS.get(each, frozenset()) <= capabilities
        and each != _APPEND_WRONG_TYPE
    )
    return replace(requirement, scenarios=tuple(fitting))


def misuses_for(capabilities: frozenset[Capability]) -> tuple[Misuse, ...]:
    """Return the invalid frames that fit a protocol with these capabilities."""
    names: list[str] = []
    if capabilities >= _EVENTS:
        names += [
            *("bad-json", "no-object", "deep-json", "duplicate-keys", "not-a-number"),
            *("lone-surrogates", "composite-type", "huge-number", "empty-text"),
            "no-type",
            *("unknown-event", "unknown-event-amid-speech"),
        ]
    if Capability.TEXT_AUDIO in capabilities:
        names.append("binary")
    return misuses(*names)
