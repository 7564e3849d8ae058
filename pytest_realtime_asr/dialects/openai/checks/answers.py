"""Checks that the server answers each event of the client that needs an answer."""

from __future__ import annotations

from pytest_realtime_asr.dialects.openai.checks.items import items
from pytest_realtime_asr.dialects.openai.checks.messages import from_client, indexes
from pytest_realtime_asr.dialects.openai.events import (
    BetaUpdate,
    BetaUpdated,
    Clear,
    Cleared,
    Commit,
    Committed,
    Done,
    Error,
    SessionUpdate,
    SessionUpdated,
)
from pytest_realtime_asr.requirements.requirement import (
    Outcome,
    Satisfied,
    Undecided,
    Violated,
)
from pytest_realtime_asr.trace.recording import Recording
from pytest_realtime_asr.trace.records import Ending


def updates_answered(recording: Recording) -> Outcome:
    """Check that the server answers each update with the settings, or with an error."""
    sent = from_client(recording, SessionUpdate, BetaUpdate)
    answers = indexes(recording, SessionUpdated, BetaUpdated, Error)
    return _answered(recording, sent, answers, "session update")


def commits_answered(recording: Recording) -> Outcome:
    """Check that the server answers each commit with an item, or with an error."""
    sent = from_client(recording, Commit)
    return _answered(recording, sent, indexes(recording, Committed, Error), "commit")


def clears_answered(recording: Recording) -> Outcome:
    """Check that the server answers each clear with ``input_audio_buffer.cleared``."""
    sent = from_client(recording, Clear)
    return _answered(recording, sent, indexes(recording, Cleared), "clear")


def _answered(
    recording: Recording, sent: list[int], answers: list[int], what: str
) -> Outcome:
    if not sent:
        return Undecided(f"no {what} was sent")
    if len(answers) >= len(sent):
        return Satisfied()
    timed_out = recording.trace.end.how is Ending.DEADLINE
    until = len(recording.messages) if timed_out else _surely_received(recording)
    received = [index for index in sent if index < until]
    if len(answers) < len(received):
        count = f"{len(answers)} of {len(received)} {what}s"
        return Violated(f"the server answered only {count}", tuple(received))
    return Undecided(f"the session ended before the server answered all {what}s")


def _surely_received(recording: Recording) -> int:
    """Return the record index of the last commit that the server surely received.

    The index is 0 if there is no such commit. The server surely received a commit if it
    has committed or ended the item of this commit. Items that the server created after
    a detected turn, or at the end of the audio, are not counted.
    """
    commits = from_client(recording, Commit)
    committed = [item for item in items(recording).values() if not item.stopped]
    answered = max(
        sum(bool(item.committed) for item in committed),
        sum(bool(item.ends) for item in committed),
    )
    answered -= len(from_client(recording, Done))
    return [0, *commits][min(max(answered, 0), len(commits))]
