"""Checks of the times at which text comes.

Late text violates nothing if the client itself was late, or if the audio was sent
faster than it is spoken.
"""

from __future__ import annotations

from pytest_realtime_asr.metrics.latency import has_words, longest_gap
from pytest_realtime_asr.metrics.pacing import pace_deviation, scheduling_delay
from pytest_realtime_asr.requirements.checks.combinators import (
    any_session,
    by_hand,
    first_at,
    first_unsatisfied,
    per_session,
    why,
)
from pytest_realtime_asr.requirements.evidence import Part
from pytest_realtime_asr.requirements.requirement import (
    Check,
    Outcome,
    Satisfied,
    Undecided,
    Violated,
)
from pytest_realtime_asr.trace.timeline import Final, Heard, Partial, Timeline

LATE = 2.5  # s; with a longer client scheduling delay, late text proves nothing
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
                f"no partial has words, or the client did not commit: {why(part)}"
            )
        if first <= timeline.commit.due:
            return Satisfied()
        if doubt := _cannot_be_timed(timeline, LATE):
            return Undecided(doubt)
        seconds = sum(frame.size for frame in timeline.heard) / 2 / timeline.rate
        return Violated(
            f"no text came during the {seconds:.1f} s in which audio was sent, only "
            "after the commit",
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


def _cannot_be_timed(timeline: Timeline, at_most: float) -> str | None:
    """Return why the times of a session cannot be used, or ``None`` if they can.

    They cannot if the audio was sent too fast, or if the client was over ``at_most`` s
    late.
    """
    if (pace_deviation(timeline) or 0.0) < -_TOO_FAST:
        return "the audio was sent faster than it is spoken"
    late = (scheduling_delay(timeline) or 0.0) / 1000
    if late <= at_most:
        return None
    return f"the client itself was {late:.1f} s late, so late text may be its own fault"


def _early_text(part: Part) -> Outcome | None:
    """Check that no text comes before any audio of its utterance was sent.

    Utterances end in their order: after n finals, a text belongs to none of the first n
    utterances. It may belong to any later utterance, since frames cross on the wire.

    Two kinds of session show nothing (``None``): those with a frame written by hand,
    which may have ended an utterance, and those in which the server ended some
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
"""A check that no text comes before any audio of its utterance was sent."""
