"""The names that another package imports to declare faults of the fake server.

A module with faults must be an entry point of the group ``pytest_realtime_asr.faults``.
A dialect does not need to import such a module, since requirements refer to faults by
their names.
"""

from pytest_realtime_asr.fake.faults.registry import Hooks, fault
from pytest_realtime_asr.fake.frame_edits import edited, encoded, event
from pytest_realtime_asr.fake.server_state import ServerState
from pytest_realtime_asr.fake.server_wrappers import (
    EventChanger,
    ServerWrapper,
    UtteranceTracker,
    WordChanger,
)

__all__ = [
    "EventChanger",
    "Hooks",
    "ServerState",
    "ServerWrapper",
    "UtteranceTracker",
    "WordChanger",
    "edited",
    "encoded",
    "event",
    "fault",
]
