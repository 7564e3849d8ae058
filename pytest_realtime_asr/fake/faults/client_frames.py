"""Predicates on the client's frames and the server's reactions, for use by faults."""

from __future__ import annotations

from pytest_realtime_asr.dialects import Reaction
from pytest_realtime_asr.fake.frame_edits import event, is_error
from pytest_realtime_asr.fake.server_state import ServerState
from pytest_realtime_asr.trace.records import Frame

UNKNOWN_EVENT = '{"type":"no.such.event"}'  # every dialect refuses it
LONGEST_CONTROL = 1000  # characters; longer frames carry audio
BIG_FRAME = 4 * 2**20  # bytes


def sets_up(frame: Frame, state: ServerState) -> bool:
    """Return whether a frame has the same type as the frames that set a session up."""
    known = [event(each).get("type") for each in state.correct.set_up_frames()]
    return event(frame).get("type") in known


def is_control(frame: Frame) -> bool:
    """Return whether a frame is too short to carry audio."""
    return len(frame) <= LONGEST_CONTROL


def was_ignored(reaction: Reaction) -> bool:
    """Return whether the server neither acted on a frame nor refused it."""
    if reaction.begin or reaction.audio or reaction.finish:
        return False
    return not any(map(is_error, reaction.replies))
