"""The state that the sessions of one fake server share."""

from __future__ import annotations

import time
from collections.abc import Sequence

from pytest_realtime_asr.dialects import Dialect
from pytest_realtime_asr.fake.capacity import Capacity, Workload
from pytest_realtime_asr.fake.correct_server import CorrectServer


class ServerState:
    """The counters of a fake server, and the state that its faults share.

    Sessions are numbered from 1 in the order in which they open. ``started`` is the
    start of the server in Unix seconds. ``key`` is the key that a client must send.
    ``workload`` shares the capacity of the server among the open utterances.
    """

    def __init__(
        self,
        dialect: Dialect | None = None,
        models: Sequence[str] = (),
        *,
        key: str = "",
        capacity: Capacity | None = None,
    ) -> None:
        self.correct = CorrectServer(dialect, models)
        self.models = tuple(models)
        self.key = key
        self.workload = Workload(capacity)
        self.started = time.time()
        self.sessions = 0
        self.open_sessions: set[int] = set()
        self.finals = 0  # finals that were due
        self.joined = 0  # utterances that began while another session had one
        self.vanished = 0  # clients that left without a close frame
        self.closed_mid_utterance = 0  # clients that closed while an utterance was open
        # Time of the last audio (monotonic s), by session, until the audio is complete.
        self.last_audio: dict[int, float] = {}
        self.open_texts: dict[int, list[str]] = {}  # words of open utterances
        # The last accepted set-up of each open session, the newest last.
        self.set_ups: dict[int, str] = {}
        self.changed_words: set[tuple[int, str]] = set()  # see `legal_variation`

    def open_session(self) -> int:
        """Count a new session and return its number."""
        self.sessions += 1
        self.open_sessions.add(self.sessions)
        return self.sessions

    def close_session(self, number: int) -> None:
        """Remove a session that has ended from the open sessions."""
        self.open_sessions.discard(number)
        self.open_texts.pop(number, None)
        self.last_audio.pop(number, None)
        self.set_ups.pop(number, None)
