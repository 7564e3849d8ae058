"""Checks of usage and log probabilities, which come with the text of an item."""

from __future__ import annotations

from collections.abc import Iterator

from pytest_realtime_asr.dialects.openai.checks.items import items, single_spaced
from pytest_realtime_asr.dialects.openai.checks.messages import from_server
from pytest_realtime_asr.dialects.openai.events import Completed, Counted, Delta
from pytest_realtime_asr.requirements.checks.combinators import (
    any_session,
    shown,
    worst_if_any,
)
from pytest_realtime_asr.requirements.evidence import Part
from pytest_realtime_asr.requirements.requirement import (
    Check,
    Outcome,
    Satisfied,
    Undecided,
    Violated,
)
from pytest_realtime_asr.trace.recording import Recording


def usage_is_valid(recording: Recording) -> Outcome:
    """Check that each completed event has a valid ``usage``.

    The seconds or tokens must be 0 or more. Input and output tokens must add
    up to the total.
    """
    completions = from_server(recording, Completed)
    for index, message in completions:
        if problem := _usage_problem(message.usage):
            return Violated(problem, (index,))
    return Satisfied() if completions else Undecided("no item was completed")


def _usage_problem(usage: Counted | None) -> str | None:
    if usage is None:
        return "a completed event has no usage"
    if usage.type == "duration":
        valid = usage.seconds is not None and usage.seconds >= 0
        wrong = f"usage has seconds={usage.seconds}, which must be 0 or more"
        return None if valid else wrong
    before, after, total = usage.input_tokens, usage.output_tokens, usage.total_tokens
    if before is None or after is None or min(before, after) < 0:
        return (
            f"usage has input_tokens={before} and output_tokens={after}; both must be "
            "0 or more"
        )
    if before + after != total:
        return f"usage does not add up: {before} + {after} is not total_tokens={total}"
    return None


def usage_counts_text(recording: Recording) -> Outcome:
    """Check that the usage of an item is above 0 if the item has a text.

    The usage must count seconds of audio, or tokens of both the audio and the text.
    """

    def outcomes() -> Iterator[Outcome]:
        for index, message in from_server(recording, Completed):
            usage = message.usage
            if usage is None or not message.transcript.strip():
                continue
            tokens = usage.input_tokens and usage.output_tokens
            counted = usage.seconds if usage.type == "duration" else tokens
            yield (
                Satisfied()
                if counted
                else Violated(
                    f"the usage of {message.transcript!r} counts nothing: {usage}",
                    (index,),
                )
            )

    return shown(outcomes(), nothing="no item has both a text and a usage")


def texts_have_logprobs(role: str) -> Check:
    """Return a check that requires log probabilities for each text.

    The check judges the sessions of ``role``.
    """

    def check(part: Part) -> Outcome | None:
        return worst_if_any(_logprobs(part))

    return any_session(check, role, nothing="no item has a text")


def _logprobs(part: Part) -> Iterator[Outcome]:
    """Yield an outcome for each item with a text."""
    recording = part.recording
    for name, item in items(recording).items():
        events = [recording.messages[i] for i in (*item.deltas, *item.ends)]
        if not any(getattr(event, "transcript", "") for event in events):
            continue
        given = any(getattr(event, "logprobs", None) for event in events)
        what = f"the item {name!r} has no log probabilities"
        yield Satisfied() if given else Violated(what, tuple(item.ends))


def logprobs_are_valid(recording: Recording) -> Outcome:
    """Check the log probabilities of each delta.

    Each log probability must be at most 0. The tokens of the log probabilities,
    joined, must equal the text of the delta.
    """

    def outcomes() -> Iterator[Outcome]:
        for index, message in from_server(recording, Delta):
            if not message.logprobs:
                continue
            if high := [each.logprob for each in message.logprobs if each.logprob > 0]:
                yield Violated(f"a log probability is {high[0]:g}, above 0", (index,))
            tokens = "".join(each.token for each in message.logprobs)
            same = single_spaced(tokens) == single_spaced(message.delta or "")
            what = f"the tokens of the log probabilities are {tokens!r}, but the delta "
            what += f"is {message.delta!r}"
            yield Satisfied() if same else Violated(what, (index,))

    return shown(outcomes(), nothing="no delta has log probabilities")
