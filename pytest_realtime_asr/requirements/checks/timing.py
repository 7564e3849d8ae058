"""Checks of the times at which text comes.

Late text is not a violation if the client itself was late, or if the audio was sent
faster than it is spoken.
"""

from __future__ import annotations

from collections.abc import Iterator

from pytest_realtime_asr.metrics.emission import emissions
from pytest_realtime_asr.metrics.lag_drift import lag_drift
from pytest_realtime_asr.metrics.latency import has_words, longest_gap
from pytest_realtime_asr.metrics.pacing import pace_deviation, scheduling_delay
from pytest_realtime_asr.requirements.checks.combinators import (
    absent,
    any_session,
    by_hand,
    first_at,
    first_unsatisfied,
    per_session,
    why,
)
from pytest_realtime_asr.requirements.evidence import Evidence, Part
from pytest_realtime_asr.requirements.requirement import (
    Check,
    Outcome,
    Satisfied,
    Undecided,
    Violated,
)
from pytest_realtime_asr.stats import student_interval
from pytest_realtime_asr.trace.timeline import Final, Heard, Partial, Timeline

LATE = 2.5  # s; with a longer client scheduling delay, late text proves nothing
_ENOUGH_SPEECH = 30.0  # s of audio, to judge whether a server keeps up
_TOO_FAST = 0.05  # audio may be sent faster than it is spoken by this share


def text_during_audio(role: str) -> Check:
    """Return a check that text comes while the audio is still being sent."""

    def check(part: Part) -> Outcome:
        timeline = part.timeline.item(0)
        # Until the first text with words, no edit adds words.
        with_words = (edit.at for edit in timeline.edits if has_words(edit.added))
        first = next(with_words, None)
        if timeline.commit is None or first is None:
            return Undecided(
                f"no text has words, or the client did not commit: {why(part)}"
            )
        if first <= timeline.commit.due:
            return Satisfied()
        if doubt := _cannot_be_timed(timeline, LATE):
            return Undecided(doubt)
        seconds = sum(frame.size for frame in timeline.heard) / 2 / timeline.rate
        return Violated(
            f"no text came during the {seconds:.1f} s in which audio was sent: the "
            "first text came after the commit",
            (),
        )

    return per_session(check, role, fold=first_unsatisfied)


def no_stall(role: str, *, at_most: float) -> Check:
    """Return a check that text never pauses for over ``at_most`` s during speech."""

    def check(part: Part) -> Outcome:
        timeline = part.timeline.item(0)
        stall = longest_gap(timeline)
        if timeline.commit is None or stall is None:
            return Undecided(f"the audio was not sent completely: {why(part)}")
        pace = min(1.0, 1 + (pace_deviation(timeline) or 0.0))
        if stall / 1000 <= at_most * pace:
            return Satisfied()
        if doubt := _cannot_be_timed(timeline, stall / 1000 - at_most):
            return Undecided(doubt)
        return Violated(
            f"no new text for {stall / 1000:.1f} s while speech was sent; the limit is "
            f"{at_most:g} s",
            (),
        )

    return per_session(check, role, fold=first_unsatisfied)


def keeps_up(*roles: str, at_most: float) -> Check:
    """Return a check that the lag of the text does not grow with the speech.

    The mean drift (`lag_drift`) over the utterances of these sessions must not exceed
    ``at_most``. The check is violated only if the lower confidence bound (95 %) of the
    mean exceeds ``at_most``. If only the mean exceeds ``at_most``, the check is
    undecided. The check is also undecided if fewer than two utterances have a drift, or
    if these utterances have less than 30 s of audio in all.
    """

    def check(evidence: Evidence) -> Outcome:
        if missing := absent(evidence, *roles):
            return missing
        measured = list(_drifts(evidence, *roles))
        drifts = [drift for _, drift in measured]
        seconds = sum(_audio_seconds(timeline) for timeline, _ in measured)
        count = len(drifts)
        if count < 2 or seconds < _ENOUGH_SPEECH:
            return Undecided(
                "too few utterances had text during their audio (needed: two "
                f"utterances with {_ENOUGH_SPEECH:g} s of audio in all, each with five "
                "correct words that came before the end of its audio)"
            )
        mean = sum(drifts) / count
        low, _ = student_interval(drifts, confidence=0.9)  # 95 % on one side
        if mean <= at_most:
            return Satisfied()
        if low <= at_most:
            return Undecided(
                f"the lag grows by {_percent(mean)} of the audio, but {count} "
                "utterances do not prove that this exceeds the limit of "
                f"{_percent(at_most)}"
            )
        for timeline, _ in measured:
            if doubt := _cannot_be_timed(timeline, low * _audio_seconds(timeline)):
                return Undecided(doubt)
        return Violated(
            f"the text falls behind: its lag grows by {_percent(mean)} "
            f"of the audio (at least {_percent(low)} at 95 % confidence, over {count} "
            f"utterances with {seconds:.0f} s in all); the limit is "
            f"{_percent(at_most)}",
            (),
        )

    return check


def confirmed_alone(check: Check, role: str, *, at_most: float) -> Check:
    """Return ``check`` with a second condition for a violation.

    ``check`` is the check of `keeps_up` on sessions that run beside other sessions.
    ``role`` is the role of a session that runs alone. A violation counts only if the
    drift in this session exceeds ``at_most`` too. Otherwise the result is undecided,
    since the server may only have been overloaded.
    """

    def confirmed(evidence: Evidence) -> Outcome:
        outcome = check(evidence)
        if not isinstance(outcome, Violated):
            return outcome
        beside = f"beside other sessions, {outcome.message}"
        if missing := absent(evidence, role):
            return Undecided(f"{beside}; without other sessions: {missing.reason}")
        for timeline, drift in _drifts(evidence, role):
            grows = (
                f"without other sessions, the lag grows by {_percent(drift)} of the "
                "audio"
            )
            if drift <= at_most:
                return Undecided(f"{beside}; {grows}, so the server was overloaded")
            if doubt := _cannot_be_timed(timeline, drift * _audio_seconds(timeline)):
                return Undecided(f"{beside}; without other sessions, {doubt}")
            return Violated(f"{outcome.message}; {grows}", ())
        return Undecided(
            f"{beside}; without other sessions, fewer than five correct words came "
            "during the speech"
        )

    return confirmed


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %"


def _drifts(evidence: Evidence, *roles: str) -> Iterator[tuple[Timeline, float]]:
    """Yield the timeline and the drift of each utterance that has a drift."""
    for part in evidence.role(*roles):
        for item, utterance in part.spoken.items():
            timeline = part.timeline.item(item)
            drift = lag_drift(emissions(timeline, utterance))
            if drift is not None:
                yield timeline, drift


def _audio_seconds(timeline: Timeline) -> float:
    return timeline.heard[-1].samples / timeline.rate


def _cannot_be_timed(timeline: Timeline, at_most: float) -> str | None:
    """Return why the times of a session cannot be used, or ``None`` if they can.

    The times cannot be used if the audio was sent too fast, or if the client was over
    ``at_most`` seconds late.
    """
    if (pace_deviation(timeline) or 0.0) < -_TOO_FAST:
        return "the audio was sent faster than it is spoken"
    late = (scheduling_delay(timeline) or 0.0) / 1000
    if late <= at_most:
        return None
    return f"the client itself was {late:.1f} s late and may have caused the late text"


def _early_text(part: Part) -> Outcome | None:
    """Check that each text comes after the first audio of its utterance.

    Utterances end in their order: after n finals, a text belongs to none of the first n
    utterances. It may belong to any later utterance, since frames cross on the wire.

    Two kinds of session show nothing (``None``): sessions with a frame written by hand,
    which may have ended an utterance, and sessions in which the server ended some
    utterances and the client ended others.
    """
    both_end = part.timeline.endpoints and part.timeline.commit is not None
    if by_hand(part) or both_end:
        return None
    found: Outcome | None = None
    latest, finals = -1, 0
    for event in part.timeline.events:
        if isinstance(event, Heard):
            latest = max(latest, event.item)
        elif isinstance(event, Final):
            finals += 1
        elif isinstance(event, Partial):
            found = Satisfied()
            if latest < finals and event.added.strip():
                return Violated(
                    f"the text {event.added!r} came before any audio of its utterance "
                    "was sent",
                    first_at(part, event.at),
                )
    return found


no_early_text = any_session(_early_text, nothing="no text came")
"""A check that each text comes after the first audio of its utterance."""
