"""The meaning of a session of OpenAI's protocol.

An utterance is what our side hands over between two commits. Where the server detects
turns there is none: an utterance is then the audio up to the silence that we send after
it, and may have been cut into several turns; without such silence, as in the records of
a server, each turn is one. Its text is that of its turns, joined.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from msgspec import UnsetType

from pytest_realtime_asr.dialects.openai import session
from pytest_realtime_asr.dialects.openai.events import (
    Append,
    BetaCreated,
    BetaUpdate,
    Clear,
    Cleared,
    Commit,
    Committed,
    Completed,
    ConversationCreated,
    Counted,
    Delta,
    Error,
    Failed,
    SessionCreated,
    SessionUpdate,
    SpeechStarted,
    SpeechStopped,
)
from pytest_realtime_asr.dialects.openai.session import Detection
from pytest_realtime_asr.evidence import Message
from pytest_realtime_asr.timeline import Commit as Committing
from pytest_realtime_asr.timeline import (
    Endpoint,
    Event,
    Final,
    Heard,
    Partial,
    Refusal,
    Usage,
)
from pytest_realtime_asr.trace import TAIL, Record


@dataclass(slots=True)
class _Turn:
    """An item of the server, and the number of the utterance that it is of."""

    number: int
    text: str = ""
    committed: bool = False
    over: bool = False
    failed: bool = False
    ended: bool = False  # its endpoint was told


@dataclass(slots=True)
class _Utterance:
    """What was said of an utterance so far."""

    turns: list[_Turn] = field(default_factory=list)
    shown: str = ""
    usage: Usage | None = None
    at: int = 0  # when its last turn was over
    told: bool = False

    @property
    def text(self) -> str:
        if len(self.turns) == 1:
            return self.turns[0].text
        texts = (turn.text.strip() for turn in self.turns)
        return " ".join(filter(None, texts))


class Reader:
    """Tells items apart by their ids, which stand for our utterances in their order."""

    def __init__(self, rate: int) -> None:
        self.ready: int | None = None
        self.session = ""
        self._pcm_rate = rate
        self._rate = rate
        self._width = 2  # bytes of a sample
        self._detection: Detection | None = None
        self._ours = False  # whether the audio was recorded by who sent it
        self._asked = 0  # the utterance that our audio belongs to
        self._samples = 0
        self._tail = 0  # samples of silence since its audio
        self._waiting: deque[tuple[int, str | None]] = deque()  # commits of ours
        self._refused: set[int] = set()  # commits that became no item
        self._next = 0  # the utterance that the next new id stands for
        self._turns: dict[str, _Turn] = {}
        self._utterances: dict[int, _Utterance] = {}

    def step(self, record: Record, message: Message) -> Sequence[Event]:
        return tuple(self._events(record, message))

    def _events(self, record: Record, message: Message) -> Iterator[Event]:
        match message:
            case Append():
                yield from self._heard(record, message)
            case SessionUpdate(session=content) | BetaUpdate(session=content):
                self._set_up(content)
            case Commit(event_id=name) if self._detection is None or self._samples:
                self._waiting.append((self._asked, name))
                due, woke = _times(record)
                yield Committing(self._asked, due, woke, record.at)
                self._begin_next()
            case Clear():
                self._samples = 0
            case SessionCreated() | BetaCreated() | ConversationCreated():
                if self.ready is None:
                    self.ready, self.session = record.at, message.identity.id
            case Cleared():
                self._forget()
            case Committed(item_id=name):
                yield from self._committed(record.at, name)
            case SpeechStarted(item_id=name):
                self._turn(name)
            case SpeechStopped(item_id=name):
                yield from self._endpoint(record.at, self._turn(name))
            case Delta(item_id=name, delta=added) if added:
                turn = self._turn(name)
                turn.text += added
                yield from self._shown(record.at, turn.number)
            case Completed(item_id=name, transcript=text, usage=counted):
                turn = self._ending(name)
                turn.text, turn.over = text, True
                utterance = self._utterances[turn.number]
                alone = len(utterance.turns) == 1
                utterance.usage = _usage(counted) if alone else None
                utterance.at = record.at
                yield from self._final(turn.number)
            case Failed(item_id=name, error=problem):
                turn = self._ending(name)
                turn.over = turn.failed = True
                self._utterances[turn.number].at = record.at
                code = problem.code or ""
                yield Refusal(record.at, code, problem.message, turn.number)
                yield from self._final(turn.number)  # of its other turns
            case Error(error=problem):
                item = self._blamed(problem.event_id, problem.code or "")
                yield Refusal(record.at, problem.code or "", problem.message, item)

    # What we say

    def _set_up(self, content: Mapping[str, object]) -> None:
        turns, it = session.glance(content)
        if not isinstance(turns, UnsetType):
            self._detection = turns
        if not isinstance(it, UnsetType):
            self._width = 1 if it.type in session.laws() else 2
            self._rate = session.rate(it, self._pcm_rate)

    def _heard(self, record: Record, message: Append) -> Iterator[Event]:
        self._ours = record.due is not None
        if record.span is not None:
            samples = record.span.stop - record.span.start
            if record.span.asset == TAIL:
                self._tail += samples
                yield from self._final(self._asked)
                return
        else:
            filler = message.audio[-2:].count("=")
            samples = (len(message.audio) * 3 // 4 - filler) // self._width
        if self._tail:
            self._begin_next()
        self._samples += samples
        due, woke = _times(record)
        yield Heard(self._asked, self._samples, due, woke, record.at, 2 * samples)

    def _begin_next(self) -> None:
        self._asked += 1
        self._samples = self._tail = 0

    # What the server says

    def _turn(self, name: str) -> _Turn:
        """The turn of this id; a new one is the next utterance, or a part of it."""
        if name not in self._turns:
            number = self._asked
            if not self._grouped:
                while self._next in self._refused:
                    self._next += 1
                number = self._next
                self._next += 1
            turn = self._turns[name] = _Turn(number)
            self._utterances.setdefault(number, _Utterance()).turns.append(turn)
        return self._turns[name]

    @property
    def _grouped(self) -> bool:
        """Whether an utterance may be cut into several turns."""
        return self._detection is not None and self._ours

    def _ending(self, name: str) -> _Turn:
        """The turn that ends; one that nobody announced is the oldest that is owed."""
        if name not in self._turns:
            owed = (t for t in self._turns.values() if t.committed and not t.over)
            turn = next(owed, None)
            if turn is not None:
                self._turns[name] = turn
        return self._turn(name)

    def _committed(self, at: int, name: str) -> Iterator[Event]:
        turn = self._turn(name)
        turn.committed = True
        if self._waiting:
            self._waiting.popleft()
        elif self._detection is not None:
            yield from self._endpoint(at, turn)
            if not self._grouped:
                self._begin_next()

    def _endpoint(self, at: int, turn: _Turn) -> Iterator[Event]:
        if not turn.ended:
            turn.ended = True
            yield Endpoint(turn.number, at)

    def _forget(self) -> None:
        """The audio that was not committed is gone, and what was begun of it."""
        for name, turn in list(self._turns.items()):
            if not turn.committed and not turn.over:
                del self._turns[name]
                self._utterances[turn.number].turns.remove(turn)
                if not self._grouped:
                    self._next = min(self._next, turn.number)

    def _shown(self, at: int, number: int) -> Iterator[Event]:
        utterance = self._utterances[number]
        before, utterance.shown = utterance.shown, utterance.text
        kept = _same(before, utterance.shown)
        if before != utterance.shown:
            yield Partial(number, at, kept, utterance.shown[kept:])

    def _final(self, number: int) -> Iterator[Event]:
        """The final, once nothing more can come of an utterance."""
        utterance = self._utterances.get(number)
        if utterance is None or utterance.told:
            return
        if not all(turn.over for turn in utterance.turns) or not utterance.turns:
            return
        if self._grouped and number == self._asked:
            assert self._detection is not None
            if self._tail < session.silence(self._detection) * self._rate:
                return  # there may be another turn
        if any(not turn.failed for turn in utterance.turns):
            utterance.told = True
            yield Final(number, utterance.at, utterance.text, utterance.usage)

    def _blamed(self, name: str | None, code: str) -> int | None:
        """The utterance whose commit an error refuses, if it does."""
        for place, (number, commit) in enumerate(self._waiting):
            if commit == name if name else _of_commit(code):
                del self._waiting[place]
                self._refused.add(number)
                return number
        return None


def _same(one: str, other: str) -> int:
    """How many characters are the same from the begin on."""
    if other.startswith(one):
        return len(one)
    pairs = enumerate(zip(one, other, strict=False))
    return next((i for i, (a, b) in pairs if a != b), min(len(one), len(other)))


def _of_commit(code: str) -> bool:
    """Whether a code without the event that led to it is that of a commit."""
    return "commit" in code or code == "invalid_state"


def _times(record: Record) -> tuple[int, int]:
    """Due and woke; a frame that was only received has them where it arrived."""
    due = record.at if record.due is None else record.due
    woke = record.at if record.woke is None else record.woke
    return due, woke


def _usage(counted: Counted | None) -> Usage | None:
    if counted is None:
        return None
    return Usage(
        counted.input_tokens,
        counted.output_tokens,
        counted.total_tokens,
        counted.seconds,
    )
