"""The names with which another package declares faults of the fake server.

A module with faults imports from this module, and is an entry point of the group
``pytest_realtime_asr.faults``. A dialect imports no module with faults: its
requirements name faults by their names.
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
