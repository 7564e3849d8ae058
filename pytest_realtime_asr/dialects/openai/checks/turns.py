"""Checks of the turns that the server detects."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass

from pytest_realtime_asr.dialects.openai.checks.items import Item, items
from pytest_realtime_asr.dialects.openai.checks.messages import from_client, indexes
from pytest_realtime_asr.dialects.openai.events import (
    Commit,
    Committed,
    Completed,
    Error,
    SpeechStarted,
    SpeechStopped,
)
from pytest_realtime_asr.requirements.checks import cut
from pytest_realtime_asr.requirements.checks.combinators import (
    first_unsatisfied,
    per_session,
)
from pytest_realtime_asr.requirements.requirement import (
    Check,
    Outcome,
    Satisfied,
    SessionCheck,
    Undecided,
    Violated,
)
from pytest_realtime_asr.trace.recording import Recording
from pytest_realtime_asr.trace.records import TAIL

_ROUNDING = 20.0  # ms by which a position may lie beyond the audio
_LEAST = 30.0  # ms of a clip that its turn must contain


def in_role(role: str, check: SessionCheck) -> Check:
    """Return a check that applies ``check`` to the sessions of one role."""
    return per_session(lambda part: check(part.recording), role, fold=first_unsatisfied)


def turns_in_order(recording: Recording) -> Outcome:
    """Check that each turn is started, stopped and committed with the same item id."""
    committed = False
    for name, item in items(recording).items():
        if not item.committed:
            if item.stopped and not cut(recording):
                what = f"the turn {name!r} stopped, but was never committed"
                return Violated(what, tuple(item.stopped))
            continue
        committed = True
        for found, what in ((item.started, "started"), (item.stopped, "stopped")):
            if not found:
                return Violated(
                    f"the turn {name!r} was committed, but speech_{what} never came",
                    tuple(item.committed),
                )
        if not item.started[0] < item.stopped[0] < item.committed[0]:
            wrong = (
                f"the events of the turn {name!r} are not in the order started, "
                "stopped, committed"
            )
            return Violated(wrong, tuple(item.committed))
    return Satisfied() if committed else Undecided("no turn was detected")


@dataclass(frozen=True, slots=True)
class _Sent:
    """Positions in the audio that the client sent, in ms.

    ``until`` has one value for each frame of the trace: the length of all audio that
    was sent up to the end of this frame. ``clips`` are the start and the end of each
    clip.
    """

    until: tuple[float, ...]
    clips: tuple[tuple[float, float], ...]


def _sent(recording: Recording) -> _Sent:
    until: list[float] = []
    clips: list[tuple[float, float]] = []
    position = 0.0
    for record in recording.trace.records:
        span = record.span
        if span is not None:
            start = position
            position += (span.stop - span.start) * 1000 / recording.trace.rate
            if span.asset != TAIL:
                if span.start == 0:
                    clips.append((start, position))
                else:
                    clips[-1] = (clips[-1][0], position)
        until.append(position)
    return _Sent(tuple(until), tuple(clips))


def turns_match_audio(recording: Recording) -> Outcome:
    """Check the times of the turns.

    A turn must be within the audio sent so far, and later than the turn before it. Each
    clip must overlap a turn.
    """
    sent = _sent(recording)
    turns: list[tuple[float, float]] = []
    for name, item in items(recording).items():
        if not item.started or not item.stopped:
            continue
        turn = _positions(recording, item)
        if wrong := _misplaced(name, item, turn, turns[-1:], sent):
            return wrong
        turns.append(turn)
    if not turns:
        return Undecided("no turn was detected")
    ends = [end for _, end in turns]
    for first, last in sent.clips[: len(turns)]:
        # Turns are sorted, so only the first that ends late enough can be in the clip.
        place = bisect_right(ends, first + _LEAST)
        if place == len(turns) or turns[place][0] + _LEAST >= last:
            found = ", ".join(f"{start:g} to {end:g}" for start, end in turns)
            clip = f"{first:.0f} to {last:.0f} ms"
            return Violated(
                f"the clip from {clip} has no turn; the turns are from {found} ms", ()
            )
    return Satisfied()


def _positions(recording: Recording, item: Item) -> tuple[int, int]:
    """Return the start and the end of a turn in ms."""
    started = recording.messages[item.started[0]]
    stopped = recording.messages[item.stopped[0]]
    assert isinstance(started, SpeechStarted)
    assert isinstance(stopped, SpeechStopped)
    return started.audio_start_ms, stopped.audio_end_ms


def _misplaced(
    name: str,
    item: Item,
    turn: tuple[int, int],
    previous: list[tuple[float, float]],
    sent: _Sent,
) -> Violated | None:
    """Return a violation if a turn is outside the audio or not later than ``previous``.

    ``previous`` has the turn before this one; it is empty for the first turn.
    """
    start, end = turn
    records = (item.started[0], item.stopped[0])
    if not 0 <= start < end:
        wrong = f"the turn {name!r} from {start} to {end} ms must start at 0 or later, "
        wrong += "and end after its start"
        return Violated(wrong, records)
    for at, index in zip(turn, records, strict=True):
        if at > sent.until[index] + _ROUNDING:
            return Violated(
                f"the turn {name!r} has the position {at} ms, but until then only "
                f"{sent.until[index]:.0f} ms of audio had been sent",
                (index,),
            )
    for before, after in previous:
        if not (before < start and after < end):
            return Violated(
                f"the turn {name!r} from {start} to {end} ms is not later than the "
                f"turn before it, from {before:g} to {after:g} ms",
                records,
            )
    return None


def no_turn_in_silence(recording: Recording) -> Outcome:
    """Check that no turn is detected while only silence has been sent."""
    spans = [(i, r.span) for i, r in enumerate(recording.trace.records) if r.span]
    assets = list(dict.fromkeys(span.asset for _, span in spans))
    if len(assets) < 2:
        return Undecided("the session did not send both silence and speech")
    speech = next(i for i, span in spans if span.asset == assets[1])
    found = sorted(indexes(recording, SpeechStarted, Committed, Completed))
    for index in found:
        if index < speech:
            move = recording.messages[index].move
            return Violated(f"{move} came when only silence had been sent", (index,))
    nothing = (
        "no turn was detected even in the speech, so this does not show how the server "
        "treats silence"
    )
    return Satisfied() if found else Undecided(nothing)


def silent_commit_has_no_text(recording: Recording) -> Outcome:
    """Check that a commit of silence yields an error or a text without words."""
    records = recording.trace.records
    commits = [i for i in from_client(recording, Commit) if records[i].raw]
    if not commits:
        return Undecided("no commit was sent")
    later = [i for i, r in enumerate(records) if r.span and i > commits[0]]
    until = later[0] if later else len(records)
    answered = any(index > commits[0] for index in indexes(recording, Error))
    for name, item in items(recording).items():
        if item.started or not any(commits[0] < i < until for i in item.committed):
            continue
        for index in item.ends:
            answered = True
            text = getattr(recording.messages[index], "transcript", "")
            if text.strip():
                what = f"the item {name!r} is silence, but has the text {text!r}"
                return Violated(what, (index,))
    nothing = "the server did not answer the commit of silence"
    return Satisfied() if answered else Undecided(nothing)
