"""Replays recorded sessions to a client: chooses a recording, and times its answers.

The client does not say which recording it wants. At first, every recording is a
candidate. Each frame of the client excludes the candidates in which the client did
something else at this point; audio is compared by its level (see `envelope`), every
50 ms. Once the client has done what caused an answer in the recording, the answer is
sent after the recorded delay. While candidates with different audio remain, answers to
audio are held back, for at most `PATIENCE` seconds.

The code uses no clock and no socket; all times are in nanoseconds of one clock.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import starmap

import numpy as np

from pytest_realtime_asr.audio.levels import envelope
from pytest_realtime_asr.dialects import Dialect
from pytest_realtime_asr.fake.audio_payload import AudioPayload
from pytest_realtime_asr.fake.recorded_session import (
    OPENED,
    Answer,
    Close,
    Control,
    Position,
    RecordedSession,
    Silence,
    Speech,
)
from pytest_realtime_asr.trace.records import Frame, Record, Sender, content
from pytest_realtime_asr.trace.spoken import QUIETEST, STEP

PATIENCE = 1.0  # s for which an answer to audio is held back at most
_ALIKE = 3  # dB by which the levels of the same audio may differ after resampling
_FLOOR = 12  # dB above `QUIETEST`; below, rounding changes the levels of an audio


class NotRecorded(Exception):
    """Raised if no recording fits what the client did; the message says why."""


@dataclass(frozen=True, slots=True)
class Due:
    """An answer to send at the time ``at`` in ns."""

    at: int
    content: Frame | Close


class Recordings:
    """The recorded sessions of one dialect, which all sessions of a server share.

    Recordings that fit equally well are used in turn, in the order in which they were
    made.
    """

    def __init__(self, dialect: Dialect, sessions: Sequence[RecordedSession]) -> None:
        self.dialect = dialect
        self.sessions = tuple(sorted(sessions, key=lambda each: each.started))
        self.used: Counter[int] = Counter()  # by the index of a session
        self.payload = AudioPayload(dialect)

    @property
    def version(self) -> str:
        """The version that the server stated in the newest recording."""
        return self.sessions[-1].version if self.sessions else ""


class Replay:
    """The server's side of one session.

    ``audio`` is the digest of the audio that the client announces, "" if it announces
    none. If ``timed`` is false, no answer is delayed. `due` has the answers to send, in
    their order; the caller removes those that it has sent.
    """

    def __init__(
        self, recordings: Recordings, *, audio: str = "", timed: bool = True
    ) -> None:
        self.due: list[Due] = []
        self._recordings = recordings
        self._timed = timed
        every = list(starmap(_Candidate, enumerate(recordings.sessions)))
        named = [each for each in every if each.recorded.audio == audio]
        self._candidates = named or every
        self._is_missing = bool(audio) and not named
        self._current: _Candidate | None = None
        self._greeted = ""  # the id of the session in the frames sent before audio
        self._rest = b""  # the first byte of a sample whose second byte has not come
        self._last = 0  # when the latest answer is due, in ns
        self._held: int | None = None  # since when an answer has been held back, in ns
        self._impatient = False  # the client has waited long enough for a choice
        self._samples = 0
        keepalive = recordings.dialect.traits.keepalive
        self._ignored = None if keepalive is None else keepalive.frame

    @property
    def samples(self) -> int:
        """The number of audio samples in the last frame of the client."""
        return self._samples

    def open(self, at: int) -> None:
        """Begin the session at the time ``at``."""
        for each in self._candidates:
            each.reached.append((OPENED, at))
        self._answer(at)

    def hear(self, frame: Frame, at: int) -> None:
        """Take a frame that arrived from the client at the time ``at``.

        Raises `NotRecorded` if no recording fits what the client did.
        """
        self._samples = 0
        if frame == self._ignored:
            return
        pcm = self._recordings.payload.pcm(frame)
        if pcm is None:
            text, data = content(frame)
            record = Record(Sender.CLIENT, at, text, data)
            move = self._recordings.dialect.parse(record).move
            failures = [each.control(move, frame, at) for each in self._candidates]
            self._impatient = False
        elif self._is_missing:  # only now, so that the session begins as usual
            raise NotRecorded("no recording has this audio")
        else:
            pcm = self._rest + pcm
            whole = len(pcm) // 2 * 2
            pcm, self._rest = pcm[:whole], pcm[whole:]
            self._samples = whole // 2
            failures = [each.audio(pcm, at) for each in self._candidates]
        fitting = [
            each
            for each, why in zip(self._candidates, failures, strict=True)
            if not why
        ]
        if not fitting:
            furthest = max(
                range(len(failures)),
                key=lambda index: self._candidates[index].position,
            )
            if self._current is not None:  # it was not replayed to its end
                self._recordings.used[self._current.index] -= 1
                self._current = None
            raise NotRecorded(failures[furthest])
        self._candidates = fitting
        self._answer(at)

    def patience(self) -> int | None:
        """Return the time in ns until which an answer is held back.

        At this time, call `lose_patience`. Returns ``None`` if no answer is held back.
        """
        return None if self._held is None else self._held + round(PATIENCE * 1e9)

    def lose_patience(self, at: int) -> None:
        """Send the answers that are held back, even if several recordings still fit."""
        if self._held is not None:
            self._impatient = True
            self._answer(at)

    def _answer(self, at: int) -> None:
        """Choose a recording, and add its answers to the list `due`."""
        current = self._choose()
        certain = len({each.heard for each in self._candidates}) == 1
        certain = certain or self._impatient
        for each in self._candidates:
            found = each.answers(self._timed, certain=certain)
            if each is current:
                for due in found:
                    self._last = max(self._last, due.at)
                    self.due.append(Due(self._last, self._named(due.content)))
        if certain or not current.waits:
            self._held = None
        elif self._held is None:
            self._held = at

    def _choose(self) -> _Candidate:
        """Return the candidate that fits best; if several do, the least used one."""
        used = self._recordings.used
        if self._current is not None:
            used[self._current.index] -= 1
        best = min(
            self._candidates,
            key=lambda each: (each.differences, used[each.index], each.index),
        )
        used[best.index] += 1
        self._current = best
        return best

    def _named(self, given: Frame | Close) -> Frame | Close:
        """Return an answer in which the session id is the one that the client knows.

        The first answers may have come from another recording, which has another id.
        """
        assert self._current is not None
        own = self._current.recorded.session
        if not self._greeted:
            self._greeted = own
        if isinstance(given, str) and own and own != self._greeted:
            return given.replace(own, self._greeted)
        return given


class _Candidate:
    """A recording that fits what the client has done so far.

    ``differences`` is a sum: the number of frames without audio that differ from the
    recorded ones, plus the dB by which the levels of the audio differ. ``reached`` has
    each position with the time in ns at which the client reached it.
    """

    def __init__(self, index: int, recorded: RecordedSession) -> None:
        self.index = index
        self.recorded = recorded
        self.position = OPENED
        self.reached: list[tuple[Position, int]] = []
        self.differences = 0
        self._given = 0  # the number of answers that were given or skipped
        self._block = b""  # audio of the present step
        self._steps = 0  # steps of the present speech that were compared

    @property
    def heard(self) -> str | None:
        """The digest of the audio that the client sends; ``None`` before any audio."""
        for action in reversed(self.recorded.actions[: self.position.action + 1]):
            if isinstance(action, Speech):
                return action.digest
        return None

    @property
    def waits(self) -> bool:
        """Whether the client has caused an answer that was not given yet."""
        answers = self.recorded.answers
        return self._given < len(answers) and (
            answers[self._given].cause <= self.position
        )

    def answers(self, timed: bool, *, certain: bool) -> list[Due]:
        """Return the answers to what the client has done since the last call.

        Unless the choice is ``certain``, answers to audio are left for a later call.
        """
        found = []
        while self.waits:
            answer = self.recorded.answers[self._given]
            if not certain and self._is_to_audio(answer):
                break
            self._given += 1
            delay = answer.delay if timed else 0
            found.append(Due(self._time(answer.cause) + delay, answer.content))
        return found

    def control(self, move: str, frame: Frame, at: int) -> str:
        """Take a frame without audio; return why the recording differs, or ""."""
        actions, place = self.recorded.actions, self.position
        if place.action >= 0:
            present = actions[place.action]
            if isinstance(present, Speech):
                left = (present.samples - place.samples) / self.recorded.rate
                if left > STEP:
                    return (
                        f"the client sent {move} {left:.2f} s before the end of the "
                        "recorded audio"
                    )
        following = place.action + 1
        if following < len(actions) and isinstance(actions[following], Silence):
            following += 1
        if following >= len(actions):
            return f"the client sent {move} after the end of the recording"
        expected = actions[following]
        if not isinstance(expected, Control) or expected.move != move:
            other = expected.move if isinstance(expected, Control) else "audio"
            return f"the client sent {move}, but the recorded client sent {other}"
        self.differences += expected.frame != frame
        self._reach(Position(following, 0), at)
        return ""

    def audio(self, pcm: bytes, at: int) -> str:
        """Take audio; return why the recording does not fit, or ""."""
        while pcm:
            actions, place = self.recorded.actions, self.position
            present = actions[place.action] if place.action >= 0 else None
            if isinstance(present, Speech) and place.samples < present.samples:
                size = 2 * (present.samples - place.samples)
                part, pcm = pcm[:size], pcm[size:]
                if why := self._compare(present, part):
                    return why
                samples = place.samples + len(part) // 2
                self._reach(Position(place.action, samples), at)
                continue
            silent = not any(pcm)
            following = actions[place.action + 1 : place.action + 3]
            if silent and isinstance(present, Silence):
                samples = place.samples + len(pcm) // 2
                self._reach(Position(place.action, samples), at)
                return ""
            if silent and following and isinstance(following[0], Silence):
                self._reach(Position(place.action + 1, len(pcm) // 2), at)
                return ""
            steps = [isinstance(each, Speech) for each in following]
            if True not in steps or isinstance(following[0], Control):
                return "" if silent else self._more
            self._reach(Position(place.action + 1 + steps.index(True), 0), at)
            self._block, self._steps = b"", 0
        return ""

    @property
    def _more(self) -> str:
        """The message for audio that goes on after the end of the recorded audio."""
        return "the client sent more audio than the recorded client"

    def _compare(self, speech: Speech, pcm: bytes) -> str:
        """Compare audio with the recorded audio; return how they differ, or ""."""
        if speech.levels is None:
            return ""
        size = 2 * max(1, round(STEP * self.recorded.rate))
        block = self._block + pcm
        whole = len(block) // size * size
        self._block = block[whole:]
        found = envelope(
            np.frombuffer(block[:whole], "<i2"),
            self.recorded.rate,
            step=STEP,
            quietest=QUIETEST,
        )
        for level in found:
            if self._steps >= len(speech.levels):
                break
            recorded = max(speech.levels[self._steps], _FLOOR)
            apart = abs(max(level, _FLOOR) - recorded)
            if apart > _ALIKE:
                seconds = self._steps * STEP
                return f"the audio differs from every recording after {seconds:.2f} s"
            self.differences += apart
            self._steps += 1
        return ""

    def _reach(self, position: Position, at: int) -> None:
        self.position = position
        self.reached.append((position, at))

    def _is_to_audio(self, answer: Answer) -> bool:
        place = answer.cause.action
        return place >= 0 and not isinstance(self.recorded.actions[place], Control)

    def _time(self, cause: Position) -> int:
        """Return the time in ns at which the client reached a position."""
        index = bisect_left(self.reached, cause, key=lambda each: each[0])
        return self.reached[index][1]
