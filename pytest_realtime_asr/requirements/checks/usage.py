"""Checks that usage figures fit the audio that was sent and the text that came.

Different models count different things, so only gross errors are violations. A count of
seconds may be rounded, and may leave out silence. It may also include up to 30 s of
padding, since Whisper reads windows of 30 s. A text has at least one token for every
two words.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice, pairwise

from pytest_realtime_asr.requirements.checks.combinators import any_session, shown
from pytest_realtime_asr.requirements.evidence import Part
from pytest_realtime_asr.requirements.requirement import (
    Check,
    Outcome,
    Satisfied,
    Violated,
)
from pytest_realtime_asr.trace.recording import Recording
from pytest_realtime_asr.trace.records import Sender
from pytest_realtime_asr.trace.timeline import Final, Timeline, Usage

_PADDING = 30.0  # s that a usage may count in addition to the audio
_ROUNDING = 1.0  # s
_SHARE = 0.1  # share of the audio by which a usage may exceed it, or must reach it
_SAME = 0.05  # share by which a number of ms may differ from the audio
_WORDS_PER_TOKEN = 2
_GROWN = 1.5  # factor by which the count of the same clip must have grown
_SUM = 0.25  # share by which a count may differ from the sum of counts


def usage_matches(recording: Recording) -> Outcome:
    """Check that the usage of each final fits the utterance.

    A count of seconds must be approximately the length of the audio that was sent. A
    count of tokens must be at least one for every two words. Other checks judge counts
    that are zero or negative. A session with frames written by hand shows nothing. A
    session in which the server itself ended utterances also shows nothing, since it is
    not known which audio a usage counts.
    """
    timeline = recording.timeline
    plain = not timeline.endpoints and not any(r.raw for r in recording.trace.records)

    def outcomes() -> Iterator[Outcome]:
        for event in timeline.events if plain else ():
            if isinstance(event, Final) and event.usage and event.text.strip():
                problem = _problem(event, event.usage, _seconds(timeline, event.item))
                if problem:
                    yield Violated(problem, _record(recording, event))
                elif problem is not None:
                    yield Satisfied()

    return shown(outcomes(), nothing="no text came with a usage")


def _record(recording: Recording, final: Final) -> tuple[int, ...]:
    """Return a tuple with one element: the index of the record that has the final.

    The tuple is empty if there is no such record.
    """
    records = enumerate(recording.trace.records)
    sent = (i for i, r in records if r.sender is Sender.SERVER and r.at >= final.at)
    return tuple(islice(sent, 1))


def _seconds(timeline: Timeline, item: int) -> float:
    """Return the length of the audio of an item in s."""
    heard = timeline.item(item).heard
    return heard[-1].samples / timeline.rate if heard else 0.0


def _problem(final: Final, usage: Usage, seconds: float) -> str | None:
    """Return what is wrong with a usage.

    The result is empty if nothing is wrong, and ``None`` if the usage has no count.
    """
    if usage.seconds is not None:
        return _wrong_seconds(usage.seconds, seconds) if usage.seconds > 0 else None
    tokens, words = usage.completion, len(final.text.split())
    if tokens is None or tokens <= 0:
        return None
    if tokens * _WORDS_PER_TOKEN >= words:
        return ""
    return f"usage counts {tokens} tokens for a text of {words} words: {final.text!r}"


def _wrong_seconds(counted: float, seconds: float) -> str:
    most = seconds * (1 + _SHARE) + _ROUNDING + _PADDING
    if most >= counted and counted + _ROUNDING >= seconds * _SHARE:
        return ""
    what = f"usage counts {counted:,g} s of audio, but {seconds:.2f} s were sent"
    if abs(counted / 1000 - seconds) <= _SAME * seconds + _ROUNDING / 1000:
        return f"{what}; {counted:,g} is the number of milliseconds"
    return what


def usage_of_each(role: str) -> Check:
    """Return a check that a usage counts one utterance, not the session so far.

    In a session of this role, the first and a later utterance have the same clip. The
    requirement is violated if a count of the later utterance is approximately the count
    of the first utterance plus the count of the utterance just before the later one.
    """

    def check(part: Part) -> Outcome | None:
        clips = part.spoken
        finals = [
            final
            for item in sorted(clips)
            if (final := part.timeline.item(item).final) is not None
        ]
        outcome: Outcome | None = None
        for before, later in pairwise(finals):
            first = finals[0]
            if clips[later.item] != clips[first.item] or not _alike(first, later):
                continue
            for name, one, two, three in _counts(first, before, later):
                outcome = Satisfied()
                if three >= _GROWN * one and _is_sum(one, two, three):
                    return Violated(
                        f"the usage of utterance {later.item + 1} counts {three:g} "
                        f"{name}, but utterance 1 has the same clip and counts "
                        f"{one:g}: the usage includes the {two:g} {name} of "
                        f"utterance {before.item + 1}",
                        _record(part.recording, later),
                    )
        return outcome

    return any_session(check, role, nothing="no clip has two finals with a usage")


def _alike(one: Final, other: Final) -> bool:
    """Return whether two texts of a clip have about the same number of words."""
    words = len(one.text.split()), len(other.text.split())
    return max(words) <= _GROWN * min(words)


def _counts(*finals: Final) -> Iterator[tuple[str, float, float, float]]:
    """Yield the name of each count that all three finals have, and the three counts."""
    for name, field in (
        ("prompt tokens", "prompt"),
        ("completion tokens", "completion"),
        ("seconds", "seconds"),
    ):
        one, two, three = (
            getattr(final.usage, field) if final.usage else None for final in finals
        )
        if one and two and three and min(one, two, three) > 0:
            yield name, one, two, three


def _is_sum(one: float, two: float, three: float) -> bool:
    return abs(three - two - one) <= max(1.0, _SUM * one)
